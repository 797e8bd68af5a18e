"""Where things stand in the state of the server of channels with controllers: the indices that its kernels name.

The state is that of `control` (parameters, rules, one block for each channel) with further parameters (P_*) after the
controller's, and behind each channel's block its streams (X_*): requests under way in slots of SLOT_WORDS, the order of
those with bytes left to enter, the queue as runs of RUN_WORDS in order of arrival, and the ring of events to come.
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
    P_SERVER_END,
) = range(P_END, P_END + 33)  # fmt: skip
PARAMETERS: Final = P_SERVER_END - P_END

# Scalars of a channel's streams, from P_EXTRA_AT on.
(
    X_ENTERING, X_USED, X_TURN, X_LAST_TASK, X_NEXT_ARRIVAL, X_RUNS, X_PENDING, X_SEQUENCE, X_EVENTS, X_EVENTS_HEAD,
    X_BYTES_READ, X_BYTES_WRITTEN, X_PADDING, X_LIMIT, X_BLOCKED, X_LAST_SLOT,
    X_END,
) = range(17)  # fmt: skip
"""X_ENTERING requests have bytes left to enter, X_USED are under way (their slots come first in the list of slots);
X_PENDING bursts of the newest run have not entered yet; every tick before X_LIMIT is done."""

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
