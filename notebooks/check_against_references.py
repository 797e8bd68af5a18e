# %% [markdown]
# # Cairn against its references
#
# `cairn validate` compares predictions with reference rows, gate by gate. Its Python entry points answer the same rows
# as data, here for the suite of published models, and say what a gate is worth: how many rows stand behind it, and what
# it would take to break it.

# %%
from dataclasses import replace

import pandas as pd

from cairn.validation.gates import judge
from cairn.validation.reference import ReferenceDir
from cairn.validation.suite import load_suite, run_suite, suite_names

print("suites:", ", ".join(suite_names()))
result = run_suite(load_suite("models"), ReferenceDir(None))
print(f"{result.name}: {result.verdict.value}, {len(result.rows)} rows")

# %% [markdown]
# ## Rows
#
# One for each reference value: what was published, what Cairn says, and the error beyond the digits that were printed.

# %%
rows = pd.DataFrame(
    {
        "row": row.id, "class": row.kind, "reference": row.reference, "cairn": row.prediction, "unit": row.unit,
        "error_percent": 100 * row.error(), "gates": ", ".join(row.counts), "source": row.source,
    }
    for row in result.rows
)  # fmt: skip
print(rows.drop(columns="source").sample(6, random_state=0).to_string(index=False))
print(rows.groupby("class")["error_percent"].agg(["count", "median", "max"]).round(3).to_string())

# %% [markdown]
# ## Gates
#
# A gate is a limit on a statistic of the rows that count for it.

# %%
gates = pd.DataFrame(
    {"gate": g.gate.name, "value": g.value, "limit": g.gate.show_limit(), "rows": g.rows, "verdict": g.verdict.value}
    for g in result.gates
)
print(gates.to_string(index=False))

# %% [markdown]
# ## What stands out
#
# Rows that are far off carry a note that says why, or the suite does not pass.

# %%
for row in result.outliers():
    print(f"{row.id}: {row.error():+.1%}; {result.notes[row.id]}")

# %% [markdown]
# ## A gate has to be able to fail
#
# The same rows with one prediction 2 % too high: the gate on parameters, at 0.5 %, notices.

# %%
broken = next(i for i, row in enumerate(result.rows) if "parameters" in row.counts)
spoilt = list(result.rows)
spoilt[broken] = replace(spoilt[broken], prediction=1.02 * spoilt[broken].prediction)
(gate,) = [each.gate for each in result.gates if each.gate.name == "parameters"]
verdict = judge(gate, spoilt).verdict
print(f"with {spoilt[broken].id} at +2 %: {verdict.value}")
