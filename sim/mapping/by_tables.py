"""Which products a chip's LUT unit does, and what that asks of the mapping: whole groups along k, tables in place of x.

Lowering and the analytical twin ask here, so that both choose the same unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.compute.lut.spec import weight_planes
from cairn.hw_models.compute.lut.sram import table_bits_per_element
from cairn.sim.mapping.options import MappingSpec, Precompute
from cairn.workloads.graph import Block, Operator, OpKind

WEIGHTED: Final = (OpKind.MATMUL, OpKind.GROUPED_MATMUL, OpKind.HEAD_MATMUL)
"""Products whose second operand are weights."""


@dataclass(frozen=True)
class ByTables:
    """How a LUT unit does a product x w: plain numbers that rank splits.

    group       elements of a row of x that one table stands for; blocks of k are whole groups
    group_adds  additions of the vector unit from which a table is made
    held_bits   SRAM bits for each element of x: its share of the tables, and itself where it is kept beside them
    columns     columns of w that the unit looks up at a time
    fused       whether tables are made of values on their way into the SRAM
    """

    group: int
    group_adds: int
    held_bits: float
    columns: int
    fused: bool

    @property
    def adds(self) -> float:
        """Additions for each element of x."""
        return self.group_adds / self.group

    def sram_bits(self, x_bits: float) -> float:
        """SRAM bits that are moved to make the tables of an element: x is read and tables are written; where they are
        fused, tables are written in place of x, so that only what they have more counts."""
        return max(self.held_bits - x_bits, 0.0) if self.fused else self.held_bits


def planes_of(chip: ChipSpec, block: Block, operator: Operator) -> int | None:
    """Bit planes of an operator's weights where a LUT unit of `chip` does it; None where a matrix unit does."""
    if operator.kind not in WEIGHTED:
        return None
    x, w = (block.tensor(name).bits for name in operator.inputs[:2])
    return None if chip.lut_for(x, w) is None else int(weight_planes(w))


def by_tables(chip: ChipSpec, options: MappingSpec, x_bits: float, w_bits: float) -> ByTables | None:
    """How the LUT unit of `chip` does a product of activations of `x_bits` and weights of `w_bits` (bits an element);
    None where the matrix unit does it."""
    lut = chip.lut_for(x_bits, w_bits)
    if lut is None:
        return None
    fused = options.precompute is Precompute.FUSED
    table = table_bits_per_element(lut)
    adds = int(lut.precompute_adds(1, lut.k))
    return ByTables(lut.k, adds, table if fused else table + x_bits, lut.n, fused)
