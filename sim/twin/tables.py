"""What it costs to make the tables of LUT units, on the vector unit of every core that has a copy of activations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.choose import Choice
from cairn.sim.mapping.grid import split_sizes
from cairn.sim.mapping.matmul_cost import MatmulShape
from cairn.sim.twin.machine import Machine

if TYPE_CHECKING:
    from cairn.sim.twin.product import Network

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TableWork:
    """Tables of a product, arrays (designs,): cycles of a core's vector unit for one of the parts in which x of a pass
    comes, and for all of them; those of the passes after the first, which it makes beside the product; events of all
    cores together."""

    part: FloatArray
    parts: FloatArray
    later: FloatArray
    adds: FloatArray
    sram_bytes: FloatArray

    def after(self, network: Network) -> Network:
        """The network with the tables of the first pass before its first tile: each part's are made once it is there,
        while the next one is on its way."""
        return replace(network, first=np.maximum(network.first + self.part, self.parts))


def tables_of(
    machine: Machine, shape: MatmulShape, choice: Choice, rows: IntArray, k: IntArray, again: BoolArray
) -> TableWork:
    """Work on tables of blocks of `rows` of a pass and `k` columns (designs,); none on designs that have them already,
    `again`, or where no LUT unit does the product."""
    tables, none = shape.tables, np.zeros(machine.designs)
    if tables is None:
        return TableWork(none, none, none, none, none)
    gn = split_sizes(machine.grid.rows, machine.grid.columns)[choice.split][:, 1]
    count: Any = np.ones_like(gn) if machine.spmd else gn
    groups = -(-k // tables.group)
    part = machine.table_cycles(tables, rows * -(-groups // count) * tables.group_adds) * ~again
    parts = part * np.minimum(count, groups)
    new = shape.m * gn * ~again
    added = new * -(-shape.k // tables.group) * tables.group_adds
    moved = new * shape.k * tables.sram_bits(shape.x_bits) / 8
    arrays = (part, parts, parts * (choice.passes - 1), added, moved)
    return TableWork(*(machine.array(each) for each in arrays))
