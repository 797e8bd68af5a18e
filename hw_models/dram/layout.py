"""Where things stand in the state of the DRAM server: the indices that its @kernel functions name.

The state is: header, parameters (P_*), completions, bounds and winners of the tournament over channels, then one
block of `P_STRIDE` numbers per channel. A block holds scalars (C_*), then at the block offsets that P_*_AT
name: `banks` of BANK_WORDS each (B_*), the ring of data begins of the last `queue_runs` runs, the ring of events to
come, the order of the request slots, and the slots of SLOT_WORDS each (S_*).
"""

from __future__ import annotations

from typing import Final

from cairn.hw_models.server import HEADER

OVERFLOW: Final = 1
"""`state[ERROR]`: more requests at once in a channel than the server was built for."""
BAD_REQUEST: Final = 2
"""`state[ERROR]`: a request row outside the channels, the banks, or the rule that stripe_bytes divides row_bytes."""

REQUEST_COLUMNS: Final = (
    "flags", "channel", "bank_base", "bank_count", "row_base", "stripe_bytes", "offset_bytes", "bytes",
)  # fmt: skip
R_CHANNEL, R_BANK_BASE, R_BANK_COUNT, R_ROW_BASE, R_STRIPE, R_OFFSET, R_BYTES = range(1, len(REQUEST_COLUMNS))

# Parameters.
(
    P_CHANNELS, P_LEAVES, P_BOUNDS_AT, P_WINNERS_AT, P_CHANNELS_AT, P_STRIDE,
    P_BANKS_AT, P_BEGINS_AT, P_EVENTS_AT, P_ORDER_AT, P_SLOTS_AT, P_EVENTS, P_REQUESTS,
    P_BANKS, P_ROW_BYTES, P_BURST_BYTES, P_RUN_BYTES, P_WINDOW,
    P_SLOT_NUM, P_SLOT_DEN, P_SLOT_TICKS, P_BYTE_Q16, P_BYTES_BOUND,
    P_CL, P_RCD, P_RP, P_RAS, P_RC, P_RRD, P_FAW, P_RTP, P_WR, P_WTR, P_RTW, P_RFC, P_REFI,
) = range(HEADER, HEADER + 36)  # fmt: skip
P_END: Final = HEADER + 36
TIMING_SLOTS: Final = {
    "t_cl": P_CL, "t_rcd": P_RCD, "t_rp": P_RP, "t_ras": P_RAS, "t_rrd": P_RRD, "t_faw": P_FAW, "t_rtp": P_RTP,
    "t_wr": P_WR, "t_wtr": P_WTR, "t_rtw": P_RTW, "t_rfc": P_RFC, "t_refi": P_REFI,
}  # fmt: skip
"""Slot of each timing of the spec."""

# Scalars of a channel. C_ACTS begins the ring of its last four activates.
(
    C_ACTIVE, C_TURN, C_LAST_TASK, C_PRESENT_SINCE, C_BEGINS_HEAD, C_EVENTS_HEAD, C_EVENTS,
    C_BUS_FREE, C_DIRECTION, C_FLOOR, C_NEXT_REFRESH, C_LAST_ACT, C_ACTS_HEAD, C_ACTS,
) = range(14)  # fmt: skip
ACTS: Final = 4
(
    C_BYTES_READ, C_BYTES_WRITTEN, C_PADDING, C_HITS, C_MISSES, C_CONFLICTS, C_BUSY,
) = range(C_ACTS + ACTS, C_ACTS + ACTS + 7)  # fmt: skip
C_END: Final = C_BUSY + 1

B_ROW, B_PRE_AT, B_ACT_AT = range(3)
BANK_WORDS: Final = 3
CLOSED: Final = -1
"""B_ROW of a bank without an open row."""

E_TICK, E_CODE = range(2)
EVENT_WORDS: Final = 2

(
    S_TASK, S_WRITES, S_WAITS_FIRST, S_BANK_BASE, S_BANK_COUNT, S_STRIPE, S_WHOLE, S_WHOLE_BURSTS, S_WHOLE_TICKS,
    S_BANK, S_ROW, S_IN_ROW, S_IN_STRIPE, S_IN_RUN, S_LEFT,
) = range(15)  # fmt: skip
SLOT_WORDS: Final = 15

NO_DIRECTION: Final = -1
LONG_AGO: Final = -(1 << 61)
"""A tick before every constraint's reach."""
