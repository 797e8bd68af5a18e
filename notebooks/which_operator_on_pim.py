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
from cairn.sim.layerwise.compare import load_model
from cairn.sim.pim.crossover import Work, crossings, operators_by_intensity, rates
from cairn.sim.pim.crossover_plot import plot_crossover
from cairn.sim.pim.step import Choice, Machine, step_time
from cairn.workloads.build import build_graph
from cairn.workloads.routing import RoutingLaw, RoutingSpec
from cairn.workloads.step import Phase, WorkloadSpec

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
# The models and devices of Duplex's Table I, with experts drawn uniformly. Larger batches push dense products to the
# right, out of reach of PIM; experts follow slowly, since tokens spread over them, and attention stays where it is.

# %%
SYSTEMS = {
    "mixtral-8x7b": {"devices": 4, "tensor_parallel": 4},
    "glam-143b": {"devices": 8, "tensor_parallel": 8},
    "grok-1": {"devices": 16, "nodes": 2, "tensor_parallel": 8, "expert_parallel": 2},
    "opt-66b": {"devices": 4, "tensor_parallel": 4},
    "llama-3-70b": {"devices": 4, "tensor_parallel": 4},
}
BATCHES, CONTEXT = (8, 32, 128), 4096


def decode(model: str, batch: int):
    """The operators of a step in which each request gets one token over CONTEXT keys."""
    step = WorkloadSpec(phase=Phase.DECODE, batch=batch, context=CONTEXT, embedding=False)
    return build_graph(load_model(model), step, RoutingSpec(law=RoutingLaw.UNIFORM), 1)


graphs = {(model, batch): decode(model, batch) for model in SYSTEMS for batch in BATCHES}
operators = operators_by_intensity(graphs)
spread = operators.groupby(["model", "batch", "kind"], sort=False)["ops_per_byte"].agg(["min", "max"])
print(spread.round(2).to_string())
picture = plot_crossover(device, operators)

# %% [markdown]
# ## The choice is no worse than either side alone
#
# Every model and batch with each unit: all on the cores, all that PIM can do on PIM, each operator by its operations
# per byte against those of the unit, each where it is done first, and experts divided between both at the same time.
# Dense products stay on the cores in all of them.

# %%
rows = []
for (model, batch), graph in graphs.items():
    for unit in (Unit.LOGIC, Unit.BANK):
        ways = {choice.value: {"choice": choice} for choice in Choice}
        if load_model(model).moe is not None:
            ways["divided"] = {"coprocessing": True}
        took = {
            name: 1e3 * step_time(Machine(device=device, pim=unit, **SYSTEMS[model], **way), graph).seconds
            for name, way in ways.items()
        }
        rows.append({"model": model, "batch": batch, "unit": unit.value, **took})
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
