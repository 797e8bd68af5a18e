"""Where things stand in the state of the server of channels with controllers: the indices that its kernels name.

The state is that of `control` (parameters, rules, one block for each channel) with further parameters (P_*) after the
controller's, and behind each channel's block its streams (X_*): requests under way in slots of SLOT_WORDS, the order of
those with bytes left to enter, the queue as runs of RUN_WORDS in order of arrival, the ring of events to come, and the
requests for its PIM units (S6), a ring of PIM_WORDS each.
"""

from __future__ import annotations

from typing import Final

from cairn.hw_models.dram.control.layout import P_END

(
    P_LEAVES, P_BOUNDS_AT, P_WINNERS_AT, P_EVENTS, P_REQUESTS,
    P_ROW_BYTES, P_BURST_BYTES, P_RUN_BYTES, P_TICK_NUM, P_TICK_DEN, P_LATEST_PS, P_BURSTS_BOUND,
    P_ONE_GROUP, P_SPACING, P_WRITE_WAIT, P_LONGEST_RULE,
    P_ASK_TICKS, P_ASK_REQUESTS, P_ORIGIN_AT, P_QUESTION_AT, P_TABLE_AT, P_ENTRIES, P_ENTRY_WORDS, P_REPEATED, P_WORKED,
    P_EXTRA_AT, P_SLOTS_AT, P_ORDER_AT, P_USED_AT, P_RUNS_AT, P_RUN_ORDER_AT, P_EVENTS_AT,
    P_PIM, P_PIM_AT, P_PIM_REQUESTS, P_PIM_EXCLUSIVE, P_PIM_TOGETHER, P_PIM_COLUMN_BYTES, P_PIM_COLUMNS,
    P_PIM_SPACING, P_PIM_RCD, P_PIM_RTP, P_PIM_CHANGE, P_PIM_TURN, P_PIM_YIELD, P_PIM_BETWEEN,
    P_PIM_PARTS,
    P_SERVER_END,
) = range(P_END, P_END + 48)  # fmt: skip
PARAMETERS: Final = P_SERVER_END - P_END
"""P_PIM is 1 where the channels have PIM units, whose parameters follow, times in ticks; P_PIM_BETWEEN is what passes
at least from the last MAC of a row to the first one of the next, and P_PIM_PARTS the parts of a spacing in which turns
are counted."""

# Scalars of a channel's streams, from P_EXTRA_AT on.
(
    X_ENTERING, X_USED, X_TURN, X_LAST_TASK, X_NEXT_ARRIVAL, X_RUNS, X_PENDING, X_SEQUENCE, X_EVENTS, X_EVENTS_HEAD,
    X_BYTES_READ, X_BYTES_WRITTEN, X_PADDING, X_LIMIT, X_BLOCKED, X_LAST_SLOT,
    X_BUFFERS, X_PIM_HEAD, X_PIM_COUNT, X_PIM_PHASE, X_PIM_FROM, X_PIM_HELD, X_PIM_LOW, X_PIM_HIGH, X_PIM_BANK,
    X_PIM_MAC, X_PIM_BYTES, X_PIM_ROWS, X_PIM_BUSY, X_PIM_CHANGES,
    X_END,
) = range(31)  # fmt: skip
"""X_ENTERING requests have bytes left to enter, X_USED are under way (their slots come first in the list of slots);
X_PENDING bursts of the newest run have not entered yet; every tick before X_LIMIT is done. X_BUFFERS requests under way
move bytes of PIM buffers; banks X_PIM_LOW .. X_PIM_HIGH - 1 are claimed (S7), X_PIM_HELD rows have been done since the
units last gave way, X_PIM_BANK is the next one to be opened or closed, X_PIM_MAC the tick of the row's last MAC."""

(
    S_TASK, S_WRITES, S_WAITS_FIRST, S_ARRIVED, S_BANK_BASE, S_BANK_COUNT, S_STRIPE,
    S_BANK, S_ROW, S_IN_ROW, S_IN_STRIPE, S_IN_RUN, S_LEFT, S_WAITING, S_PLACE,
    SLOT_WORDS,
) = range(16)  # fmt: skip
"""S_LEFT bytes of whole runs that have not begun to enter, S_WAITING bursts of runs that have, and have not issued;
S_PLACE is the place in the list of slots when an image was last written."""

U_SLOT, U_BANK, U_ROW, U_WRITE, U_LEFT, U_STAMP, U_COUNTED, U_SEQUENCE = range(8)
RUN_WORDS: Final = 8
"""A run: its request's slot, bank, row, direction, bursts waiting in the queue, tick of the first one's acceptance,
whether the first of them has been counted as hit, miss or conflict, and the order of arrival."""

EVENT_WORDS: Final = 2
E_TICK, E_CODE = range(EVENT_WORDS)

REST, HELD, OPENING, WORKING, CLOSING, LEAVING = range(6)
"""X_PIM_PHASE: nothing is claimed; claimed, and no row of the request opened yet; rows being opened; the row is worked
on; rows being closed; the mode changes back (S7, S8)."""

T_TASK, T_WAITS_FIRST, T_ARRIVED, T_BANK, T_COUNT, T_ROW, T_COLUMN, T_LEFT, T_TURNS = range(9)
PIM_WORDS: Final = 9
"""A PIM request: its task, whether its first data is waited for, its tick, banks, the row and column where it goes on,
columns left, and how many parts of the spacing of columns each one takes."""
