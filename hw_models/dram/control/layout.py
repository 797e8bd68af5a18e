"""Where things stand in the state of a channel's controller: the indices that its kernels name.

The state is one array: header, parameters (P_*), the tables of rules, then one block of `P_STRIDE` numbers for each
channel. A block holds scalars (C_*), then, at the block offsets that P_*_AT name:

    gates   earliest moments by command and rank, from rules of ranks and above       [command][rank of the channel]
    ready   earliest moments by command and bank, from rules of bank groups and banks [command][bank]
    banks   BANK_WORDS each (B_*); queues  QUEUE_WORDS each (Q_*), for reads [bank], then for writes [bank]
    lists   banks with a row hit waiting, closed ones, ones to be precharged: for reads, then for writes [kind][bank]
    active  banks whose activate was for a request that now waits for its read or write
    slots   SLOT_WORDS each (S_*), reads, then writes; free: the stacks of free slots; due: refreshes that are due
    rings   the last activates (or refreshes) of rules that count several
    shares  ticks charged by cause, for each pseudo-channel [pseudo-channel][cause]

A moment is `tick * MOMENT + cause`: its order is that of the ticks, and the cause says what the rule that set it stands
for.
"""

from __future__ import annotations

from typing import Final

from cairn.hw_models.server import HEADER

MOMENT_BITS: Final = 4
MOMENT: Final = 1 << MOMENT_BITS
LONG_AGO: Final = -(1 << 50)
FAR: Final = 1 << 58

# Commands, in the order of standard.COMMANDS.
ACT, RD, WR, PRE, PREA, REF, REFPB, RDA, WRA = range(9)
KINDS_OF_COMMAND: Final = 9
SECOND_ACT: Final = 9
"""Second command of a split activate, in traces of commands alone."""
CLOCK_START: Final = 10
"""Start of the data clock, in traces of commands alone."""

# Causes that time is charged to. The last two lead on to what bound the activate or the precharge.
(
    DATA_BUS, COLUMN_SPACING, ACTIVATE_SPACING, ROW_BUS, COMMAND_BUS, ROW_CYCLE, REFRESHING, TURNAROUND, QUEUE,
    NO_DEMAND, DRAIN, AFTER_ACTIVATE, AFTER_PRECHARGE,
) = range(13)  # fmt: skip
CAUSES: Final = (
    "data_bus", "column_spacing", "activate_spacing", "row_bus", "command_bus", "row_cycle", "refresh", "turnaround",
    "queue", "no_demand", "drain",
)  # fmt: skip

# Schedulers and refreshes.
FRFCFS, FRFCFS_ROW_HIT, FCFS = range(3)
NO_REFRESH, ALL_BANK, PER_BANK = range(3)

# Scopes of rules, in the order of standard.SCOPES.
IN_CHANNEL, IN_PSEUDO_CHANNEL, IN_RANK, IN_GROUP, IN_BANK, IN_OTHER_RANK = range(6)
NO_RING: Final = -1
RING: Final = 4
RING_WORDS: Final = RING + 1
"""Ticks of the last RING commands, and the place of the oldest."""
RULE_FOLLOWING, RULE_SCOPE, RULE_DELAY, RULE_RING, RULE_WINDOW = range(5)
RULE_WORDS: Final = 5

# Parameters.
(
    P_CHANNELS, P_STRIDE, P_BLOCKS_AT, P_RULES_FROM, P_RULES_AT,
    P_PSEUDO, P_RANKS, P_TOPS, P_BANKS, P_GROUP_BANKS, P_HALF_TICKS, P_TWO_BUSES,
    P_SCHEDULER, P_CLOSED, P_REFRESH, P_REFI, P_SCOPE_BANKS, P_PAIRED,
    P_BURST, P_READ, P_WRITE, P_READS, P_WRITES, P_ENTER_WRITES, P_LEAVE_WRITES,
    P_SPLIT, P_DATA_CLOCK, P_CLOCK_READ, P_CLOCK_WRITE,
    P_GATES_AT, P_READY_AT, P_BANKS_AT, P_QUEUES_AT, P_LISTS_AT, P_ACTIVE_AT, P_SLOTS_AT, P_FREE_AT,
    P_DUE_AT, P_DUE_SIZE, P_RINGS_AT, P_BUS_FREE_AT, P_SHARES_AT,
    P_LOG_AT, P_LOG_SIZE,
    P_END,
) = range(HEADER, HEADER + 45)  # fmt: skip

# Scalars of a channel.
(
    C_CLK, C_WRITING, C_NEXT_REFRESH, C_REFRESH_UNIT, C_DUE_HEAD, C_DUE, C_ACTIVE, C_ACTIVE_ORDER, C_ACTIVE_NEXT,
    C_WAITING_READS, C_WAITING_WRITES, C_SEQUENCE,
    C_PAIR_TICK, C_PAIR_PSEUDO, C_PAIR_BANK,
    C_SPLIT_BANK, C_SPLIT_DEADLINE, C_CLOCK_UNTIL, C_PENDING_COLUMN,
    C_DONE, C_DONE_TAG, C_DONE_WRITE, C_DONE_ACCEPTED, C_DONE_TICK, C_LAST_END, C_FREED,
    C_READ_HITS, C_READ_MISSES, C_READ_CONFLICTS, C_WRITE_HITS, C_WRITE_MISSES, C_WRITE_CONFLICTS,
    C_COUNTS,
) = range(33)  # fmt: skip
C_LENGTH: Final = C_COUNTS + KINDS_OF_COMMAND
"""Six lengths of the lists, reads then writes."""
C_NEXT: Final = C_LENGTH + 6
"""For each list a tick before which no bank in it can be ready."""
C_LOGGED: Final = C_NEXT + 6
C_END: Final = C_LOGGED + 1

HITS, CLOSED_BANKS, MISSES = range(3)
KINDS_OF_LIST: Final = 3

(
    B_TOP, B_PSEUDO, B_GROUP, B_ROW, B_STATE,
    B_ACTIVE, B_ACTIVE_PLACE, B_A_ORDER, B_A_ACCEPTED, B_A_OFFERED, B_A_TAG, B_A_WRITE,
    B_ACT_TICK, B_ACT_MOMENT, B_PRE_TICK, B_PRE_MOMENT,
    BANK_WORDS,
) = range(17)  # fmt: skip
CLOSED, OPENING, OPEN = range(3)

Q_HEAD, Q_TAIL, Q_HIT, Q_MISS, Q_COUNT, Q_PLACE = range(6)
QUEUE_WORDS: Final = Q_PLACE + KINDS_OF_LIST
S_SEQUENCE, S_ACCEPTED, S_OFFERED, S_ROW, S_TAG, S_COUNTED, S_NEXT, S_BEFORE = range(8)
SLOT_WORDS: Final = 8
NONE: Final = -1

LOG_WORDS: Final = 4
"""A logged command: tick, command, bank, row."""
