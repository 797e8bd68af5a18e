# %% [markdown]
# # Searching a space
#
# From a sweep file to a front: what may vary, what matters, what is demanded, then a search with a small budget. The
# analytical twin looks at every design, the simulator at those that may be on the front.

# %%
import tempfile
from pathlib import Path

import pandas as pd

from cairn.dse import load_sweep, run_sweep

SWEEP = """\
schema: cairn.sweep/1
name: first-try
run: demo
set: {workload.context: 128, workload.batch: 2}
parameters:
  chip.dram.bandwidth_gb_per_s: [16, 32, 64, 128]
  chip.noc.link_bytes_per_cycle: {powers_of_two: {from: 4, to: 16}}
  chip.sram.capacity_kib: [64, 128, 256]
objectives: [area, time_per_token]
constraints:
  - area <= 6 mm2
budget: {points: 12}
seed: 1
"""

scratch = tempfile.TemporaryDirectory()
file = Path(scratch.name) / "first-try.yaml"
file.write_text(SWEEP, encoding="utf-8")
sweep = load_sweep(file)
print(f"{sweep.space.size} designs, objectives {[objective.column for objective in sweep.objectives]}")

# %% [markdown]
# ## The search
#
# `cairn dse first-try.yaml --out folder` does the same. With `storage` (or `--out`) a search that was stopped goes on
# where it was; `jobs` uses several processes.

# %%
study = run_sweep(sweep)
print(f"{len(study.entries)} of {sweep.space.size} designs simulated in {study.seconds:.1f} s ({study.method.value})")
print(study.front[["point", *sweep.space.names, *study.objective_columns]].to_string(index=False))

# %% [markdown]
# ## How sure it is
#
# Every design that was not simulated has a value of the twin, corrected by what the twin was wrong by elsewhere, and a
# range of one standard deviation of that error.

# %%
analytical = study.analytical
if analytical is not None:
    columns = [name for name in analytical.columns if name.startswith("time_per_token")]
    print(analytical[["point", *columns, "within_percent", "simulated"]].head(8).to_string(index=False))

# %% [markdown]
# ## What was refused, and why

# %%
print(study.refusals.to_string(index=False) if len(study.refusals) else "nothing was refused")

# %% [markdown]
# ## A design of the front is a run
#
# What `cairn run` takes lies in `runs/`; the report is one file that needs nothing else.

# %%
from cairn.dse.answers import write_answers  # noqa: E402

folder = write_answers(study, Path(scratch.name) / "answers")
written = sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())
print("\n".join(written))
front = pd.read_csv(folder / "front.csv")
