"""Numbers and names for people: three digits and a decimal prefix; unit classes spelled out."""

from __future__ import annotations

from typing import Final

PREFIXES: Final = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"),
                   (1e-9, "n"), (1e-12, "p"))  # fmt: skip


def si(value: float, unit: str) -> str:
    """`value` to three digits with a decimal prefix: 1234 "B" is "1.23 kB". Zero is "-"."""
    if value == 0:
        return "-"
    for scale, prefix in PREFIXES:
        scaled = value / scale
        if abs(scaled) >= 0.9995:
            digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
            return f"{scaled:,.{digits}f} {prefix}{unit}"
    return f"{value:.2g} {unit}"


def si_of(value: float, peak: float, unit: str) -> str:
    """`value` beside the `peak` (> 0) that it is part of, in the peak's unit: "178 of 188 GB/s (95%)"."""
    shown = si(peak, unit)
    prefix = shown.split(" ")[1].removesuffix(unit)
    scale = next(scale for scale, name in PREFIXES if name == prefix)
    return f"{value / scale:.3g} of {shown} ({value / peak:.0%})"


def si_bytes(count: float) -> str:
    """Bytes with a decimal prefix."""
    return si(float(count), "B")


def si_time(seconds: float) -> str:
    """A time in ns, µs, ms or s."""
    return si(float(seconds), "s")


LABELS: Final = {
    "matrix": "matrix unit",
    "lut": "LUT unit",
    "vector": "vector unit",
    "dram": "DRAM",
    "noc": "NoC",
    "latency": "latency and synchronisation",
    "load": "load DMA",
    "store": "store DMA",
}


def label(name: str) -> str:
    """A unit class or limiting resource spelled out; a name that is not known stands for itself."""
    return LABELS.get(name, name)
