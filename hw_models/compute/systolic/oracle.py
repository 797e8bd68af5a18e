"""The systolic array clocked register by register on real numbers: small, slow, and the judge of `cycle.py`.

Nothing here knows a formula. Folds are started as early as the hardware allows: each start is tried at every cycle in
turn, and a start is refused when two values would need one register, port or cell at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from cairn.hw_models.compute.systolic.spec import SystolicSpec

Matrix = Sequence[Sequence[int]]
Run = tuple[list[list[int]], int]


class HazardError(Exception):
    """Two values met in one place: the tried start is too early."""


@dataclass(frozen=True)
class Fold:
    """Half-open ranges of the rows (output-stationary: of m; weight-stationary: of k) and columns of a fold."""

    row: int
    height: int
    column: int
    width: int


@dataclass(frozen=True)
class Moving:
    """A value on its way: the fold it belongs to, its index (p, r or target row), and its number."""

    fold: int
    index: int
    value: int


Grid = list[list[Moving | None]]


def multiply(spec: SystolicSpec, a: Matrix, b: Matrix) -> Run:
    """The product of `a` (m x k) and `b` (k x n) as the array computes it, and the cycles until all of it has left."""
    if spec.dataflow == "output_stationary":
        return _schedule_output_stationary(spec, a, b)
    return _schedule_weight_stationary(spec, a, b)


def _cuts(size: int, side: int) -> list[tuple[int, int]]:
    return [(start, min(side, size - start)) for start in range(0, size, side)]


def _earliest(run: Callable[[list[int]], Run], before: list[int], begin: int) -> int:
    """First cycle from `begin` on that `run` takes, after the starts `before`, without a hazard."""
    cycle = begin
    while True:
        try:
            run([*before, cycle])
        except HazardError:
            cycle += 1
        else:
            return cycle


def _schedule_output_stationary(spec: SystolicSpec, a: Matrix, b: Matrix) -> Run:
    folds = [Fold(*rows, *columns) for rows in _cuts(len(a), spec.rows) for columns in _cuts(len(b[0]), spec.columns)]
    starts: list[int] = []
    for index in range(len(folds)):
        if spec.pipelined_folds:
            run = partial(_run_output, spec, a, b, folds[: index + 1])
            starts.append(_earliest(run, starts, starts[-1] + 1 if starts else 0))
        else:
            starts.append(_run_output(spec, a, b, folds[:index], starts)[1])
    return _run_output(spec, a, b, folds, starts)


def _entering(starts: Sequence[int], lane: int, cycle: int, length: int) -> tuple[int, int] | None:
    """Fold and position in its stream that edge lane `lane`, skewed by its number, takes in this cycle."""
    steps = [cycle - start - lane for start in starts]
    found = [(f, step) for f, step in enumerate(steps) if 0 <= step < length]
    if len(found) > 1:
        raise HazardError("two folds at one edge port")
    return found[0] if found else None


def _run_output(spec: SystolicSpec, a: Matrix, b: Matrix, folds: Sequence[Fold], starts: Sequence[int]) -> Run:
    """Output-stationary folds started at `starts`: the product and the cycle count, or HazardError."""
    rows, columns, depth = spec.rows, spec.columns, len(b)
    product = [[0] * len(b[0]) for _ in a]
    right, down, drain = _grid(rows, columns), _grid(rows, columns), _grid(rows, columns)
    sums = [[0] * columns for _ in range(rows)]
    draining: set[tuple[int, int]] = set()
    left, cycle = sum(fold.height * fold.width for fold in folds), 0
    while left:
        left -= _drain(folds, drain, draining, product)
        next_right, next_down, finished = _grid(rows, columns), _grid(rows, columns), []
        for i in range(rows):
            for j in range(columns):
                x = right[i][j - 1] if j else _row_operand(a, folds, starts, i, cycle, depth)
                w = down[i - 1][j] if i else _column_operand(b, folds, starts, j, cycle, depth)
                next_right[i][j], next_down[i][j] = x, w
                if x is None or w is None:
                    continue
                if (x.fold, x.index) != (w.fold, w.index):
                    raise HazardError("operands of different steps in one cell")
                sums[i][j] = x.value * w.value + (sums[i][j] if x.index else 0)
                if x.index == depth - 1:
                    finished.append((i, j, x.fold))
        for i, j, f in finished:
            if drain[i][j] is not None:
                raise HazardError("drain register still taken")
            drain[i][j] = Moving(f, i, sums[i][j])
            if i == folds[f].height - 1:
                draining.add((f, j))
        right, down = next_right, next_down
        cycle += 1
    return product, cycle


def _row_operand(
    a: Matrix, folds: Sequence[Fold], starts: Sequence[int], i: int, cycle: int, depth: int
) -> Moving | None:
    entering = _entering(starts, i, cycle, depth)
    if entering is None or i >= folds[entering[0]].height:
        return None
    f, p = entering
    return Moving(f, p, a[folds[f].row + i][p])


def _column_operand(
    b: Matrix, folds: Sequence[Fold], starts: Sequence[int], j: int, cycle: int, depth: int
) -> Moving | None:
    entering = _entering(starts, j, cycle, depth)
    if entering is None or j >= folds[entering[0]].width:
        return None
    f, p = entering
    return Moving(f, p, b[p][folds[f].column + j])


def _drain(folds: Sequence[Fold], drain: Grid, draining: set[tuple[int, int]], product: list[list[int]]) -> int:
    """Move the drain registers of finished columns down by one row; results that leave are written and counted."""
    gone = 0
    for i in reversed(range(len(drain))):
        for j, item in enumerate(drain[i]):
            if item is None or (item.fold, j) not in draining:
                continue
            drain[i][j] = None
            if i == len(drain) - 1:
                product[folds[item.fold].row + item.index][folds[item.fold].column + j] = item.value
                gone += 1
            elif drain[i + 1][j] is not None:
                raise HazardError("a result waits in the way of another")
            else:
                drain[i + 1][j] = item
    return gone


def _schedule_weight_stationary(spec: SystolicSpec, a: Matrix, b: Matrix) -> Run:
    folds = [Fold(*rows, *columns) for columns in _cuts(len(b[0]), spec.columns) for rows in _cuts(len(b), spec.rows)]
    loads: list[int] = []
    starts: list[int] = []
    for index in range(len(folds)):
        done = folds[: index + 1]
        if spec.pipelined_folds:
            load = partial(_run_weight, spec, a, b, done, starts=starts)
            loads.append(_earliest(load, loads, loads[-1] + 1 if loads else 0))
        else:
            loads.append(_run_weight(spec, a, b, folds[:index], loads, starts)[1])
        starts.append(_earliest(partial(_run_weight, spec, a, b, done, loads), starts, loads[-1]))
    return _run_weight(spec, a, b, folds, loads, starts)


def _run_weight(
    spec: SystolicSpec, a: Matrix, b: Matrix, folds: Sequence[Fold], loads: Sequence[int], starts: Sequence[int]
) -> Run:
    """Weight-stationary folds loaded at `loads` and streamed at `starts` (which may be one shorter), or HazardError."""
    rows, columns = spec.rows, spec.columns
    product = [[0] * len(b[0]) for _ in a]
    right, down, arriving, active = (_grid(rows, columns) for _ in range(4))
    left, cycle = sum(len(a) * fold.width for fold in folds[: len(starts)]), 0
    loaded_at = max((load + rows + columns for load in loads), default=0) if len(starts) < len(loads) else 0
    finish = 0
    while left or cycle < loaded_at:
        next_right, next_down = _grid(rows, columns), _grid(rows, columns)
        for i in range(rows):
            for j in range(columns):
                x = right[i][j - 1] if j else _stream_operand(a, folds, starts, i, cycle)
                above = down[i - 1][j] if i else None
                next_right[i][j] = x
                out = above
                if x is not None and j < folds[x.fold].width:
                    out = _accumulate(x, above, i, j, arriving, active)
                if out is not None and i == rows - 1:
                    product[out.index][folds[out.fold].column + j] += out.value
                    left -= 1
                    finish = cycle + 1
                next_down[i][j] = out
        _load(b, folds, loads, arriving, cycle)
        right, down = next_right, next_down
        cycle += 1
    return product, finish


def _stream_operand(a: Matrix, folds: Sequence[Fold], starts: Sequence[int], i: int, cycle: int) -> Moving | None:
    entering = _entering(starts, i, cycle, len(a))
    if entering is None or i >= folds[entering[0]].height:
        return None
    f, r = entering
    return Moving(f, r, a[r][folds[f].row + i])


def _accumulate(x: Moving, above: Moving | None, i: int, j: int, arriving: Grid, active: Grid) -> Moving:
    """One multiply-accumulate; the fold's first operand brings the waiting weight into use."""
    weight = active[i][j]
    if weight is None or weight.fold != x.fold:
        weight = arriving[i][j]
        if weight is None or weight.fold != x.fold or weight.index != i:
            raise HazardError("operand before its weight")
        active[i][j], arriving[i][j] = weight, None
    if i and (above is None or (above.fold, above.index) != (x.fold, x.index)):
        raise HazardError("operand without its partial sum")
    return Moving(x.fold, x.index, x.value * weight.value + (above.value if above else 0))


def _load(b: Matrix, folds: Sequence[Fold], loads: Sequence[int], arriving: Grid, cycle: int) -> None:
    """Move weights towards their rows and take in the next ones at the top edge."""
    for i in reversed(range(len(arriving))):
        for j, item in enumerate(arriving[i]):
            if item is None or item.index == i:
                continue
            if arriving[i + 1][j] is not None:
                raise HazardError("a waiting weight in the way of another")
            arriving[i + 1][j], arriving[i][j] = item, None
    for f, load in enumerate(loads):
        for j in range(folds[f].width):
            step = cycle - load - j
            if not 0 <= step < folds[f].height:
                continue
            if arriving[0][j] is not None:
                raise HazardError("weight register at the edge still taken")
            row = folds[f].height - 1 - step
            arriving[0][j] = Moving(f, row, b[folds[f].row + row][folds[f].column + j])


def _grid(rows: int, columns: int) -> Grid:
    return [[None] * columns for _ in range(rows)]
