"""How far the packet model is to be trusted: what its counters say of the load, and a limit for that.

The model has unbounded buffers, so it knows waiting but no back-pressure. The measure is *queueing*: the cycles that
heads wait at links and ejection ports, over the cycles that packets hold these. Waiting at one's own injection port
does not count, for nobody is held up behind it; neither do links that are full of one stream without meeting another,
as on the rings of a collective, where the model is exact. It is a mean over what is sent, so idle times do not hide a
burst.

The limit is half of saturation or somewhat more. Against BookSim2 (reference/noc/booksim2_curves.csv: 8 x 8 mesh,
uniform traffic, two and four virtual channels, buffers of 4 and 8 flits, packets of 1 and 4) the mean latency is 0 to
5 % below up to a queueing of 0.08, where the busiest link is used 35 to 40 %, and 1 to 9 % at 0.10 and 0.11; these
networks saturate at 55 to 85 % of a link. With a single channel, or packets of four times a buffer, less is to be
trusted: 7 % off at a queueing of 0.02 and 8 % at 0.06. Beyond the limit the model is too fast: 8 % at 0.14, 26 % at
0.19 with two channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

TRUSTED_QUEUEING: Final = 0.10
"""Half of saturation, in the measure of this file."""


@dataclass(frozen=True)
class NetworkLoad:
    """The load of a network over a run: share of the time that the busiest link or port is held, and queueing."""

    busiest: float
    queueing: float

    @property
    def is_trusted(self) -> bool:
        """Whether the packet model was checked at such a load."""
        return self.queueing <= TRUSTED_QUEUEING

    def note(self) -> str | None:
        """What a reader must know; None where the load lies within the range that was checked."""
        if self.is_trusted:
            return None
        return (
            f"network: packets wait {self.queueing:.0%} of the time that they hold links and ejection ports, busiest "
            f"link or port {self.busiest:.0%}; beyond {TRUSTED_QUEUEING:.0%} the packet model, whose buffers are "
            "unbounded, is not checked and too fast"
        )


def network_load(counted: Mapping[str, Any], run_ps: float) -> NetworkLoad:
    """The load from the counters of a packet server (`server.counters`) and the length of the run."""
    held = int(counted["link_busy_cycles"].sum() + counted["ejection_busy_cycles"].sum())
    waited = int(counted["link_wait_cycles"].sum() + counted["ejection_wait_cycles"].sum())
    kinds = ("link", "injection", "ejection")
    busiest = max(int(counted[f"{kind}_busy_cycles"].max(initial=0)) for kind in kinds)
    return NetworkLoad(
        busiest=busiest * counted["cycle_ps"] / run_ps if run_ps else 0.0,
        queueing=waited / held if held else 0.0,
    )
