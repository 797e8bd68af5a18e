"""Lowering of a product to PIM units: inputs to the buffers, tiles of weights where they lie, results back.

Core (in, ik) of the split has the units of its channel do y[m, n block in] over k block ik. Outputs lie over the banks
that open together, their reductions along columns. A segment of x fills one half of the buffer while the units work on
the other; the sums of a tile of outputs stay in the accumulators, one half of which is read meanwhile. Partial sums of
the k group are added up by the cores.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.hw_models.dram.pim_spec import RESULT_BITS
from cairn.sim.mapping.choose import MatmulMapping
from cairn.sim.mapping.context import NONE, Scope, row_bytes
from cairn.sim.mapping.matmul import Epilogue, Product, _gather, _reduce, _schedule, _Work, _work, lower_matmul
from cairn.sim.mapping.pieces import Pieces
from cairn.sim.mapping.pim_choice import Layout, product_layout
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Region, Slice, Tile
from cairn.sim.plan.plan import PIM, SRAM

IntArray = npt.NDArray[np.int64]


def lower_product(
    scope: Scope, product: Product, x: Pieces, mapping: MatmulMapping, epilogue: Epilogue | None = None,
    on_units: bool | None = None,
) -> Pieces:  # fmt: skip
    """Write the tasks of a product on the cores or, where the mapping says so, on PIM units; see `lower_matmul` and,
    for `on_units`, `product_layout`."""
    layout = product_layout(product.shape, scope.chip, scope.grid, scope.stage.options, mapping, on_units)
    if layout is None:
        return lower_matmul(scope, product, x, mapping, epilogue)
    work = _work(scope, product, layout.mapping, _schedule(scope, product, layout.mapping)[0])
    _gather(work, x, (work.m0, work.m1))
    done = _OnUnits(work, layout).write()
    y = _reduce(work, done, work.n0, work.n1, 1)
    return y if epilogue is None else epilogue(y)


class _OnUnits:
    """The tasks of one product on the units, tile by tile for all cores at once."""

    def __init__(self, work: _Work, layout: Layout):
        self.work, self.layout, self.scope = work, layout, work.scope
        self.channel = work.scope.chip.channel_of(work.core)
        pim = work.scope.chip.pim
        if pim is None:
            raise ValueError("a product on PIM units needs a chip with them")
        self.column = pim.column_bytes
        self.banks = pim.together(work.scope.chip.dram.banks_per_channel)
        self.used: list[IntArray] = []
        """Tasks that have used a fill of the buffer, one array over cores for each fill."""
        self.read: list[IntArray] = []

    def write(self) -> IntArray:
        """All tiles; answers the task after which each core has its partial sums."""
        work, layout = self.work, self.layout
        tiles = -(-int((work.n1 - work.n0).max()) // layout.tile_n)
        segments = -(-int((work.k1 - work.k0).max()) // layout.segment_k)
        filled = np.full(work.size, NONE, dtype=np.int64)
        for j in range(tiles):
            n = tuple(np.minimum(work.n0 + (j + step) * layout.tile_n, work.n1) for step in (0, 1))
            done = np.full(work.size, NONE, dtype=np.int64)
            for s in range(segments):
                k = tuple(np.minimum(work.k0 + (s + step) * layout.segment_k, work.k1) for step in (0, 1))
                if segments > 1 or j == 0:
                    filled = self._fill(k[0], k[1])
                    self.used.append(np.full(work.size, NONE, dtype=np.int64))
                done = self._multiply((n[0], n[1]), (k[0], k[1]), filled, done)
            self._read(n[0], n[1], done)
        if len(self.read) == 1:
            return self.read[0]
        return self.scope.plan.sync(self.read, work.size, 0, work.product.op)

    def _fill(self, k0: IntArray, k1: IntArray) -> IntArray:
        """A segment of x into the buffers, once the parts of x have come and the half of the buffer is free."""
        work, product = self.work, self.work.product
        tasks, pick = self._there(k1 > k0)
        size = (work.m1 - work.m0) * row_bytes(k1 - k0, product.x_bits)
        data = Slice(product.x, (work.m0[pick], work.m1[pick]), (k0[pick], k1[pick]), size[pick])
        after = [used[pick] for used in self.used[-2:-1]]
        tasks[pick] = self.scope.plan.copy(
            Region(SRAM, work.core[pick], data), Region(PIM, self.channel[pick], data), product.op, after, "pim_input"
        )
        for begin, end, ready in work.arrivals:
            needed = pick[((begin < k1) & (end > k0))[pick]]
            self.scope.plan.after(tasks[needed], ready[needed])
        return tasks

    def _multiply(
        self, n: tuple[IntArray, IntArray], k: tuple[IntArray, IntArray], filled: IntArray, before: IntArray
    ) -> IntArray:
        """A tile of weights, once its inputs have come and its accumulators are free."""
        work, product = self.work, self.work.product
        count, length = n[1] - n[0], k[1] - k[0]
        tasks, pick = self._there((count > 0) & (length > 0))
        columns = -(-count // self.banks) * -(-row_bytes(length, product.shape.w_bits) // self.column)
        size = columns * self.banks * self.column
        address = self.scope.stage.memory.place_together(max(1, int(size.max())), self.banks, self.column)
        rows, outs, depth = (
            (a[pick], b[pick]) for a, b in ((work.m0, work.m1), n, k)
        )
        operand = self.scope.stage.above(
            work.core[pick], Slice(product.w, depth, outs, size[pick], product.group), address.at(0)
        )
        tile = Tile(product.op, actions.MATMUL, rows, outs, depth, product.group)
        after = [filled[pick], *(read[pick] for read in self.read[-2:-1])]
        ops = 2 * (rows[1] - rows[0]) * count[pick] * length[pick]
        tasks[pick] = self.scope.plan.pim(work.core[pick], tile, operand, after, ops, self.layout.turns)
        self.used[-1] = np.where(tasks >= 0, tasks, self.used[-1])
        return np.where(tasks >= 0, tasks, before)

    def _read(self, n0: IntArray, n1: IntArray, done: IntArray) -> None:
        """The sums of a tile of outputs from the accumulators to the cores."""
        work, product = self.work, self.work.product
        tasks, pick = self._there((n1 > n0) & (done >= 0))
        size = (work.m1 - work.m0) * (n1 - n0) * RESULT_BITS // 8
        data = Slice(product.y, (work.m0[pick], work.m1[pick]), (n0[pick], n1[pick]), size[pick])
        tasks[pick] = self.scope.plan.copy(
            Region(PIM, self.channel[pick], data), Region(SRAM, work.core[pick], data), product.op, done[pick],
            "pim_result",
        )  # fmt: skip
        self.read.append(tasks)

    def _there(self, there: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
        return np.full(self.work.size, NONE, dtype=np.int64), np.nonzero(there)[0]
