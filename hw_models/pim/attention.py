"""Closed form of the attention of one new token on a stack with multipliers: scores, soft-max and context of its heads.

Vectorised: heads, context, head dimension and element size may be arrays, broadcast together. Nothing is fitted; every
term is a count of commands of one channel times the clocks between two of them (attacc.py):

* Work. A head is on one channel, so `waves` = ceil(heads / channels) follow each other there. A wave multiplies the
  query with its keys (scores) and the probabilities with its values (context); each takes K = ceil(context / units)
  steps of D columns, D what a unit needs for one key. Columns of a row follow at the pace of multiplies.
* Rows. At bank level all banks change their row together, and nothing multiplies meanwhile: `row_cycle` for each row
  of columns. With one unit for a group, or for all, the next row opens in another bank while this one is read.
* Moves. Queries go to the units, scores to the soft-max unit, probabilities back, contexts out, over data paths that
  multiplies do not use. Two waves are interleaved: while one multiplies, the other moves. Moves stand behind the
  multiplies of their stretch, so they begin when what is left of these fits the channel's queue. What is left of the
  moves after the multiplies is exposed; then the queue holds moves to several bank groups, which follow closer, and
  the next row opens meanwhile.
* The last of an odd number of waves has no other to hide its probabilities behind: they stand alone.
* Refresh: as many as fall due, each with the row that it closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.attacc import AttaccSpec, Placement

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Attended:
    """The attention of one layer on one stack: `heads` query heads, each over `context` keys of `head_dim` elements of
    `element_bytes`. Whole numbers or arrays of them, broadcast together; ConfigError when one is below 1, or an element
    is wider than a column."""

    heads: npt.ArrayLike
    context: npt.ArrayLike
    head_dim: npt.ArrayLike
    element_bytes: npt.ArrayLike = 2


@dataclass(frozen=True)
class _Channel:
    """Counts of one channel, arrays: K keys a unit, D columns a key, sweeps of the context, clocks of moves."""

    waves: IntArray
    keys: IntArray
    key_columns: IntArray
    sweeps: IntArray
    query: FloatArray
    scores: FloatArray
    probabilities: FloatArray
    contexts: FloatArray
    spacing: int
    row_cost: int
    crowd: float
    """Clocks of a move when the queue holds nothing else, over those of moves to one bank group."""


def attention_cycles(
    spec: AttaccSpec, placement: Placement, work: Attended, *, power_limit: bool = True, last_moves: npt.ArrayLike = 1
) -> FloatArray:
    """Memory clocks of `work` on one stack, of the shape of its arrays.

    `last_moves` says how often the last of an odd number of waves sends its probabilities: once is enough.
    """
    c = _channel(spec, placement, work, power_limit)
    pairs, odd = c.waves // 2, c.waves % 2
    clocks = pairs * _pair(spec, c) + odd * _alone(spec, c, np.asarray(last_moves, dtype=np.int64))
    return _refreshed(spec, np.asarray(clocks, dtype=np.float64), c.spacing)


def command_counts(spec: AttaccSpec, placement: Placement, work: Attended) -> dict[str, IntArray]:
    """Commands of a whole stack by name: `mac`, and the moves `wrgb` (queries), `mvsb` (scores, contexts), `mvgb`
    (probabilities)."""
    heads, context, dim, lanes = _checked(spec, work)
    units, pairs_of_scores, context_moves = _shape(spec, placement)
    width = spec.banks if placement is Placement.BANK else 1
    keys, columns = _ceil(context, units), _ceil(dim, width * lanes)
    blocks = _ceil(keys, spec.keys_per_move)
    return {
        "mac": heads * 2 * keys * columns,
        "wrgb": heads * width * columns,
        "mvsb": heads * (blocks * pairs_of_scores + columns * context_moves),
        "mvgb": heads * pairs_of_scores * _ceil(context, units * lanes),
    }


def _checked(spec: AttaccSpec, work: Attended) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Heads, context, head dimension and elements of a column."""
    arrays: dict[str, IntArray] = {}
    for name in ("heads", "context", "head_dim", "element_bytes"):
        given: Any = np.asarray(getattr(work, name))
        if given.size == 0 or not np.all(given >= 1) or np.any(given != np.floor(given)):
            raise ConfigError(f"whole numbers of at least 1 belong here, not {getattr(work, name)!r}", key=name)
        arrays[name] = given.astype(np.int64)
    if np.any(arrays["element_bytes"] > spec.column_bytes):
        message = f"an element has at most the {spec.column_bytes} bytes of a column; choose a narrower precision"
        raise ConfigError(message, key="element_bytes")
    lanes = spec.column_bytes // arrays["element_bytes"]
    found = np.broadcast_arrays(arrays["heads"], arrays["context"], arrays["head_dim"], lanes)
    return found[0], found[1], found[2], found[3]


def _shape(spec: AttaccSpec, placement: Placement) -> tuple[int, int, int]:
    """Units of a channel that share the keys of a head; moves of their scores, and of a column of the context."""
    groups = spec.ranks * spec.bank_groups
    if placement is Placement.BANK:
        return spec.pseudo_channels * groups, groups, spec.ranks * spec.banks
    if placement is Placement.BANK_GROUP:
        return spec.pseudo_channels * groups, groups, spec.ranks
    return spec.pseudo_channels, 1, 1


def _channel(spec: AttaccSpec, placement: Placement, work: Attended, power_limit: bool) -> _Channel:
    heads, context, dim, lanes = _checked(spec, work)
    units, score_moves, context_moves = _shape(spec, placement)
    bank = placement is Placement.BANK
    width = spec.banks if bank else 1
    columns = _ceil(dim, width * lanes)
    limited = spec.mac_spacing if power_limit else spec.mac_spacing_unlimited
    spacing = spec.column_spacing if placement is Placement.BUFFER else limited
    probabilities = score_moves * _ceil(context, units * lanes) * spec.column_spacing_group
    apart = spec.column_spacing  # moves to alternating ranks
    return _Channel(
        waves=_ceil(heads, spec.channels),
        keys=_ceil(context, units),
        key_columns=columns,
        sweeps=columns,
        query=_floats(width * columns * spec.column_spacing_group),
        scores=np.full(heads.shape, float(score_moves * apart)),
        probabilities=_floats(probabilities),
        contexts=np.full(heads.shape, float(context_moves * apart)),
        spacing=spacing,
        row_cost=spec.row_cycle - spacing if bank else 0,
        crowd=1.0 if placement is Placement.BUFFER else spec.column_spacing / spec.column_spacing_group,
    )


def _multiplies(spec: AttaccSpec, c: _Channel, columns: IntArray) -> IntArray:
    """Clocks of so many columns in a row of rows, from the first multiply to where the next could be."""
    return np.asarray(columns * c.spacing + _ceil(columns, spec.columns_per_row) * c.row_cost)


def _exposed(spec: AttaccSpec, c: _Channel, columns: IntArray, moves: FloatArray) -> FloatArray:
    """Clocks by which `moves` (clocks, one bank group at a time) outlast the stretch of `columns` that they follow."""
    left = np.maximum(0.0, moves - np.minimum(columns, spec.queue) * c.spacing)
    return np.asarray(np.maximum(0.0, left * c.crowd - c.row_cost))


def _pair(spec: AttaccSpec, c: _Channel) -> FloatArray:
    """Clocks of two waves: scores of the first and the second, contexts of the first and the second.

    The probabilities of a wave move beside the later half of what the other multiplies.
    """
    blocks = _ceil(c.keys, spec.keys_per_move)
    block = np.minimum(c.keys, spec.keys_per_move) * c.key_columns
    late_blocks, late_sweeps = blocks - blocks // 2, c.sweeps - c.sweeps // 2
    multiplied = 2 * (_multiplies(spec, c, c.keys * c.key_columns) + _multiplies(spec, c, c.keys * c.sweeps))
    exposed = (
        blocks * _exposed(spec, c, block, _floats(c.scores + c.query / blocks))
        + (blocks - late_blocks) * _exposed(spec, c, block, c.scores)
        + late_blocks * _exposed(spec, c, block, _floats(c.scores + c.probabilities / late_blocks))
        + late_sweeps * _exposed(spec, c, c.keys, _floats(c.contexts + c.probabilities / late_sweeps))
    )
    return np.asarray(multiplied + exposed + _ends(c))


def _alone(spec: AttaccSpec, c: _Channel, last_moves: IntArray) -> FloatArray:
    """Clocks of a wave without another: nothing multiplies while its probabilities move, but the next row opens."""
    multiplied = _multiplies(spec, c, c.keys * c.key_columns) + _multiplies(spec, c, c.keys * c.sweeps)
    moved = np.maximum(0.0, c.scores + c.probabilities * c.crowd - c.row_cost)
    return np.asarray(multiplied + last_moves * moved + _ends(c))


def _ends(c: _Channel) -> FloatArray:
    """Clocks of the first query and the last contexts beyond those in which the first row opens."""
    return np.asarray(np.maximum(0.0, c.query + c.contexts - c.row_cost))


def _refreshed(spec: AttaccSpec, clocks: FloatArray, spacing: int) -> FloatArray:
    """With the refreshes that fall due: each closes the rows, and they open again after it."""
    if not spec.refreshes:
        return clocks
    lost = spec.refresh + spec.row_cycle - spacing
    if lost >= spec.refresh_interval:
        message = f"refreshes take all the time: {lost} of {spec.refresh_interval} clocks; refresh less often"
        raise ConfigError(message, key="refresh_interval")
    due = np.floor((clocks - lost) / (spec.refresh_interval - lost))  # the n-th at n intervals, if work is left then
    return np.asarray(clocks + np.maximum(0.0, due) * lost)


def _ceil(value: IntArray, unit: npt.ArrayLike) -> IntArray:
    return np.asarray(-(-value // np.asarray(unit)))


def _floats(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(value, dtype=np.float64)
