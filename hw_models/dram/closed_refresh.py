"""Time with refreshes: how long requests take when each refresh stops them and leaves all banks closed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cairn.hw_models.dram.closed_ticks import ChannelTicks, FloatArray, Floats, floats

NO_REFRESH = 1e18
"""Ticks between refreshes where there are none: more than any run."""


@dataclass(frozen=True)
class Work:
    """Sets of requests: the first `fresh` after a start or a refresh take `missed` ticks each, others `conflicted`."""

    set_size: Floats
    fresh: Floats
    missed: Floats
    conflicted: Floats

    @classmethod
    def even(cls, p: Floats) -> Work:
        """Requests of p ticks each."""
        return cls(1.0, 0.0, p, p)

    def done(self, time: FloatArray) -> FloatArray:
        """Requests in `time` ticks."""
        first = self.fresh * floats(self.missed)
        rest = np.maximum(time - first, 0)
        return (np.minimum(time, first) / self.missed + rest / self.conflicted) * self.set_size

    def time(self, requests: FloatArray) -> FloatArray:
        """Ticks of `requests`."""
        sets = requests / self.set_size
        return np.minimum(sets, self.fresh) * self.missed + np.maximum(sets - self.fresh, 0) * self.conflicted


def with_refresh(ticks: ChannelTicks, requests: FloatArray, work: Work, begin: Floats, lost: Floats) -> FloatArray:
    """The tick at which `requests` are done that begin at `begin`, when each refresh costs `lost` ticks."""
    every = np.where(np.isfinite(ticks.refresh_interval), ticks.refresh_interval, NO_REFRESH)
    first = work.done(np.maximum(every - begin, 0))
    between = work.done(np.maximum(every - lost, 1))  # a tick where refreshes leave none
    refreshes = np.where(requests <= first, 0, np.ceil((requests - first) / between))
    rest = requests - first - np.maximum(refreshes - 1, 0) * between
    last = np.where(refreshes > 0, work.time(np.maximum(rest, 0)), 0)
    return np.where(refreshes > 0, refreshes * every + lost + last, begin + work.time(requests))


def refreshing(ticks: ChannelTicks) -> FloatArray:
    """Ticks from the precharge of all banks before a refresh to the first activate after it, where it comes last.

    Refreshes that fall due together close their banks one after the other (K3: the one due longest).
    """
    close = floats(ticks.close_to_refresh)
    return close + ticks.refresh_to_act + (floats(ticks.refresh_turns) - 1) * (close + 1)
