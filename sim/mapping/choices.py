"""The mapping choices of a whole block: the split of every matrix product, each in view of the one before it.

Where a product's input was left by another product, with operators between them that work in place, bringing it into
the new split's layout is part of the cost. The choices of a block depend on nothing outside it, so that all instances
of a repeated block are lowered alike, and the analytical twin finds the same ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from cairn.hw_models.chip import ChipSpec
from cairn.sim.mapping.by_tables import ByTables, by_tables
from cairn.sim.mapping.choose import MatmulMapping, choose_matmul
from cairn.sim.mapping.grid import Grid, Split
from cairn.sim.mapping.matmul_cost import MatmulShape
from cairn.sim.mapping.options import MappingSpec
from cairn.workloads.graph import Block, Operator, OpKind


def matmul_shape(
    block: Block, operator: Operator, options: MappingSpec, chip: ChipSpec | None = None
) -> MatmulShape:  # fmt: skip
    """The product that a matmul operator asks for, on the unit of `chip` that does it (None: a matrix unit)."""
    x, w, y = (block.tensor(name) for name in (*operator.inputs[:2], operator.outputs[0]))
    quantum = columns_together(block, operator.outputs[0])
    tables = None if chip is None else by_tables(chip, options, x.bits, w.bits)
    return MatmulShape(
        y.rows, y.columns, x.columns, x.bits, w.bits, float(options.partial_sum_bits), whole_groups(quantum, tables),
        tables,
    )  # fmt: skip


def whole_groups(columns: int, tables: ByTables | None) -> int:
    """Columns of a result that must stay together: of one that a LUT unit makes whole groups, since what follows it may
    be looked up as well, its columns halved where gate and up alternate."""
    return columns if tables is None else columns * tables.group


def columns_together(block: Block, name: str) -> int:
    """Columns of a tensor that must stay together: two where gate and up alternate."""
    for operator in block.operators:
        if operator.kind is OpKind.ACTIVATION and operator.inputs == (name,):
            return block.tensor(name).columns // block.tensor(operator.outputs[0]).columns
    return 1


_recent: deque[tuple[Block, ChipSpec, Grid, MappingSpec, Mapping[str, MatmulMapping]]] = deque(maxlen=16)
"""What was chosen last: a run asks for the same blocks several times."""


def choose_block(block: Block, chip: ChipSpec, grid: Grid, options: MappingSpec) -> Mapping[str, MatmulMapping]:
    """The mapping of every matmul operator of a block, by its name.

    A block whose output may become its own input (a layer) is taken as following itself if that settles: the split of
    the product that leaves the output then counts for the first one.
    """
    for known_block, known_chip, known_grid, known_options, chosen in _recent:
        if known_block is block and known_chip is chip and known_options is options and known_grid == grid:
            return chosen
    mappings, left = _choose(block, chip, grid, options, None)
    if block.input is not None and left is not None:
        following, again = _choose(block, chip, grid, options, left)
        mappings = following if again == left else mappings
    _recent.append((block, chip, grid, options, mappings))
    return mappings


def busy_share(block: Block, chip: ChipSpec, grid: Grid, options: MappingSpec) -> float:
    """For what part of the estimated time of a block's products the matrix units have work; 0 where none is on them."""
    mappings = choose_block(block, chip, grid, options)
    took = sum(mapping.cycles for mapping in mappings.values())
    if chip.lut_unit is not None or chip.peak_macs_per_cycle == 0 or took == 0:
        return 0.0
    work = sum(operator.matrix_ops for operator in block.operators if operator.name in mappings) / 2
    return work / (chip.peak_macs_per_cycle * took)


def _choose(
    block: Block, chip: ChipSpec, grid: Grid, options: MappingSpec, before: Split | None
) -> tuple[dict[str, MatmulMapping], Split | None]:
    """Choices given how the block's input lies, and the split in which its output lies."""
    lies: dict[str, Split | None] = {}
    if block.input is not None:
        lies[block.input] = before
    mappings: dict[str, MatmulMapping] = {}
    for operator in block.operators:
        y = operator.outputs[0]
        if operator.kind is OpKind.MATMUL:
            shape = matmul_shape(block, operator, options, chip)
            mapping = choose_matmul(shape, chip, grid, options, lies.get(operator.inputs[0]))
            mappings[operator.name], lies[y] = mapping, mapping.split
        elif operator.kind is OpKind.NORM and operator.attention is None:
            lies[y] = lies.get(operator.inputs[0])
        elif operator.kind in (OpKind.ACTIVATION, OpKind.ADD):  # the result lies where the last input does
            lies[y] = lies.get(operator.inputs[-1])
    return mappings, lies.get(block.output)
