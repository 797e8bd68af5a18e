"""When commands may issue: each command pushes back the earliest moments of those that a rule binds to it."""

from __future__ import annotations

from cairn.base.kernel import u
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.queues import bank_at, inner, routine
from cairn.hw_models.server import IntArray


@inner()
def _push_back(state: IntArray, at: int, moment: int) -> None:
    if state[u(at)] < moment:
        state[u(at)] = moment


@inner()
def moment_of(state: IntArray, base: int, command: int, bank: int, top: int) -> int:
    """Earliest moment of a command to one bank of rank `top` of the channel."""
    gate = state[u(base + state[ix.P_GATES_AT] + command * state[ix.P_TOPS] + top)]
    ready = state[u(base + state[ix.P_READY_AT] + command * state[ix.P_BANKS] + bank)]
    return int(max(gate, ready))


@routine()
def moment_of_scope(state: IntArray, base: int, command: int, first: int) -> int:
    """Earliest moment of a command to all banks of the refresh scope that begins with bank `first`."""
    moment = 0
    for bank in range(first, first + state[ix.P_SCOPE_BANKS]):
        moment = max(moment, moment_of(state, base, command, bank, state[u(bank_at(state, base, bank) + ix.B_TOP)]))
    return int(moment)


@inner()
def _since(state: IntArray, base: int, ring: int, node: int, tick: int) -> int:
    """Note a command on a ring; answers when the RING-th last came (this one included), from which the rule counts."""
    at = base + state[ix.P_RINGS_AT] + (ring * state[ix.P_TOPS] + node) * ix.RING_WORDS
    oldest = state[u(at + ix.RING)]
    state[u(at + oldest)] = tick
    oldest = oldest + 1 if oldest + 1 < ix.RING else 0
    state[u(at + ix.RING)] = oldest
    return int(state[u(at + oldest)])


@routine()
def bind(state: IntArray, base: int, command: int, bank: int, tick: int) -> None:
    """Apply every rule that follows from `command` to `bank` at `tick`."""
    words = bank_at(state, base, bank)
    top, pseudo, group = state[u(words + ix.B_TOP)], state[u(words + ix.B_PSEUDO)], state[u(words + ix.B_GROUP)]
    gates, ready = base + state[ix.P_GATES_AT], base + state[ix.P_READY_AT]
    tops, banks, ranks = state[ix.P_TOPS], state[ix.P_BANKS], state[ix.P_RANKS]
    for number in range(state[u(state[ix.P_RULES_FROM] + command)], state[u(state[ix.P_RULES_FROM] + command + 1)]):
        rule = state[ix.P_RULES_AT] + ix.RULE_WORDS * number
        scope, ring = state[u(rule + ix.RULE_SCOPE)], state[u(rule + ix.RULE_RING)]
        since = tick
        if ring != ix.NO_RING:
            node = top if scope == ix.IN_RANK else (pseudo if scope == ix.IN_PSEUDO_CHANNEL else 0)
            since = _since(state, base, ring, node, tick)
        moment = since * ix.MOMENT + state[u(rule + ix.RULE_DELAY)]
        of_ranks = gates + state[u(rule + ix.RULE_FOLLOWING)] * tops
        of_banks = ready + state[u(rule + ix.RULE_FOLLOWING)] * banks
        if scope == ix.IN_BANK:
            _push_back(state, of_banks + bank, moment)
        elif scope == ix.IN_GROUP:
            for member in range(group, group + state[ix.P_GROUP_BANKS]):
                _push_back(state, of_banks + member, moment)
        elif scope == ix.IN_RANK:
            _push_back(state, of_ranks + top, moment)
        elif scope == ix.IN_PSEUDO_CHANNEL:
            for member in range(pseudo * ranks, (pseudo + 1) * ranks):
                _push_back(state, of_ranks + member, moment)
        elif scope == ix.IN_CHANNEL:
            for member in range(tops):
                _push_back(state, of_ranks + member, moment)
        else:
            for member in range(pseudo * ranks, (pseudo + 1) * ranks):
                if member != top:
                    _push_back(state, of_ranks + member, moment)


@routine()
def bind_bus(state: IntArray, base: int, command: int, tick: int) -> None:
    """Apply the rules from a read or write at `tick` that asks no bank to those after it, in a channel of one rank."""
    gates = base + state[ix.P_GATES_AT]
    for number in range(state[u(state[ix.P_RULES_FROM] + command)], state[u(state[ix.P_RULES_FROM] + command + 1)]):
        rule = state[ix.P_RULES_AT] + ix.RULE_WORDS * number
        following = state[u(rule + ix.RULE_FOLLOWING)]
        if state[u(rule + ix.RULE_SCOPE)] != ix.IN_BANK and (following == ix.RD or following == ix.WR):
            _push_back(state, gates + following, tick * ix.MOMENT + state[u(rule + ix.RULE_DELAY)])


@inner()
def log(state: IntArray, base: int, command: int, bank: int, row: int, tick: int) -> None:
    """Note a command where a log is kept (its driver empties it before it is full)."""
    state[u(base + ix.C_COUNTS + command)] += 1
    _log_only(state, base, command, bank, row, tick)


@inner()
def _log_only(state: IntArray, base: int, command: int, bank: int, row: int, tick: int) -> None:
    size = state[ix.P_LOG_SIZE]
    if size > 0 and state[u(base + ix.C_LOGGED)] < size:
        at = base + state[ix.P_LOG_AT] + ix.LOG_WORDS * state[u(base + ix.C_LOGGED)]
        state[u(at)] = tick
        state[u(at + 1)] = command
        state[u(at + 2)] = bank
        state[u(at + 3)] = row
        state[u(base + ix.C_LOGGED)] += 1


log_only = _log_only
