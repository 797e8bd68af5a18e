# %% [markdown]
# # Reading a result
#
# One run of the shipped demo, looked at from four sides: which operators take the time, how busy the units are, why
# bytes move, and what one parameter of the chip changes. The cells are marked with `# %%`, so editors with notebook
# support (and Jupyter through jupytext) open this file as a notebook; `python notebooks/read_a_result.py` runs it too.

# %%
import tempfile
from pathlib import Path

import pandas as pd

import cairn
from cairn.sim.report.series import utilisation_series

result = cairn.simulate("demo")
print(result)
print(f"the greatest speed-of-light bound is {result.efficiency:.0%} of the latency")

# %% [markdown]
# ## Operators
#
# Time is charged to the first unfinished operator, so the column sums to the latency. `efficiency` is the operator's
# own bound over its time; it exceeds 1 where operands arrived while earlier operators ran.

# %%
operators = result.operators
columns = ["operator", "repeat", "time_us", "time_share", "bound", "efficiency", "limiting"]
print(operators.nlargest(6, "time_us")[columns].to_string(index=False))
print(f"sum {operators['time_us'].sum():.3f} us, latency {1e6 * result.latency_s:.3f} us")

# %% [markdown]
# ## Bandwidth over time
#
# What the plot `utilisation.png` shows, as numbers: bytes moved in each of 20 bins over what the peak bandwidth moves,
# and the mean share of busy matrix units. The series has the simulated blocks alone, not
# those that repeat them.

# %%
series = utilisation_series(result, bins=20)
usage = pd.DataFrame({"from_us": series.edges_us[:-1], "dram": series.share["dram"], "matrix": series.share["matrix"]})
print(usage.round(2).to_string(index=False))

# %% [markdown]
# ## Bytes
#
# Every byte moves for a stated cause. What exceeds `unique` is the price of the mapping.

# %%
print(result.bytes.to_string(index=False))

# %% [markdown]
# ## One parameter
#
# Any key of a run can be overridden, as with `--set` on the command line. Six layers are enough to see the trend: a
# faster DRAM always helps, each doubling less than the one before, and the distance to the speed of light grows.

# %%
rows = []
for bandwidth_gb_per_s in (16, 32, 64, 128):
    point = cairn.simulate("demo", ["model.layers=6", f"chip.dram.bandwidth_gb_per_s={bandwidth_gb_per_s}"])
    rows.append(
        {
            "bandwidth_gb_per_s": bandwidth_gb_per_s,
            "latency_ms": 1e3 * point.latency_s,
            "bound_ms": 1e3 * max(point.bound_s.values()),
            "efficiency": point.efficiency,
            "mj_per_token": 1e3 * point.energy_j / point.tokens,
            "limited_by": next(iter(point.time_by_limiting())),
        }
    )
sweep = pd.DataFrame(rows)
print(sweep.round(3).to_string(index=False))

# %% [markdown]
# ## Files
#
# `save` writes what `cairn run --out` writes; the tables are plain Parquet, for whatever reads it.

# %%
with tempfile.TemporaryDirectory() as scratch:
    folder = result.save(Path(scratch) / "demo")
    print(sorted(file.name for file in folder.iterdir()))
    tasks = pd.read_parquet(folder / "tasks.parquet")
print(tasks.iloc[0].to_string())
