"""Tori whose rings go one way only: each router has one link in each dimension, so that routes are never a choice."""

from __future__ import annotations

import numpy as np

from cairn.hw_models.noc.network import EJECT, Network, Routes


def one_way_torus(
    columns: int, rows: int, step: tuple[int, int], row_first: bool, link_cycles: int = 1
) -> tuple[Network, Routes]:
    """A torus of `columns` x `rows` routers, a node at each (node = y * columns + x), and its routes.

    `step`: +1 or -1 for the way in which the rings along x and along y go. Routes go along x first with `row_first`,
    else along y first. For the packet model, whose buffers are unbounded: flits would need virtual channels that change
    at the closing link of a ring, which `Routes` do not have. Raises ValueError for a size below two or another step.
    """
    if min(columns, rows) < 2 or set(step) - {-1, 1}:
        raise ValueError(f"a one-way torus is 2 x 2 at least, with steps of +1 or -1; got {columns} x {rows}, {step}")
    nodes = np.arange(columns * rows, dtype=np.int64)
    x, y = nodes % columns, nodes // columns
    right, below = y * columns + (x + step[0]) % columns, (y + step[1]) % rows * columns + x
    network = Network(
        name=f"one-way torus {columns} x {rows}",
        nodes=nodes.size,
        routers=nodes.size,
        node_router=nodes,
        link_source=np.repeat(nodes, 2),
        link_destination=np.stack([right, below], axis=1).ravel(),
        link_cycles=np.full(2 * nodes.size, link_cycles, dtype=np.int64),
        link_direction=np.tile([int(step[0] < 0), 2 + int(step[1] < 0)], nodes.size).astype(np.int64),
        place=np.stack([x, y], axis=1).astype(np.float64),
    )
    same_x, same_y = x[:, None] == x[None, :], y[:, None] == y[None, :]
    goes_x = ~same_x & (row_first | same_y)
    link = 2 * nodes[:, None] + np.where(goes_x, 0, 1)
    next_link = np.where(same_x & same_y, EJECT, link)[None]
    return network, Routes(next_link, np.zeros_like(next_link), np.zeros(1, dtype=np.int64))
