"""Lowering of recurrent states, read and written back: retention, depthwise convolution, selective scan."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.context import NONE, Scope, row_bytes
from cairn.sim.mapping.grid import bounds
from cairn.sim.mapping.grouped import Stretches, cut_stretches
from cairn.sim.mapping.heads import apply_pending
from cairn.sim.mapping.matmul_cost import elements_per_byte
from cairn.sim.mapping.memory import Address
from cairn.sim.mapping.past import StatePlace
from cairn.sim.mapping.pieces import Pieces, wanted
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Region, Slice, Tile
from cairn.sim.plan.plan import SRAM
from cairn.workloads.graph import Operator, OpKind, Recurrence, Role

IntArray = npt.NDArray[np.int64]


def _recurrence(operator: Operator) -> Recurrence:
    if operator.recurrence is None:
        raise ValueError(f"operator {operator.name} has no recurrence parameters")
    return operator.recurrence


def lower_channels(scope: Scope, operator: Operator) -> None:
    """CONV1D and SSM_SCAN: channels are independent, so each core has some channels of all requests."""
    recurrence, op = _recurrence(operator), scope.op(operator)
    y = scope.block.tensor(operator.outputs[0])
    kept = [scope.bits(name) for name in operator.inputs if scope.block.tensor(name).role is not Role.ACTIVATION]
    edges = bounds(y.columns, scope.grid.size, math.lcm(*map(elements_per_byte, kept)))
    mine = wanted(scope.grid.cores, 0, y.rows, edges[:-1], edges[1:]).without_empty()
    after = [
        scope.bring(name, _wanted_of(scope, name, mine, y.columns), op).ready
        for name in operator.inputs
        if scope.block.tensor(name).role is Role.ACTIVATION
    ]
    for name in operator.inputs:
        if scope.block.tensor(name).role is Role.WEIGHT:
            after.append(_load_matrix_columns(scope, name, op, mine))
    state = next(name for name in operator.inputs if scope.block.tensor(name).role is Role.STATE)
    groups = len(recurrence.requests)
    size = groups * recurrence.key_dim * row_bytes(mine.columns, scope.bits(state))
    rows = 0, groups * recurrence.key_dim  # the requests' matrices, one after the other
    data = Slice(scope.tensor(state), rows, (mine.rect[:, 2], mine.rect[:, 3]), size)
    loaded, address = _load_state(scope, op, state, data, mine.core)
    kind = "conv1d" if operator.kind is OpKind.CONV1D else "scan"
    tile = Tile(op, actions.STATE, (0, y.rows), (mine.rect[:, 2], mine.rect[:, 3]), (0, recurrence.key_dim))
    done = scope.vector(mine.core, tile, kind, mine.elements * recurrence.key_dim, [*after, loaded])
    _store_state(scope, op, state, data, mine.core, address, done)
    scope.pieces[operator.outputs[0]] = Pieces(mine.core, mine.rect, done)


def _wanted_of(scope: Scope, name: str, mine: Pieces, columns: int) -> Pieces:
    """The same channels of an input that has channels as columns; all of one that has not (b and c of a scan)."""
    tensor = scope.block.tensor(name)
    if tensor.columns == columns:
        return Pieces(mine.core, mine.rect, np.full(mine.count, NONE, dtype=np.int64))
    return wanted(mine.core, 0, tensor.rows, 0, tensor.columns)


def _load_matrix_columns(scope: Scope, name: str, op: int, mine: Pieces) -> IntArray:
    tensor = scope.block.tensor(name)
    size = tensor.rows * row_bytes(mine.columns, tensor.bits)
    data = Slice(scope.tensor(name), (0, tensor.rows), (mine.rect[:, 2], mine.rect[:, 3]), size)
    address = scope.stage.memory.place(int(size.max()))
    source = scope.stage.above(mine.core, data, address.at(0))
    return scope.plan.copy(source, Region(SRAM, mine.core, data), op)


def _load_state(scope: Scope, op: int, name: str, data: Slice, core: IntArray) -> tuple[IntArray, Address]:
    """The parts of a state on their cores, and where they lie; what an earlier micro-batch wrote back is "spill"."""
    known = scope.past.states.get(name) if scope.past else None
    address = known.address if known else scope.stage.memory.place(int(np.max(data.bytes)))
    after, cause = (known.stored, "spill") if known else (None, "unique")
    where = scope.stage.above(core, data, address.at(0))
    return scope.plan.copy(where, Region(SRAM, core, data), op, after, cause), address


def _store_state(
    scope: Scope, op: int, name: str, data: Slice, core: IntArray, address: Address, after: IntArray
) -> None:  # fmt: skip
    where = scope.stage.above(core, data, address.at(0))
    stored = scope.plan.copy(Region(SRAM, core, data), where, op, after, cause="append")
    if scope.past:
        scope.past.states[name] = StatePlace(address, stored)


def lower_retention(scope: Scope, operator: Operator) -> None:
    """Each core has stretches of value columns of (request, head) states and takes the request's tokens in order."""
    recurrence, op = _recurrence(operator), scope.op(operator)
    heads, requests = recurrence.heads, len(recurrence.requests)
    state = operator.inputs[1]
    quantum = math.lcm(8, elements_per_byte(scope.bits(state)))
    parts = cut_stretches(np.arange(heads * requests), recurrence.value_dim, scope.grid.size, quantum)
    request, head = parts.group % requests, parts.group // requests
    new = np.array([r.new for r in recurrence.requests])
    row0 = (np.cumsum(new) - new)[request]
    core = scope.grid.cores[parts.rank]
    ready = _bring_heads(scope, operator, parts, (row0, row0 + new[request]), head)
    width = parts.n1 - parts.n0
    size = recurrence.key_dim * row_bytes(width, scope.bits(state))
    group = request * heads + head
    data = Slice(scope.tensor(state), (0, recurrence.key_dim), (parts.n0, parts.n1), size, group)
    loaded, address = _load_state(scope, op, state, data, core)
    rows = (row0, row0 + new[request])
    done = _retain(scope, operator, (core, group, rows, (parts.n0, parts.n1)), [loaded, *ready])
    _store_state(scope, op, state, data, core, address, done)
    column = head * recurrence.value_dim
    rect = np.stack([*rows, column + parts.n0, column + parts.n1], axis=1)
    scope.pieces[operator.outputs[0]] = Pieces(core, rect, done)


def _bring_heads(
    scope: Scope, operator: Operator, parts: Stretches, rows: tuple[IntArray, IntArray], head: IntArray
) -> list[IntArray]:
    """Queries, keys and values of each stretch; queries and keys turned."""
    recurrence, op = _recurrence(operator), scope.op(operator)
    name, core = operator.inputs[0], scope.grid.cores[parts.rank]
    keys = recurrence.heads * recurrence.key_dim
    ready = []
    for first in (0, keys):
        column = first + head * recurrence.key_dim
        x = scope.bring(name, wanted(core, *rows, column, column + recurrence.key_dim), op)
        ready.append(apply_pending(scope, name, x)[1].ready)
    column = 2 * keys + head * recurrence.value_dim
    values = scope.bring(name, wanted(core, *rows, column + parts.n0, column + parts.n1), op)
    return [*ready, values.ready]


def _retain(
    scope: Scope, operator: Operator,
    work: tuple[IntArray, IntArray, tuple[IntArray, IntArray], tuple[IntArray, IntArray]], after: list[IntArray],
) -> IntArray:  # fmt: skip
    """Recurrent form (one token): k^T v and q s on the matrix unit, decay on the vector unit. Chunked form: also the
    chunk's own scores and their product with the values."""
    core, group, rows, columns = work
    recurrence, op = _recurrence(operator), scope.op(operator)
    chunk, key = recurrence.chunk, np.full_like(core, recurrence.key_dim)
    width, tokens = columns[1] - columns[0], rows[1] - rows[0]
    bits = (16.0, 16.0, 32.0)
    for begin in range(0, int(tokens.max()), chunk):
        n = np.clip(tokens - begin, 0, chunk)
        part = rows[0] + np.minimum(begin, tokens), rows[0] + np.minimum(begin + chunk, tokens)
        tile = Tile(op, actions.STATE, part, columns, (0, recurrence.key_dim), group)
        inner = 2 * n * n * (key + width) if chunk > 1 else 0 * n
        sizes = (n, width, 2 * key)
        ops = inner + 4 * n * key * width
        cycles = scope.chip.matrix_cycles(*sizes, *bits)
        if chunk > 1:
            cycles = cycles + scope.chip.matrix_cycles(n, n, key, *bits) + scope.chip.matrix_cycles(n, width, n, *bits)
        multiplied = scope.plan.compute(core, "matrix", tile, cycles, after, ops)
        tail = Tile(op, actions.STATE, (part[1], part[1]), columns, (0, recurrence.key_dim), group)
        after = [scope.vector(core, tail, "scale", key * width + (n * n if chunk > 1 else 0 * n), [multiplied])]
    return after[0]
