"""Where things stand in the state of the server of Voxel's estimator: the indices that its kernels name.

The state is: header, parameters (P_*), completions, one block of CHANNEL_WORDS for each channel, and a heap of the
events to come, of EVENT_WORDS each (E_*), the earliest first.
"""

from __future__ import annotations

from typing import Final

from cairn.hw_models.server import HEADER

(
    P_CHANNELS, P_REQUESTS, P_BANKS, P_ROW_BYTES, P_BURST_BYTES, P_BYTES_PER_CYCLE,
    P_OPENING, P_PRECHARGE, P_COLUMN, P_CLOCK_NUM, P_CLOCK_DEN, P_CHANNELS_AT, P_HEAP_AT, P_EVENTS,
    P_END,
) = range(HEADER, HEADER + 15)  # fmt: skip
"""P_OPENING is in 2**-FRACTION_BITS cycles (voxel_estimator.py); P_EVENTS counts the events in the heap."""

(
    C_ACTIVE, C_READ_FREE, C_WRITE_FREE, C_BYTES_READ, C_BYTES_WRITTEN, C_REQUESTS, C_OPENINGS, C_BUSY,
    CHANNEL_WORDS,
) = range(9)  # fmt: skip
"""C_READ_FREE and C_WRITE_FREE: the ticks at which the ports have served all that has arrived."""

E_TICK, E_CODE, E_CHANNEL = range(3)
EVENT_WORDS: Final = 3
