"""Units of objectives and constraints: `W/mm2` as a factor and a dimension, so that only like things are compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

BASES: Final = ("s", "J", "m2", "byte", "token", "op", "USD")
"""What every unit is made of; area counts as a base because nothing here is a length."""

_ATOMS: Final[Mapping[str, tuple[float, Mapping[str, int]]]] = {
    "s": (1.0, {"s": 1}), "ms": (1e-3, {"s": 1}), "us": (1e-6, {"s": 1}), "ns": (1e-9, {"s": 1}),
    "ps": (1e-12, {"s": 1}), "min": (60.0, {"s": 1}), "h": (3600.0, {"s": 1}),
    "Hz": (1.0, {"s": -1}), "MHz": (1e6, {"s": -1}), "GHz": (1e9, {"s": -1}),
    "J": (1.0, {"J": 1}), "kJ": (1e3, {"J": 1}), "mJ": (1e-3, {"J": 1}), "uJ": (1e-6, {"J": 1}),
    "nJ": (1e-9, {"J": 1}), "pJ": (1e-12, {"J": 1}), "kWh": (3.6e6, {"J": 1}),
    "W": (1.0, {"J": 1, "s": -1}), "kW": (1e3, {"J": 1, "s": -1}), "mW": (1e-3, {"J": 1, "s": -1}),
    "m2": (1.0, {"m2": 1}), "cm2": (1e-4, {"m2": 1}), "mm2": (1e-6, {"m2": 1}),
    "B": (1.0, {"byte": 1}), "byte": (1.0, {"byte": 1}), "bytes": (1.0, {"byte": 1}), "bit": (0.125, {"byte": 1}),
    "kB": (1e3, {"byte": 1}), "MB": (1e6, {"byte": 1}), "GB": (1e9, {"byte": 1}), "TB": (1e12, {"byte": 1}),
    "KiB": (2.0**10, {"byte": 1}), "MiB": (2.0**20, {"byte": 1}), "GiB": (2.0**30, {"byte": 1}),
    "token": (1.0, {"token": 1}), "tokens": (1.0, {"token": 1}),
    "op": (1.0, {"op": 1}), "ops": (1.0, {"op": 1}), "Tops": (1e12, {"op": 1}),
    "USD": (1.0, {"USD": 1}), "$": (1.0, {"USD": 1}), "%": (0.01, {}), "1": (1.0, {}),
}  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """`factor` of a unit in terms of the base units, and the exponent of each of BASES."""

    factor: float
    powers: tuple[int, ...]

    def __mul__(self, other: Unit) -> Unit:
        powers = tuple(a + b for a, b in zip(self.powers, other.powers, strict=True))
        return Unit(self.factor * other.factor, powers)

    def __truediv__(self, other: Unit) -> Unit:
        return self * other**-1

    def __pow__(self, power: int) -> Unit:
        return Unit(self.factor**power, tuple(power * each for each in self.powers))

    def same_kind(self, other: Unit) -> bool:
        """Whether values of the two can be compared."""
        return self.powers == other.powers

    @property
    def kind(self) -> str:
        """The dimension in base units, such as `J/m2`; `a plain number` when there is none."""
        above = [_power(name, power) for name, power in zip(BASES, self.powers, strict=True) if power > 0]
        below = [_power(name, -power) for name, power in zip(BASES, self.powers, strict=True) if power < 0]
        if not above and not below:
            return "a plain number"
        return " ".join(above or ["1"]) + "".join(f"/{each}" for each in below)


def _power(name: str, power: int) -> str:
    return name if power == 1 else f"{name}^{power}"


PLAIN: Final = Unit(1.0, (0,) * len(BASES))


def parse_unit(text: str) -> Unit:
    """The unit that `text` names: names of `known_units` joined by spaces, `*` and `/`; else ValueError."""
    unit, sign = PLAIN, 1
    parts = [part for part in re.split(r"\s*([*/])\s*|\s+", text.strip()) if part]
    if not parts or parts[-1] in "*/":
        raise ValueError(f"{text!r} is no unit")
    for part in parts:
        if part in "*/":
            sign = 1 if part == "*" else -1
            continue
        if part not in _ATOMS:
            raise ValueError(f"{part!r} is no known unit")
        factor, powers = _ATOMS[part]
        unit = unit * Unit(factor, tuple(powers.get(name, 0) for name in BASES)) ** sign
        sign = 1
    return unit


def known_units() -> list[str]:
    """Names that a unit may be made of."""
    return sorted(_ATOMS)


def slug(text: str) -> str:
    """A unit as part of a column name: `W/mm2` gives `w_per_mm2`."""
    words = text.strip().replace("%", "percent").replace("$", "usd").lower()
    return re.sub(r"[\s*]+", "_", re.sub(r"\s*/\s*", "_per_", words))
