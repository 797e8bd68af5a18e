"""Which shape of a look-up array is best: all m x n x k of a number of lanes, by area times power.

What an array is given must be held while it works on it: its m tables as long as the planes last, and the k x n bits
of the present plane. These registers belong to the core and not to the array whose area is published; in a search they
count, since they are what a shape changes: m tables of 2^(k-1) entries against k n bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cairn.hw_models.compute.units.blocks import Activation
from cairn.hw_models.compute.units.look_up import LutTensorCore

MAX_GROUP = 8
"""As `LutSpec.k`: a table of 9 activations has 256 entries."""


@dataclass(frozen=True)
class Shape:
    """A shape with area in um2 and power in mW at 1 GHz at 28 nm, operand registers included; per lane where asked."""

    m: int
    n: int
    k: int
    um2: float
    mw: float

    @property
    def product(self) -> float:
        """Area times power: what the shapes of equal lanes are ranked by (LUT Tensor Core, section 4.2.2)."""
        return self.um2 * self.mw


def best_first(activation: Activation, lanes: int = 512) -> list[Shape]:
    """All shapes of `lanes` lanes, the least area times power first; ties in the order of larger n."""
    shapes = [_with_registers(activation, *shape) for shape in _shapes(lanes)]
    return sorted(shapes, key=lambda shape: (round(shape.product, 6), -shape.n))


def single_units(activation: Activation) -> list[Shape]:
    """One look-up unit for each k from 1 to 8, area and power per lane: tables come from outside, as in an array."""
    shapes = []
    for k in range(1, MAX_GROUP + 1):
        unit = LutTensorCore(activation=activation, m=1, n=1, k=k)
        shapes.append(Shape(1, 1, k, unit.area_mm2 * 1e6 / k, float(unit.mac_pj(1))))
    return shapes


def ties(ranked: list[Shape], within: float = 1e-3) -> list[Shape]:
    """The shapes of `best_first` whose area times power is that of the best one, to a share `within`; the best among
    them."""
    return [shape for shape in ranked if shape.product <= ranked[0].product * (1 + within)]


def register_bits(activation: Activation, m: int, n: int, k: int) -> int:
    """Bits of registers of a shape's operands: m tables of 2^(k-1) entries, and k n bits of a plane of weights."""
    unit = LutTensorCore(activation=activation, m=m, n=n, k=k)
    return m * unit.table_entries * unit.activation_bits + k * n


def _shapes(lanes: int) -> Iterator[tuple[int, int, int]]:
    for k in range(1, MAX_GROUP + 1):
        for m in range(1, lanes // k + 1):
            if lanes % (k * m) == 0:
                yield m, lanes // (k * m), k


def _with_registers(activation: Activation, m: int, n: int, k: int) -> Shape:
    unit = LutTensorCore(activation=activation, m=m, n=n, k=k)
    gates = unit.cells.registers(register_bits(activation, m, n, k))
    um2 = unit.area_mm2 * 1e6 + gates * unit.anchors.um2_per_gate(unit.cells)
    mw = float(unit.mac_pj(1)) * m * n * k + gates * unit.anchors.pj_per_gate(unit.cells)
    return Shape(m, n, k, um2, mw)
