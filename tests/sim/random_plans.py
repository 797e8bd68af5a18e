"""Plans for tests: written out by hand (`make_plan`) or drawn by Hypothesis (`plans`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies as st

from cairn.hw_models.server import WANTS_FIRST
from cairn.sim.plan.plan import COMPUTE_COLUMNS, COPY_COLUMNS, NO_QUEUE, NO_SERVER, SYNC, Edges, IntArray, Plan, Queue

Pairs = Sequence[tuple[int, int]]
Table = Sequence[Sequence[int]]


def make_plan(
    queue: Sequence[int],
    duration: Sequence[int] | None = None,
    *,
    done: Pairs = (),
    first: Pairs = (),
    depth: Sequence[int] = (),
    server: Sequence[int] | None = None,
    request: Sequence[int] | None = None,
    tables: Mapping[str, Table] | None = None,
) -> Plan:
    """A plan of tasks on `queue`, with edges (predecessor, successor) and request tables by server name."""
    n = len(queue)
    n_queues = max([len(depth), *(number + 1 for number in queue)])
    depths = [*depth, *[1] * (n_queues - len(depth))]
    tables = tables or {}
    waits = np.bincount([target for _, target in [*done, *first]], minlength=n).astype(np.int64)
    return Plan(
        queue=_ints(queue),
        duration=_ints(duration if duration is not None else [1] * n),
        server=_ints(server if server is not None else [NO_SERVER] * n),
        request=_ints(request if request is not None else [-1] * n),
        waits=waits,
        on_first=edges(first, n),
        on_done=edges(done, n),
        op=np.full(n, -1),
        block=np.zeros(n, np.int64),
        kind=np.full(n, SYNC),
        row=np.full(n, -1),
        queues=tuple(Queue(f"q{index}", f"unit{index % 2}", 0, size) for index, size in enumerate(depths)),
        servers=tuple(tables),
        requests=tuple(np.array(table, np.int64).reshape(len(table), -1) for table in tables.values()),
        compute=np.empty((0, len(COMPUTE_COLUMNS)), np.int64),
        copies=np.empty((0, len(COPY_COLUMNS)), np.int64),
    )


def _ints(values: Sequence[int]) -> IntArray:
    return np.array(values, np.int64)


def edges(pairs: Pairs, n: int) -> Edges:
    """Pairs (predecessor, successor) in CSR form."""
    ordered = sorted(pairs)
    counts = np.bincount([source for source, _ in ordered], minlength=n) if ordered else np.zeros(n, np.int64)
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Edges(start, _ints([target for _, target in ordered]))


@st.composite
def plans(draw: st.DrawFn, rows: Mapping[str, st.SearchStrategy[Sequence[int]]] | None = None) -> Plan:
    """Runnable plans with ties, zero durations, depths, tasks without a queue and both kinds of edge.

    `rows` draws the request rows of each server by name; without it no task is served. Tasks are drawn in an order in
    which they could run and then numbered at random, as far as queue order (by number) allows.
    """
    n = draw(st.integers(1, 30))
    depth = draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    names = list(rows or {})
    queue = draw(st.lists(st.integers(NO_QUEUE, len(depth) - 1), min_size=n, max_size=n))
    number = _numbers(queue, draw(st.permutations(range(n))))
    duration = draw(st.lists(st.sampled_from([0, 0, 1, 1, 2, 3, 7]), min_size=n, max_size=n))
    server = draw(st.lists(st.integers(NO_SERVER, len(names) - 1), min_size=n, max_size=n))
    pairs: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for place in range(1, n):
        for before in draw(st.lists(st.integers(0, place - 1), max_size=3)):
            pairs[draw(st.integers(0, 1))].append((number[before], number[place]))
    order = np.argsort(number)
    tables: dict[str, list[Sequence[int]]] = {name: [] for name in names}
    request = [-1] * n
    for place in order:
        if server[place] != NO_SERVER:
            table = tables[names[server[place]]]
            request[place] = len(table)
            row = list(draw((rows or {})[names[server[place]]]))
            table.append([draw(st.sampled_from([0, WANTS_FIRST])) | row[0], *row[1:]])
    widths = {name: table or [[0] * len(draw((rows or {})[name]))] for name, table in tables.items()}
    return make_plan(
        [queue[place] for place in order],
        [duration[place] for place in order],
        first=pairs[0],
        done=pairs[1],
        depth=depth,
        server=[server[place] for place in order],
        request=[request[place] for place in order],
        tables=widths,
    )


def _numbers(queue: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """`wanted` numbers, exchanged within each queue so that they rise along it."""
    numbers = list(wanted)
    for line in set(queue) - {NO_QUEUE}:
        places = [place for place, own in enumerate(queue) if own == line]
        for place, value in zip(places, sorted(numbers[place] for place in places), strict=True):
            numbers[place] = value
    return numbers
