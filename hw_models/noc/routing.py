"""Dimension-ordered routes: along the row to the destination's column first, then along the column (XY).

A torus goes the shorter way round in each dimension, and in the positive direction where both are equally long.
All-to-all takes one hop. The signed steps of a route are computed by one function, here for arrays and compiled
for the cycle model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel, u
from cairn.hw_models.noc.spec import PORTS_ALONE, IntArray, NocSpec, NocTopology
from cairn.hw_models.noc.topology import DIRECTIONS, DOWN, LEFT, RIGHT, UP, Wiring


def signed_steps(wraps: Any, size: Any, source: Any, destination: Any) -> Any:
    """Steps from coordinate `source` to `destination` in a dimension of `size`; negative ones go down.

    `wraps` is 1 for a torus and 0 for a mesh. All arguments are integers or integer arrays.
    """
    forward = (destination - source) % size
    shortest = forward - size * (2 * forward > size)
    return wraps * shortest + (1 - wraps) * (destination - source)


signed_steps_kernel = kernel(inline="always")(signed_steps)


@kernel(_nrt=False, forceinline=True)
def add_along(
    loads: npt.NDArray[Any], at: int, each: int, wraps: int, rows: int, columns: int, source: int, destination: int,
    amount: Any,
) -> None:  # fmt: skip
    """Add `amount` to every link of the route on a grid of `rows` and `columns`. The loads of the links of a node, by
    direction, begin at `at`, `each` numbers a node."""
    row, column = source // columns, source % columns
    x = signed_steps_kernel(wraps, columns, column, destination % columns)
    y = signed_steps_kernel(wraps, rows, row, destination // columns)
    step, way = 1 if x > 0 else -1, RIGHT if x > 0 else LEFT
    for _ in range(abs(x)):
        loads[u(at + (row * columns + column) * each + way)] += amount
        column += step
        column += columns if column < 0 else -columns if column >= columns else 0
    step, way = 1 if y > 0 else -1, DOWN if y > 0 else UP
    for _ in range(abs(y)):
        loads[u(at + (row * columns + column) * each + way)] += amount
        row += step
        row += rows if row < 0 else -rows if row >= rows else 0


def steps(
    spec: NocSpec, rows: int, columns: int, source: npt.ArrayLike, destination: npt.ArrayLike
) -> tuple[IntArray, IntArray]:
    """Signed steps along the columns and along the rows of routes on a mesh or torus, broadcast over the nodes."""
    here, there = np.asarray(source, dtype=np.int64), np.asarray(destination, dtype=np.int64)
    wraps = int(spec.topology is NocTopology.TORUS)
    return (
        signed_steps(wraps, columns, here % columns, there % columns),
        signed_steps(wraps, rows, here // columns, there // columns),
    )


def hops(spec: NocSpec, rows: int, columns: int, source: npt.ArrayLike, destination: npt.ArrayLike) -> IntArray:
    """Links that a transfer passes, broadcast over `source` and `destination` (nodes); 0 from a node to itself.

    One in all-to-all and from any core to another over a crossbar; none between cores that share a router.
    """
    if spec.topology in PORTS_ALONE:
        return np.asarray(np.not_equal(source, destination), dtype=np.int64)
    if not spec.by_direction:
        from cairn.hw_models.noc.chip_network import chip_hops  # routes as tables, which most chips never need

        return chip_hops(spec, rows, columns)[np.asarray(source, np.int64), np.asarray(destination, np.int64)]
    along_row, along_column = steps(spec, rows, columns, source, destination)
    return np.abs(along_row) + np.abs(along_column)


def route(spec: NocSpec, wiring: Wiring, source: int, destination: int) -> list[int]:
    """Links, in order, that a packet passes from `source` to `destination`; none in all-to-all (not numbered)."""
    if wiring.topology is NocTopology.ALL_TO_ALL:
        return []
    along_row, along_column = steps(spec, wiring.rows, wiring.columns, source, destination)
    directions = [RIGHT if along_row > 0 else LEFT] * abs(int(along_row))
    directions += [DOWN if along_column > 0 else UP] * abs(int(along_column))
    links, node = [], source
    for direction in directions:
        links.append(DIRECTIONS * node + direction)
        node = int(wiring.neighbour[node, direction])
    return links
