"""Lowering of routed experts: sending tokens to experts, their products, adding the results up.

Rows of dispatched tensors are sorted by expert and, within one, by token. So the rows of an expert that a piece of x
holds follow each other, and what is where stays a rectangle.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec
from cairn.sim.mapping.by_tables import by_tables
from cairn.sim.mapping.choices import columns_together, whole_groups
from cairn.sim.mapping.choose import MatmulMapping, choose_matmul
from cairn.sim.mapping.context import NONE, Scope
from cairn.sim.mapping.grouped import Grouped, lower_grouped
from cairn.sim.mapping.matmul_cost import MatmulShape
from cairn.sim.mapping.options import MappingSpec
from cairn.sim.mapping.pieces import Pieces, wanted
from cairn.sim.mapping.pim_choice import all_on_units, may_do_products
from cairn.sim.mapping.pim_product import lower_product
from cairn.sim.mapping.product_work import Product
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Tile
from cairn.workloads.graph import Block, Operator

IntArray = npt.NDArray[np.int64]

MANY_EXPERTS = 16
"""Up to so many experts in use, all cores work on one expert after the other; beyond, experts get cores of their own
(assumed: splitting each of few large experts over all cores balances uneven loads)."""


def sorted_stretches(
    rows: tuple[int, ...], sizes: tuple[int, ...], pieces: Pieces
) -> tuple[IntArray, IntArray, IntArray]:  # fmt: skip
    """(piece, begin, end) of the stretches of sorted rows that the token rows of each piece have, neighbouring ones
    joined. `rows` are the tokens of the sorted rows, `sizes` how many of them each expert has (none: one group)."""
    token, size = np.array(rows), np.array(sizes or (len(rows),))
    ends = np.cumsum(size)
    used = size > 0
    low = np.empty((pieces.count, int(used.sum())), dtype=np.int64)
    high = np.empty_like(low)
    for column, (a, b) in enumerate(zip((ends - size)[used], ends[used], strict=True)):
        low[:, column] = a + np.searchsorted(token[a:b], pieces.rect[:, 0])
        high[:, column] = a + np.searchsorted(token[a:b], pieces.rect[:, 1])
    piece, expert = np.nonzero(high > low)
    begin, end = low[piece, expert], high[piece, expert]
    new = np.ones(piece.size, dtype=bool)
    new[1:] = (piece[1:] != piece[:-1]) | (begin[1:] != end[:-1])
    first = np.nonzero(new)[0]
    last = np.append(first[1:], piece.size) - 1
    return piece[first], begin[first], end[last]


def lower_dispatch(scope: Scope, operator: Operator) -> None:
    """Rows of x in expert order, made by each core from the rows and columns that it holds."""
    x_name, y_name = operator.inputs[0], operator.outputs[0]
    x, op = scope.pieces[x_name], scope.op(operator)
    piece, begin, end = sorted_stretches(operator.rows, operator.row_groups, x)
    rect = np.stack([begin, end, x.rect[piece, 2], x.rect[piece, 3]], axis=1)
    decided = _decision(scope, operator, x.core[piece])
    y = Pieces(x.core[piece], rect, x.ready[piece])
    tile = Tile(op, actions.GATHER, (begin, end), (rect[:, 2], rect[:, 3]))
    done = scope.vector(y.core, tile, "copy", y.elements, [y.ready, decided])
    scope.pieces[y_name] = Pieces(y.core, y.rect, done)


def _decision(scope: Scope, operator: Operator, core: IntArray) -> IntArray:
    """The routing decision on every core that needs it: a few bytes a token from those that took it."""
    if len(operator.inputs) < 2:
        return np.full(core.size, NONE, dtype=np.int64)
    name = operator.inputs[1]
    tensor = scope.block.tensor(name)
    unique, index = np.unique(core, return_inverse=True)
    known = scope.known.get(name)
    if known is None or not np.array_equal(known.core, unique):
        known = scope.bring(name, wanted(unique, 0, tensor.rows, 0, tensor.columns), scope.op(operator), "share")
        scope.known[name] = known
    return known.ready[index]


def lower_grouped_matmul(scope: Scope, operator: Operator) -> None:
    """The experts' products: one expert after the other on all cores, or each on cores of its own.

    Where PIM units do products, they do those of many experts one after the other too: always by `products` and `all`,
    with `auto` if the units need less time for all of them than all cores would.
    """
    x = scope.block.tensor(operator.inputs[0])
    size = np.array(operator.group_rows)
    used = np.nonzero(size > 0)[0]
    end = np.cumsum(size)
    chip, grid, options = scope.chip, scope.grid, scope.stage.options
    tables = by_tables(chip, options, x.bits, scope.bits(operator.inputs[1]))
    widest = int(size.max()) * x.columns * (x.bits if tables is None else tables.held_bits) / 8
    many = used.size > MANY_EXPERTS and widest <= chip.sram.capacity_kib * 1024 / 4
    if many and not may_do_products(chip, options):
        _cores_of_their_own(scope, operator, used, size, end)
        return
    shapes = [expert_shape(scope.block, operator, rows, options, chip) for rows in size[used].tolist()]
    mappings = [choose_matmul(shape, chip, grid, options) for shape in shapes]
    on_units = all_on_units(shapes, chip, grid, options, mappings, many=many)
    if many and on_units is False:
        _cores_of_their_own(scope, operator, used, size, end)
        return
    outputs = [
        _one_expert(scope, operator, expert, int(end[expert] - shape.m), shape, mapping, on_units)
        for expert, shape, mapping in zip(used.tolist(), shapes, mappings, strict=True)
    ]
    joined = (np.concatenate([getattr(part, name) for part in outputs]) for name in ("core", "rect", "ready"))
    scope.pieces[operator.outputs[0]] = Pieces(*joined)


def _cores_of_their_own(scope: Scope, operator: Operator, used: IntArray, size: IntArray, end: IntArray) -> None:
    """Products of the experts `used`, whose `size` rows stand before `end`, each on cores of its own."""
    zero = np.zeros_like(used)
    names = operator.inputs[0], operator.inputs[1], operator.outputs[0]
    lower_grouped(scope, Grouped(operator, *names, used, (end - size)[used], end[used], zero, zero))


def expert_shape(block: Block, operator: Operator, rows: int, options: MappingSpec, chip: ChipSpec) -> MatmulShape:
    """The product of an expert with so many rows."""
    y_name = operator.outputs[0]
    x, w, y = (block.tensor(name) for name in (*operator.inputs[:2], y_name))
    tables = by_tables(chip, options, x.bits, w.bits)
    together = whole_groups(columns_together(block, y_name), tables)
    return MatmulShape(
        rows, y.columns, x.columns, x.bits, w.bits, float(options.partial_sum_bits), together, tables
    )  # fmt: skip


def _one_expert(
    scope: Scope, operator: Operator, expert: int, first: int, shape: MatmulShape, mapping: MatmulMapping,
    on_units: bool | None,
) -> Pieces:  # fmt: skip
    x_name, w_name = operator.inputs[:2]
    x, w, y = (scope.tensor(name) for name in (x_name, w_name, operator.outputs[0]))
    product = Product(scope.op(operator), x, w, y, shape, shape.x_bits, expert, first)
    have = scope.pieces[x_name]
    mine = have.where((have.rect[:, 0] < first + shape.m) & (have.rect[:, 1] > first))
    return lower_product(scope, product, mine, mapping, on_units=on_units)


def lower_combine(scope: Scope, operator: Operator) -> None:
    """Weighted sum of the experts' rows into their tokens' rows, spread evenly over the cores."""
    x_name, y_name = operator.inputs[0], operator.outputs[0]
    tensor, op = scope.block.tensor(y_name), scope.op(operator)
    y = scope.even_layout(tensor.rows, tensor.columns)
    piece, begin, end = sorted_stretches(operator.rows, operator.row_groups, y)
    want = wanted(y.core[piece], begin, end, y.rect[piece, 2], y.rect[piece, 3])
    x = scope.bring(x_name, want, op, "share")
    ready = scope.plan.join(piece, x.ready, y.count, op)
    rows = np.bincount(piece, weights=end - begin, minlength=y.count).astype(np.int64)
    decided = _decision(scope, operator, y.core)
    tile = Tile(op, actions.COMBINE, (y.rect[:, 0], y.rect[:, 1]), (y.rect[:, 2], y.rect[:, 3]))
    done = scope.vector(y.core, tile, "weighted_add", rows * y.columns, [ready, decided])
    scope.pieces[y_name] = Pieces(y.core, y.rect, done)
