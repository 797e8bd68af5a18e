"""Lowering of a product to PIM units: inputs to the buffers, tiles of weights where they lie, results back.

Core (in, ik) of the split has the units of its channel do y[m, n block in] over k block ik. Outputs lie over the banks
that open together, their reductions along columns. `pim_order` says in which order tiles of outputs and segments of x
follow each other and how long they stay in the halves of buffer and accumulators. Partial sums of a tile are added up
by the core, those of the k group by its cores.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.hw_models.dram.pim_spec import RESULT_BITS
from cairn.sim.mapping.choose import MatmulMapping
from cairn.sim.mapping.context import NONE, Scope, row_bytes
from cairn.sim.mapping.matmul import Epilogue, lower_matmul, schedule
from cairn.sim.mapping.pieces import Pieces
from cairn.sim.mapping.pim_choice import Layout, product_layout
from cairn.sim.mapping.pim_order import NOTHING
from cairn.sim.mapping.product_rings import gather, reduce_sums
from cairn.sim.mapping.product_work import Product, Work, work_of
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Region, Slice, Tile
from cairn.sim.plan.plan import PIM, SRAM

IntArray = npt.NDArray[np.int64]
Range = tuple[IntArray, IntArray]


def lower_product(
    scope: Scope, product: Product, x: Pieces, mapping: MatmulMapping, epilogue: Epilogue | None = None,
    on_units: bool | None = None,
) -> Pieces:  # fmt: skip
    """Write the tasks of a product on the cores or, where the mapping says so, on PIM units; see `lower_matmul` and,
    for `on_units`, `product_layout`."""
    layout = product_layout(product.shape, scope.chip, scope.grid, scope.stage.options, mapping, on_units)
    if layout is None:
        return lower_matmul(scope, product, x, mapping, epilogue)
    work = work_of(scope, product, layout.mapping, schedule(scope, product, layout.mapping)[0])
    gather(work, x, (work.m0, work.m1))
    done = _OnUnits(work, layout).write()
    y = reduce_sums(work, done, work.n0, work.n1, 1)
    return y if epilogue is None else epilogue(y)


class _OnUnits:
    """The tasks of one product on the units, step by step for all cores at once."""

    def __init__(self, work: Work, layout: Layout):
        self.work, self.cut, self.scope = work, layout.cut, work.scope
        self.channel = work.scope.chip.channel_of(work.core)
        pim = work.scope.chip.pim
        if pim is None:
            raise ValueError("a product on PIM units needs a chip with them")
        self.column = pim.column_bytes
        self.banks = pim.together(work.scope.chip.dram.banks_per_channel)
        self.turns = [pim.turns_of(rows) for rows in self.cut.parts(work.product.shape.m)]
        """Of each part, in parts of the spacing of columns."""
        n, k = (int((end - begin).max()) for begin, end in ((work.n0, work.n1), (work.k0, work.k1)))
        self.order = self.cut.order(work.scope.stage.options.pim_stationary, work.product.shape.m, n, k)
        self.filled: dict[int, IntArray] = {}
        """For each stay of a segment the tasks (cores,) that fill the buffer with it."""
        self.used: dict[int, list[IntArray]] = {}
        """Tasks that have used a half of the buffer, by stay of a segment."""
        self.read: dict[int, IntArray] = {}
        """For each stay of sums the tasks that have taken them, or those of an earlier stay in the same half."""
        self.worked: dict[int, list[IntArray]] = {}
        """Tasks on the sums of a tile, by stay of sums."""
        self.result: dict[tuple[int, int], IntArray] = {}
        """Tasks after which cores have the sums of a tile as far as they go, by part and tile."""
        self.places: dict[tuple[int, int], tuple[int | IntArray, ...]] = {}
        """Where the weights of a tile and segment lie."""

    def write(self) -> IntArray:
        """All steps; answers the task after which each core has its partial sums."""
        transfers = list(self.order.transfers)
        for step in range(NOTHING, len(self.order.steps)):
            if step != NOTHING:
                self._multiply(step)
            while transfers and transfers[0].after == step:
                transfer = transfers.pop(0)
                if transfer.fills:
                    self._fill(transfer.stay)
                else:
                    self._read(transfer.stay)
        results = list(self.result.values())
        if len(results) == 1:
            return results[0]
        return self.scope.plan.sync(results, self.work.size, 0, self.work.product.op)

    # -- where a step is -------------------------------------------------------------------------------------------

    def _rows(self, part: int) -> Range:
        work = self.work
        begin, end = (np.minimum(work.m0 + (part + more) * self.cut.rows, work.m1) for more in (0, 1))
        return begin, end

    def _outputs(self, tile: int) -> Range:
        work = self.work
        begin, end = (np.minimum(work.n0 + (tile + more) * self.cut.tile_n, work.n1) for more in (0, 1))
        return begin, end

    def _inputs(self, segment: int) -> Range:
        work = self.work
        begin, end = (np.minimum(work.k0 + (segment + more) * self.cut.segment_k, work.k1) for more in (0, 1))
        return begin, end

    # -- tasks -----------------------------------------------------------------------------------------------------

    def _fill(self, number: int) -> None:
        """A segment of x into the buffers, once the parts of x have come and the half of the buffer is free."""
        work, product, stay = self.work, self.work.product, self.order.fills[number]
        part, _, segment = self.order.steps[stay.first]
        (m0, m1), (k0, k1) = self._rows(part), self._inputs(segment)
        n0, n1 = self._outputs(min(self.order.steps[step][1] for step in range(stay.first, stay.last + 1)))
        tasks, pick = self._there((k1 > k0) & (n1 > n0))
        size = (m1 - m0) * row_bytes(k1 - k0, product.x_bits)
        data = Slice(product.x, (m0[pick], m1[pick]), (k0[pick], k1[pick]), size[pick])
        before = self.used.pop(stay.before, [])
        tasks[pick] = self.scope.plan.copy(
            Region(SRAM, work.core[pick], data), Region(PIM, self.channel[pick], data), product.op,
            [used[pick] for used in before], "pim_input",
        )  # fmt: skip
        for begin, end, ready in work.arrivals:
            needed = pick[((begin < k1) & (end > k0))[pick]]
            self.scope.plan.after(tasks[needed], ready[needed])
        self.filled[number] = tasks
        self.used[number] = [] if bool((tasks >= 0).all()) else before

    def _multiply(self, step: int) -> None:
        """A tile of weights, once its inputs have come and its accumulators are free."""
        work, product, order = self.work, self.work.product, self.order
        part, tile, segment = order.steps[step]
        (m0, m1), (n0, n1), (k0, k1) = self._rows(part), self._outputs(tile), self._inputs(segment)
        count, length = n1 - n0, k1 - k0
        tasks, pick = self._there((count > 0) & (length > 0))
        columns = -(-count // self.banks) * -(-row_bytes(length, product.shape.w_bits) // self.column)
        size = columns * self.banks * self.column
        m, n, k = (m0[pick], m1[pick]), (n0[pick], n1[pick]), (k0[pick], k1[pick])
        operand = self.scope.stage.above(
            work.core[pick], Slice(product.w, k, n, size[pick], product.group), self._place(tile, segment, size)
        )
        after = [self.filled[order.fill_of[step]][pick]]
        before = order.sums[order.sums_of[step]].before
        if before != NOTHING:
            after.append(self.read[before][pick])
        ops = 2 * (m[1] - m[0]) * count[pick] * length[pick]
        tile_of = Tile(product.op, actions.MATMUL, m, n, k, product.group)
        tasks[pick] = self.scope.plan.pim(work.core[pick], tile_of, operand, after, ops, self.turns[part])
        self.used[order.fill_of[step]].append(tasks)
        self.worked.setdefault(order.sums_of[step], []).append(tasks)

    def _place(self, tile: int, segment: int, size: IntArray) -> tuple[int | IntArray, ...]:
        """The address of a tile of weights: whole rows of banks that open together, the same for all parts."""
        if (tile, segment) not in self.places:
            address = self.scope.stage.memory.place_together(max(1, int(size.max())), self.banks, self.column)
            self.places[tile, segment] = address.at(0)
        return self.places[tile, segment]

    def _read(self, number: int) -> None:
        """The sums of a tile of outputs from the accumulators to the cores, which add them to what they have of it."""
        work, product, stay = self.work, self.work.product, self.order.sums[number]
        part, tile, _ = self.order.steps[stay.first]
        (m0, m1), (n0, n1), done = self._rows(part), self._outputs(tile), self.worked.pop(number)
        tasks, pick = self._there(np.max(done, axis=0) >= 0)
        size = (m1 - m0) * (n1 - n0) * RESULT_BITS // 8
        data = Slice(product.y, (m0[pick], m1[pick]), (n0[pick], n1[pick]), size[pick])
        again = (part, tile) in self.result
        tasks[pick] = self.scope.plan.copy(
            Region(PIM, self.channel[pick], data), Region(SRAM, work.core[pick], data), product.op,
            [each[pick] for each in done], "pim_result", reduce=again,
        )  # fmt: skip
        before = tasks if stay.before == NOTHING else self.read[stay.before]
        self.read[number] = np.where(tasks >= 0, tasks, before)
        if not again:
            self.result[part, tile] = tasks
            return
        had = self.result[part, tile]
        elements = ((m1 - m0) * (n1 - n0))[pick]
        adds = Tile(product.op, actions.REDUCE, data.rows, data.columns)
        had[pick] = self.scope.vector(work.core[pick], adds, "reduce_add", elements, [tasks[pick], had[pick]])

    def _there(self, there: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
        return np.full(self.work.size, NONE, dtype=np.int64), np.nonzero(there)[0]
