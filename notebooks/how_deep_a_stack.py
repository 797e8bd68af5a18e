# %% [markdown]
# # How deep a stack?
#
# More DRAM layers bring more wires to every core of a die, and their vias take room from cores. The sweep `stack-depth`
# asks DeepStack's question (arXiv 2604.04750) of a die of 160 mm2; this is what bounds its designs, and what three of
# them reach in the simulator.

# %%
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cairn.dse import load_sweep
from cairn.dse.evaluate import configured
from cairn.hw_models.dram.effective import core_mm2, effective_bandwidth
from cairn.sim.report.result import Result
from cairn.sim.run import simulate
from cairn.sim.twin.twin import laid_over

sweep = load_sweep("stack-depth")
workload = sweep.workloads[0]


def design(sram_kib: int, layers: int, connected: int) -> Any:
    """The run of one design of the sweep."""
    wanted = {"sram_kib": sram_kib, "chip.dram.stack.layers": layers, f"connected_{sram_kib}": connected}
    numbers = np.concatenate(list(sweep.space.blocks())).tolist()
    return configured(workload, sweep, next(n for n in numbers if sweep.space.labels(n) == wanted))


# %% [markdown]
# ## What bounds the bandwidth
#
# With twelve layers: the wires of all cores grow with the connected layers, the ports of the SRAM and the bytes under
# way fall with the number of cores, and beyond half of the layers a single bank has to give row after row, so that
# nothing hides its recharge.

# %%
CONNECTED = (1, 2, 3, 4, 6, 8, 10, 12)
rows = []
for sram in (128, 256, 512):
    for connected in CONNECTED:
        chip = design(sram, 12, connected).chip
        found = effective_bandwidth(chip)
        rows.append({
            "sram_kib": sram, "connected": connected, "cores": chip.core_count,
            "mm2": round(core_mm2(chip) * chip.core_count, 1), **{k: round(v) for k, v in found.terms.items()},
            "effective": round(found.gb_per_s), "limited_by": found.limited_by,
        })  # fmt: skip
terms = pd.DataFrame(rows)
print(terms.to_string(index=False))

# %% [markdown]
# ## All layers connected
#
# DeepStack's curve: every layer that is there is connected. Two banks of each layer over each core hide the recharge.
# Cores are counted one by one here, in the sweep by eights, for the sake of their grid.

# %%
rows = []
for sram, core in ((256, 1.7199), (512, 1.8669)):
    for depth in range(1, 13):
        settings = {
            "chip.dram.stack.layers": depth, "chip.dram.stack.connected_layers": depth, "chip.cores.rows": 1,
            "chip.cores.columns": int(160 / (core + 0.08 * depth)), "chip.dram.stack.banks_per_core_and_layer": 2,
        }  # fmt: skip
        chip = laid_over(design(sram, 12, 12), settings).chip
        found = effective_bandwidth(chip)
        rows.append({
            "sram_kib": sram, "layers": depth, "cores": chip.core_count, "effective": found.gb_per_s,
            "limited_by": found.limited_by,
        })  # fmt: skip
deep = pd.DataFrame(rows)
print(deep.round(0).to_string(index=False))

# %% [markdown]
# ## What the simulator says
#
# One decode step at the peak and on both sides of it, with a controller on each channel: below it wires bound it, above
# it banks, more than the closed form says, since several tiles are in flight at a time.

# %%
simulated = {}
for connected in (2, 6, 12):
    headline = Result(simulate(design(256, 12, connected))).headline()
    simulated[connected] = headline["dram_gb_per_s"]
    print(f"{connected:2} connected: {headline['latency_s'] * 1e3:.2f} ms a step, {simulated[connected]:,.0f} GB/s")

# %%
figure, axes = plt.subplots(figsize=(7, 4))
for sram, part in terms.groupby("sram_kib"):
    axes.plot(part["connected"], part["effective"] / 1000, marker="o", label=f"{sram} KiB, 12 layers")
for sram, part in deep.groupby("sram_kib"):
    axes.plot(part["layers"], part["effective"] / 1000, "--", label=f"{sram} KiB, all layers connected, two banks each")
axes.plot(list(simulated), np.array(list(simulated.values())) / 1000, "s", color="C1", label="256 KiB, simulated")
axes.set(xlabel="connected layers", ylabel="TB/s", title="Effective bandwidth of a die of 160 mm2")
axes.legend()
figure.tight_layout()
