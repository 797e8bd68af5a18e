"""Closed forms of the patterns of request_list.py by name."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.closed_form import (
    ClosedForm,
    bank_round,
    mixed_streams,
    one_bank,
    random_reads,
    stream,
    two_rows,
    two_streams,
)
from cairn.hw_models.dram.closed_ticks import ChannelTicks, Walk
from cairn.hw_models.dram.request_list import PATTERNS

WITHOUT_FORM = ("random_mix21", "gemv2w")
"""Random reads and writes, and three streams, have no form; two streams have one where they deal over bank groups."""


def pattern_form(
    name: str, ticks: ChannelTicks, count: npt.ArrayLike, walk: Walk, interval: npt.ArrayLike = 0
) -> ClosedForm | None:
    """The closed form of `count` requests of a pattern, None where there is none; ConfigError for an unknown pattern.

    `walk` is that of the mapping (streams); it plays no part in the others, whose banks the pattern names.
    """
    if name not in PATTERNS:
        raise ConfigError(f"there is no pattern {name!r}; there are {', '.join(PATTERNS)}", key="pattern")
    match name:
        case "stream_rd" | "stream_wr":
            return stream(ticks, count, walk, write=name == "stream_wr", interval=interval)
        case "random_rd":
            return random_reads(ticks, count, interval=interval)
        case "conflict1":
            return one_bank(ticks, count)
        case "conflict4":
            return one_bank(ticks, count, run=4)
        case "pingpong":
            return two_rows(ticks, count)
        case "bank_rr":
            return bank_round(ticks, count, Walk.all_banks(ticks))
        case "bank_rr_onebg":
            return bank_round(ticks, count, Walk.one_group(ticks))
        case "mix21_stream" if _keeps_groups_busy(walk):
            return mixed_streams(ticks, count, walk, reads=2, writes=1)
        case "gemv2" if _keeps_groups_busy(walk):
            return two_streams(ticks, count, walk, first=7, second=1)
    return None


def _keeps_groups_busy(walk: Walk) -> bool:
    """Whether every set of banks has all pseudo-channels and bank groups, and the next one is in other banks."""
    return not (np.any(walk.same_banks) or np.any(walk.turn_pseudo) or np.any(walk.turn_groups))
