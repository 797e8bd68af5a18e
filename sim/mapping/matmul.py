"""Lowering of a matrix product: gather x, pass weight blocks round while computing, reduce partial sums.

Core (im, in, ik) of the split computes y[m block im, n block in] over k block ik. Its x block is shared by the cores of
its n group, each of which first holds one part; its weight block by the sharers of its m group, each of which has one
part in the channel above; its y block is a partial sum that the k group adds up, each core ending with one part.
Compute-shift passes parts to the next core on a ring; SPMD sends each part from its first holder to everyone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cairn.sim.mapping.choose import MatmulMapping
from cairn.sim.mapping.context import Scope, tile_counts
from cairn.sim.mapping.grid import bounds
from cairn.sim.mapping.pieces import Pieces
from cairn.sim.mapping.product_rings import gather, reduce_sums
from cairn.sim.mapping.product_tiles import multiply_columns
from cairn.sim.mapping.product_work import Product, Work, quantum_of, work_of
from cairn.sim.mapping.schedule import Group, every_step, merged_steps
from cairn.sim.plan.plan import MERGED

Epilogue = Callable[[Pieces], Pieces]
"""Writes what follows in place on finished pieces of the result; answers what becomes of them."""


def lower_matmul(
    scope: Scope, product: Product, x: Pieces, mapping: MatmulMapping, epilogue: Epilogue | None = None
) -> Pieces:
    """Write the tasks of a product whose input lies as `x`; answers where its output lies.

    `epilogue` is done to every stretch of columns as soon as its sums are complete, while the next one is computed.
    """
    outputs = []
    for group in schedule(scope, product, mapping):
        if group.passes > 1 or group.together > 1:
            scope.plan.notes[MERGED] = True
        work = work_of(scope, product, mapping, group)
        rows = work.m0, work.m1
        begin, end = (
            rows[0] + (rows[1] - rows[0]) * turn // mapping.passes for turn in (group.first, group.first + group.passes)
        )
        work.m0, work.m1 = begin, end
        gather(work, x, rows)
        outputs += _multiply(work, epilogue)
    if len(outputs) == 1:
        return outputs[0]
    return Pieces(*(np.concatenate([getattr(o, name) for o in outputs]) for name in ("core", "rect", "ready")))


def schedule(scope: Scope, product: Product, mapping: MatmulMapping) -> tuple[Group, ...]:
    """The passes, tiles and stretches in which a product is written."""
    n = bounds(product.shape.n, mapping.split.sizes[1], quantum_of(product))
    tiles = tile_counts(int(np.diff(n).max()), mapping.tile_n)
    steps = merged_steps if scope.stage.merged else every_step
    return steps(mapping.passes, tiles, min(mapping.reductions, tiles))


def _multiply(work: Work, epilogue: Epilogue | None) -> list[Pieces]:
    """All weight tiles of all cores and the compute tasks on them; answers where the result of the epilogue lies.

    The columns are worked on in stretches, each of which is added up while the next is computed.
    """
    outputs = []
    for stretch in work.group.stretches:
        last = multiply_columns(work, stretch)
        n0 = np.minimum(work.n0 + stretch.begin * work.mapping.tile_n, work.n1)
        n1 = np.minimum(work.n0 + stretch.end * work.mapping.tile_n, work.n1)
        y = reduce_sums(work, last, n0, n1, stretch.rings)
        outputs.append(y if epilogue is None else epilogue(y))
    return outputs
