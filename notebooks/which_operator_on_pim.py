# %% [markdown]
# # Which operator belongs in the memory?
#
# A decode step reads every weight and every key, and does few operations for each byte of them. Multipliers in the
# memory read more bytes a second than cores do, but do fewer operations: beside every bank (bank PIM) 16 times the
# bytes of the bus at one operation a byte, on the logic die (Logic-PIM of Duplex, arXiv 2409.01141) four times at
# eight. So it depends on the operations per byte where an operator is done first. The device is an H100 whose HBM3 has
# either.

# %%
import matplotlib

matplotlib.use("Agg")
import pandas as pd

from cairn.hw_models.pim.duplex import DuplexSpec, Unit
from cairn.sim.pim.crossover import Work, crossings, operators_by_intensity, rates
from cairn.sim.pim.crossover_plot import plot_crossover
from cairn.sim.pim.duplex_run import device_bytes, load_duplex
from cairn.sim.pim.step import Choice, step_time

# %% [markdown]
# ## Where the units meet
#
# A product of m tokens has m operations for each byte of its 16-bit weights; attention has as many for each byte of its
# keys and values as query heads share a key head. Row cycles and refreshes of the memory count, which is why crossings
# lie elsewhere than the peaks alone would have them. For weights, bank PIM runs at its operations up to 6 tokens and so
# gives way to Logic-PIM there; Logic-PIM gives way to the cores at 41. Attention of bank PIM reads keys once for each
# query head, so that it gives way at 4, that is, with the four query heads a key head of Mixtral.

# %%
device = DuplexSpec()
meetings = pd.DataFrame([{"work": work.value, **vars(each)} for work in Work for each in crossings(device, work)])
print(meetings.round(3).to_string(index=False))

# %% [markdown]
# ## Where operators stand
#
# The models and devices of Duplex's Table I (the runs of `cairn duplex`), with experts drawn uniformly. Larger batches
# push dense products to the right, out of reach of PIM; experts follow slowly, since tokens spread over them, and
# attention stays where it is.

# %%
MODELS, BATCHES, CONTEXT = ("mixtral-8x7b", "glam-143b", "grok-1", "opt-66b", "llama-3-70b"), (8, 32, 128), 2048


def decode(model: str, batch: int, **changes):
    """A step in which each request gets one token over CONTEXT keys."""
    shipped = load_duplex(f"{model}-decode", [f"batch={batch}", f"context={CONTEXT}", "coprocessing=false"])
    return shipped.model_copy(update=changes)


# Grok-1 has two groups of devices, so that its dense products stand at half of what is drawn for the whole batch.
graphs = {(model, batch): decode(model, batch).graph() for model in MODELS for batch in BATCHES}
operators = operators_by_intensity(graphs)
spread = operators.groupby(["model", "batch", "kind"], sort=False)["ops_per_byte"].agg(["min", "max"])
print(spread.round(2).to_string())
picture = plot_crossover(device, operators)

# %% [markdown]
# ## The choice is no worse than either side alone
#
# Every model and batch with each unit: all on the cores, all that PIM can do on PIM, each operator by its operations
# per byte against those of the unit, each where it is done first, and experts divided between both at the same time.
# Dense products stay on the cores in all of them. What a device must hold is shown beside its 80 GiB: keys of 128
# requests of OPT-66B would not fit, so that these steps (which Duplex's simulator runs) need more devices than four.

# %%
rows = []
for (model, batch), graph in graphs.items():
    for unit in (Unit.LOGIC, Unit.BANK):
        ways = {choice.value: decode(model, batch, choice=choice) for choice in Choice}
        if ways["fastest"].model.moe is not None:
            ways["divided"] = decode(model, batch, coprocessing=True)
        took = {name: 1e3 * step_time(way.machine(unit), graph).seconds for name, way in ways.items()}
        gib = device_bytes(ways["fastest"], graph) / 2**30
        rows.append({"model": model, "batch": batch, "unit": unit.value, "gib": gib, **took})
steps = pd.DataFrame(rows)
steps["gain"] = steps[["cores", "pim"]].min(axis=1) / steps[["fastest", "divided"]].min(axis=1)
steps["speedup"] = steps["cores"] / steps[["fastest", "divided"]].min(axis=1)
print(steps.round(3).to_string(index=False))

# %% [markdown]
# The rule by operations per byte leaves a unit idle beyond the operations that it has for each byte, one or eight.
# That is far below where the cores pass it, 13 to 20 or 40: attention of four query heads a key head runs three times
# as fast on bank PIM as on the cores, though it reads its keys four times.

# %%
at_four = rates(device, Work.KEYS, 4.0)
print({unit.value: f"{rate / 1e12:.1f} TFLOP/s" for unit, rate in at_four.items()})
