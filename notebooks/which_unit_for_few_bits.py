# %% [markdown]
# # Which unit for weights of few bits?
#
# A unit that multiplies widens every weight to the format of the activations, so that one bit costs what eight do. A
# unit that looks up sums, or adds bit by bit, takes a cycle for each plane of the weights: it is small where there are
# few. Where do the two meet? Areas and energies are of 28 nm (LUT Tensor Core, arXiv 2408.06003, Tables 1 and 2, and
# cells counted from there); all units run at the clock of its Table 1, and each is as large as 1 mm2 allows.
#
# Elements of BitMoD, OliVe, ANT and BitFusion (dashed) were synthesised by others, at other clocks and with other
# things inside: what sets them apart from each other says more than what sets them apart from the rest. BitMoD's own
# FP16 element, for one, is twice as large as the FP16 multiplier here.

# %%
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator

from cairn.hw_models.compute.units.catalogue import Wanted, unit, unit_kinds
from cairn.hw_models.compute.units.contract import density_tops_per_mm2, mm2_per_mac
from cairn.hw_models.compute.units.technology import scaling

FORMATS = ("int8", "fp16", "fp8")
BITS = tuple(range(1, 9))
CLOCK_GHZ = 1.41
EQUAL = 1e-9
PREFILL, DECODE = (2048, 4096, 4096), (1, 4096, 4096)

# %% [markdown]
# ## The figures of every unit
#
# `lut-int8` is built anew for each width: its tables are INT8 with a scale each, and the units that multiply by these
# scales are as many as weights of so many planes need. A product of one row (a token of a decode step) leaves most rows
# of a multiplying unit idle; the look-up arrays have two.


# %%
def achieved_tops(built, product: tuple[int, int, int], bits: int) -> float:
    """Operations of the product over the time that it takes."""
    return 2e-3 * np.prod(product) / int(built.cycles(*product, bits)) * CLOCK_GHZ


rows = []
for activation in FORMATS:
    for name in unit_kinds:
        if activation not in unit_kinds.get(name).formats:
            continue
        for bits in BITS:
            built = unit(name, Wanted(activation, clock_ghz=CLOCK_GHZ, least_planes=bits))
            rows.append({
                "activation": activation, "unit": name, "bits": bits,
                "um2_per_mac": 1e6 * float(mm2_per_mac(built, bits)), "pj_per_mac": float(built.mac_pj(bits)),
                "tops_per_mm2": float(density_tops_per_mm2(built, bits)),
                "prefill_tops": achieved_tops(built, PREFILL, bits), "decode_tops": achieved_tops(built, DECODE, bits),
            })  # fmt: skip
figures = pd.DataFrame(rows)
print(figures[figures["bits"] == 2].round(3).to_string(index=False))

# %% [markdown]
# ## Where they meet
#
# Up to how many bits a unit takes less area, or less energy, for a multiply-accumulate than the MACs of its format.


# %%
def curve(activation: str, name: str, quantity: str) -> np.ndarray:
    """The quantity of one unit over the bits."""
    mine = figures[(figures["activation"] == activation) & (figures["unit"] == name)]
    return mine.sort_values("bits")[quantity].to_numpy()


def below_mac(activation: str, name: str, quantity: str) -> int:
    """The most bits up to which the unit takes less than a MAC; 0 where it never does."""
    less = curve(activation, name, quantity) < curve(activation, "mac", quantity) * (1 - EQUAL)
    return len(BITS) if less.all() else int(np.argmin(less))


PER_MAC = {"um2_per_mac": "area", "pj_per_mac": "energy"}
pairs = figures[~figures["unit"].isin(["mac", "systolic"])][["activation", "unit"]].drop_duplicates()
crossovers = pairs.assign(**{
    what: [below_mac(activation, name, key) for activation, name in pairs.itertuples(index=False)]
    for key, what in PER_MAC.items()
})  # fmt: skip
print(crossovers.to_string(index=False))

# %% [markdown]
# ## The pictures
#
# A ring marks where a unit's curve passes that of the MACs, whose cells a systolic array has as well. An FP8 multiplier
# is so small that look-up units lose early. INT8 tables under FP16 pay for their scales with weights of one or two
# bits, and beat tables of FP16 from three on.

# %%
OTHERS = ("ant", "bitfusion", "bitmod", "olive")
STYLES = {
    name: {"color": color, "marker": marker, "markersize": 4, "linewidth": 1.3, "linestyle": "-"}
    for name, color, marker in (
        ("lut", "C3", "^"), ("lut-int8", "C4", "v"), ("figlut", "C2", "D"), ("unpu", "C5", "*"), ("add", "C0", "o"),
        ("conventional-lut", "C1", "s"), ("bitmod", "C6", "P"), ("olive", "C8", "h"), ("ant", "C9", "X"),
        ("bitfusion", "C7", "d"), ("mac", "black", "."), ("systolic", "black", None),
    )
}  # fmt: skip
STYLES["mac"] |= {"linewidth": 2.2}
STYLES["systolic"] |= {"linestyle": ":"}
for name in OTHERS:
    STYLES[name] |= {"linestyle": "--"}


def crossing(first: np.ndarray, second: np.ndarray) -> tuple[float, float] | None:
    """Where the first curve, below at one bit, first passes the second; between bits, logarithms are straight lines."""
    gap = np.log(first / second)
    at = int(np.argmax(gap >= -EQUAL))
    if at == 0:
        return None
    share = gap[at - 1] / (gap[at - 1] - gap[at])
    return BITS[at - 1] + share, float(np.exp(np.log(second[at - 1]) * (1 - share) + np.log(second[at]) * share))


def draw(axis: plt.Axes, activation: str, quantity: str) -> None:
    """One panel: all units of a format."""
    for name in STYLES:
        if activation not in unit_kinds.get(name).formats:
            continue
        if name == "systolic" and quantity in PER_MAC:
            continue
        mine = curve(activation, name, quantity)
        axis.plot(BITS, mine, label=name, **STYLES[name])
        meets = crossing(mine, curve(activation, "mac", quantity)) if quantity in PER_MAC else None
        if meets is not None:
            axis.plot(*meets, "o", markersize=11, fillstyle="none", color=STYLES[name]["color"], zorder=5)
    axis.set(yscale="log", xticks=BITS)
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.minorticks_off()
    axis.grid(alpha=0.3)


def page(quantities: dict[str, str], title: str) -> plt.Figure:
    """A row of panels for each quantity, a column for each format; the legend stands below them."""
    sheet, axes = plt.subplots(len(quantities), 3, figsize=(12, 1.4 + 3.6 * len(quantities)), sharex=True, sharey="row")
    for line, (quantity, label) in zip(axes, quantities.items(), strict=True):
        for axis, activation in zip(line, FORMATS, strict=True):
            draw(axis, activation, quantity)
        line[0].set_ylabel(label)
    for axis, activation in zip(axes[0], FORMATS, strict=True):
        axis.set_title(f"{activation.upper()} activations")
    for axis in axes[-1]:
        axis.set_xlabel("bits of a weight")
    shown = {label: line for axis in axes.flat for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    found = {name: shown[name] for name in STYLES if name in shown}
    height = sheet.get_figheight()
    sheet.suptitle(title)
    sheet.legend(found.values(), found.keys(), loc="lower center", ncol=6, bbox_to_anchor=(0.5, 0.3 / height))
    sheet.text(0.5, 0.1 / height, caption, ha="center", fontsize=8)
    sheet.tight_layout(rect=(0, 0.9 / height, 1, 1 - 0.1 / height))
    return sheet


smaller = scaling(28, 7)
caption = (
    f"28 nm at {CLOCK_GHZ} GHz. At 7 nm: area x {smaller.area:.2f}, energy x {smaller.energy:.2f} for all units alike "
    "(Stillmaker and Baas, Integration 58, 2017)."
)
costs = page(
    {"um2_per_mac": "um2 for a MAC each cycle", "pj_per_mac": "pJ for a MAC, arrays alone"},
    "What a multiply-accumulate takes (rings: where a unit passes the MACs)",
)
rates = page(
    {
        "tops_per_mm2": "peak TOPS/mm2",
        "prefill_tops": "TOPS of 1 mm2, 2048 x 4096 x 4096",
        "decode_tops": "TOPS of 1 mm2, 1 x 4096 x 4096",
    },
    "What equal areas reach",
)
