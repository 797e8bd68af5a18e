"""Bytes of DRAM bursts that nobody asked for, request by request."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cairn.hw_models.dram import request as ix
from cairn.hw_models.dram.spec import DramSpec

IntArray = npt.NDArray[np.int64]


def burst_padding(spec: DramSpec, requests: IntArray) -> IntArray:
    """Padding bytes of each row of the DRAM server's request table, (n,) -> (n,).

    By rule S2 of the channels (hw_models/dram/stack) a request is cut into runs where a turn of `turn_bytes` or a
    stripe ends, counted from where the tile begins, and every run moves whole bursts. What the channels' counters add
    up to is the sum of this. A model that moves bytes and no bursts has none.
    """
    result = np.zeros(requests.shape[0], dtype=np.int64)
    if not spec.moves_whole_bursts:
        return result
    stripes, which = np.unique(requests[:, ix.R_STRIPE], return_inverse=True)
    for number, stripe in enumerate(stripes.tolist()):
        mine = np.flatnonzero(which == number)
        begin, size = requests[mine, ix.R_OFFSET], requests[mine, ix.R_BYTES]
        result[mine] = _bus_bytes(spec, stripe, begin, begin + size) - size
    return result


def _bus_bytes(spec: DramSpec, stripe: int, begin: IntArray, end: IntArray) -> IntArray:
    """Bytes of the bursts that move bytes [begin, end) of a tile. The pattern of cuts repeats after a whole number of
    turns and stripes."""
    burst, period = spec.burst_bytes, math.lcm(stripe, spec.turn_bytes)
    cuts = np.union1d(np.arange(0, period + 1, stripe), np.arange(0, period + 1, spec.turn_bytes))
    whole = np.concatenate([[0], np.cumsum(_ceil(np.diff(cuts), burst))])

    def up_to(cut: IntArray) -> IntArray:
        rounds, place = np.divmod(cut, period)
        counted: IntArray = rounds * whole[-1] + whole[np.searchsorted(cuts, place)]
        return counted

    def cut_at(place: IntArray, side: str) -> IntArray:
        rounds, rest = np.divmod(place, period)
        index = np.searchsorted(cuts, rest) if side == "after" else np.searchsorted(cuts, rest, side="right") - 1
        moved: IntArray = rounds * period + cuts[index]
        return moved

    first, last = cut_at(begin, "after"), cut_at(end, "before")
    inside = first <= last
    ends = _ceil(first - begin, burst) + _ceil(end - last, burst)
    bursts = np.where(inside, up_to(np.maximum(last, first)) - up_to(first) + ends, _ceil(end - begin, burst))
    counted: IntArray = bursts * burst
    return counted


def _ceil(size: IntArray, unit: int) -> IntArray:
    return -(-size // unit)
