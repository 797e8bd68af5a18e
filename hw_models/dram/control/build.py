"""The initial state of controllers: a device's limits and a controller's choices as one array."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import numpy as np
from pydantic import model_validator

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, sourced
from cairn.base.ticks import NEVER
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.device import Device, Limit
from cairn.hw_models.dram.standard import COMMANDS, SCOPES
from cairn.hw_models.server import IntArray

SCHEDULERS: Final = {"frfcfs": ix.FRFCFS, "frfcfs_row_hit": ix.FRFCFS_ROW_HIT, "fcfs": ix.FCFS}
REFRESHES: Final = {"none": ix.NO_REFRESH, "all_bank": ix.ALL_BANK, "per_bank": ix.PER_BANK}
_RAMULATOR = "CMU-SAFARI/ramulator2 @c5b1c3a, controller_base.cpp"


class ControllerSpec(Spec):
    """How a channel's controller works.

    `frfcfs` issues the command of the oldest request among those that may issue now, whatever it is, so an older
    request may close a row that younger ones still hit; `frfcfs_row_hit` does not close a row while an older hit waits;
    `fcfs` serves requests in order. `closed` pages precharge automatically with the last waiting hit of their row.
    Writes are served when their queue is filled beyond `enter_writes`, or no read waits, until it is below
    `leave_writes`.
    """

    scheduler: Literal["frfcfs", "frfcfs_row_hit", "fcfs"] = sourced("frfcfs", _RAMULATOR)
    page: Literal["open", "closed"] = sourced("open", _RAMULATOR)
    refresh: Literal["none", "all_bank", "per_bank"] = sourced("all_bank", _RAMULATOR)
    read_queue: int = sourced(32, _RAMULATOR, ge=1, le=4096)
    write_queue: int = sourced(32, _RAMULATOR, ge=1, le=4096)
    enter_writes: float = sourced(0.8, _RAMULATOR, gt=0, le=1)
    leave_writes: float = sourced(0.2, _RAMULATOR, ge=0, lt=1)

    @model_validator(mode="after")
    def _watermarks(self) -> ControllerSpec:
        if self.leave_writes >= self.enter_writes:
            raise ValueError(f"leave_writes {self.leave_writes} must be below enter_writes {self.enter_writes}")
        return self

    def marks(self) -> tuple[int, int]:
        """Fills of the write queue at which writes are entered (that or more) and left (that or less).

        An empty queue is always left, or reads would wait for ever with `leave_writes` 0. Products are in single
        precision, as in the source, so that 0.8 of 10 is 8 and not a little more.
        """
        enter = np.float32(self.enter_writes) * np.float32(self.write_queue)
        leave = np.float32(self.leave_writes) * np.float32(self.write_queue)
        return int(np.floor(enter)) + 1, max(0, int(np.ceil(leave)) - 1)


def cause_of(limit: Limit, burst_ticks: int) -> int:
    """What a limit stands for when it holds a command back."""
    previous, following = limit.previous, limit.following
    column = ("RD", "WR", "RDA", "WRA")
    if previous in ("REF", "REFPB"):
        return ix.REFRESHING
    if following in ("REF", "REFPB"):
        return ix.REFRESHING
    if previous in column and following in column:
        if previous[:1] != following[:1] or limit.scope == "other_rank":
            return ix.TURNAROUND
        return ix.DATA_BUS if limit.ticks <= burst_ticks else ix.COLUMN_SPACING
    if previous == "ACT" and following in column:
        return ix.AFTER_ACTIVATE
    if previous in ("PRE", "PREA") and following == "ACT":
        return ix.AFTER_PRECHARGE
    if previous == "ACT" and following == "ACT":
        return ix.ROW_CYCLE if limit.scope == "bank" else ix.ACTIVATE_SPACING
    if previous in ("PRE", "PREA") and following in ("PRE", "PREA"):
        return ix.ROW_BUS
    return ix.ROW_CYCLE


def _widest(scope: str, device: Device) -> str:
    """The scope that reaches the same banks and is looked at first: one rank is the whole of its channel."""
    o = device.organisation
    if scope in ("channel", "pseudo_channel") and o.pc == 1:
        scope = "pseudo_channel"
    return "rank" if scope == "pseudo_channel" and o.rk == 1 else scope


def _rules(device: Device, spec: ControllerSpec) -> tuple[list[int], list[list[int]], int]:
    """Rules by previous command: where each command's begin, the rows, and the number of rings."""
    used = {"ACT", "RD", "WR", "PRE"}
    used |= {"RDA", "WRA"} if spec.page == "closed" else set()
    used |= {"none": set(), "all_bank": {"PREA", "REF"}, "per_bank": {"REFPB"}}[spec.refresh]
    strongest: dict[tuple[str, str, str, int], tuple[int, int]] = {}
    written = len(device.limits()) - len(device.buses())
    for number, limit in enumerate(device.limits()):
        if limit.previous not in used or limit.following not in used or limit.ticks <= 0:
            continue
        cause = cause_of(limit, device.burst_ticks)
        if number >= written:
            column = limit.following in ("RD", "WR", "RDA", "WRA")
            cause = ix.COMMAND_BUS if column or not device.standard.row_and_column_bus else ix.ROW_BUS
        key = (_widest(limit.scope, device), limit.previous, limit.following, limit.window)
        strongest[key] = max(strongest.get(key, (0, 0)), (limit.ticks, cause))
    starts: list[int] = []
    rows: list[list[int]] = []
    rings = 0
    for command in COMMANDS:
        starts.append(len(rows))
        for (scope, previous, following, window), (ticks, cause) in strongest.items():
            if previous != command:
                continue
            ring = ix.NO_RING
            if window > 1:
                if window != ix.RING:
                    raise ConfigError(f"rules count {ix.RING} commands or one, not {window}", key=device.standard.name)
                ring, rings = rings, rings + 1
            delay = ticks * ix.MOMENT + cause
            rows.append([COMMANDS.index(following), SCOPES.index(scope), delay, ring, window])
    starts.append(len(rows))
    return starts, rows, rings


def scope_banks(device: Device) -> int:
    """Banks that one all-bank refresh reaches."""
    o = device.organisation
    of_rank = o.bg * o.ba
    return {"rank": of_rank, "pseudo_channel": of_rank * o.rk, "channel": device.banks}[device.standard.refresh_scope]


def _refresh_interval(device: Device, spec: ControllerSpec) -> int:
    if spec.refresh == "none":
        return 0
    timing = "nREFI" if spec.refresh == "all_bank" else "nREFIpb"
    if timing not in device.clocks:
        raise ConfigError(f"{device.name} has no timing {timing}, so it knows no {spec.refresh} refresh", key="refresh")
    return device.ticks(timing)


def build_state(
    device: Device, spec: ControllerSpec, *, channels: int = 1, log: int = 0, parameters: int = 0, words: int = 0
) -> IntArray:
    """The state of `channels` idle controllers of `spec` with `device` behind each, and room to log `log` commands.

    `parameters` numbers after the controller's own and the last `words` of each block are left to the caller (zeros).
    """
    o, banks, tops = device.organisation, device.banks, device.organisation.pc * device.organisation.rk
    starts, rules, rings = _rules(device, spec)
    enter, leave = spec.marks()
    slots = spec.read_queue + spec.write_queue
    units = banks if spec.refresh == "per_bank" else banks // scope_banks(device)
    sizes = {
        ix.P_GATES_AT: ix.KINDS_OF_COMMAND * tops,
        ix.P_READY_AT: ix.KINDS_OF_COMMAND * banks,
        ix.P_BANKS_AT: ix.BANK_WORDS * banks,
        ix.P_QUEUES_AT: 2 * ix.QUEUE_WORDS * banks,
        ix.P_LISTS_AT: 2 * ix.KINDS_OF_LIST * banks,
        ix.P_ACTIVE_AT: banks,
        ix.P_SLOTS_AT: ix.SLOT_WORDS * slots,
        ix.P_FREE_AT: slots,
        ix.P_DUE_AT: 4 * units,
        ix.P_RINGS_AT: rings * tops * ix.RING_WORDS,
        ix.P_BUS_FREE_AT: o.pc,
        ix.P_SHARES_AT: o.pc * ix.DRAIN,
        ix.P_LOG_AT: log * ix.LOG_WORDS,
    }
    places, at = {}, ix.C_END
    for name, size in sizes.items():
        places[name] = at
        at += size
    at += words
    rules_from = ix.P_END + parameters
    rules_at = rules_from + len(starts)
    blocks_at = rules_at + ix.RULE_WORDS * len(rules)
    split = device.standard.split_activate
    clock = device.standard.data_clock
    values = {
        **places,
        ix.P_CHANNELS: channels, ix.P_STRIDE: at, ix.P_BLOCKS_AT: blocks_at,
        ix.P_RULES_FROM: rules_from, ix.P_RULES_AT: rules_at,
        ix.P_PSEUDO: o.pc, ix.P_RANKS: o.rk, ix.P_TOPS: tops, ix.P_BANKS: banks, ix.P_GROUP_BANKS: o.ba,
        ix.P_HALF_TICKS: int(device.ticks_per_clock == 2), ix.P_TWO_BUSES: int(device.standard.row_and_column_bus),
        ix.P_SCHEDULER: SCHEDULERS[spec.scheduler], ix.P_CLOSED: int(spec.page == "closed"),
        ix.P_REFRESH: REFRESHES[spec.refresh], ix.P_REFI: _refresh_interval(device, spec),
        ix.P_SCOPE_BANKS: scope_banks(device), ix.P_PAIRED: int(device.ticks_per_clock == 2),
        ix.P_BURST: device.burst_ticks, ix.P_READ: device.read_ticks, ix.P_WRITE: device.write_ticks,
        ix.P_READS: spec.read_queue, ix.P_WRITES: spec.write_queue,
        ix.P_ENTER_WRITES: enter, ix.P_LEAVE_WRITES: leave,
        ix.P_SPLIT: device.ticks(split.deadline) if split else 0,
        ix.P_DATA_CLOCK: int(clock is not None),
        ix.P_CLOCK_READ: device.ticks(clock.read) if clock else 0,
        ix.P_CLOCK_WRITE: device.ticks(clock.write) if clock else 0,
        ix.P_DUE_SIZE: 4 * units, ix.P_LOG_SIZE: log,
    }  # fmt: skip
    state = np.zeros(blocks_at + channels * at, dtype=np.int64)
    for index, value in values.items():
        state[index] = value
    state[rules_from:rules_at] = starts
    state[rules_at:blocks_at] = np.array(rules, dtype=np.int64).reshape(-1)
    blocks_of = state[blocks_at:].reshape(channels, at)
    _fill_block(blocks_of[0], device, spec, places, values)
    blocks_of[1:] = blocks_of[0]
    return state


def _fill_block(
    block: IntArray, device: Device, spec: ControllerSpec, places: dict[int, int], parameters: dict[int, int]
) -> None:
    o, count = device.organisation, device.banks
    bank = np.arange(count)
    words = block[places[ix.P_BANKS_AT] :][: ix.BANK_WORDS * count].reshape(count, ix.BANK_WORDS)
    words[:, ix.B_TOP] = bank // (o.bg * o.ba)
    words[:, ix.B_PSEUDO] = bank // (o.rk * o.bg * o.ba)
    words[:, ix.B_GROUP] = bank // o.ba * o.ba
    words[:, ix.B_ROW] = ix.NONE
    queues = block[places[ix.P_QUEUES_AT] :][: 2 * ix.QUEUE_WORDS * count].reshape(-1, ix.QUEUE_WORDS)
    queues[:] = ix.NONE
    queues[:, ix.Q_COUNT] = 0
    free = places[ix.P_FREE_AT]
    block[free : free + spec.read_queue] = np.arange(spec.read_queue)
    block[free + spec.read_queue : free + spec.read_queue + spec.write_queue] = np.arange(spec.write_queue)
    rings = block[places[ix.P_RINGS_AT] : places[ix.P_BUS_FREE_AT]].reshape(-1, ix.RING_WORDS)
    rings[:, : ix.RING] = ix.LONG_AGO
    block[places[ix.P_BUS_FREE_AT] : places[ix.P_SHARES_AT]] = 1  # commands begin at tick 1
    block[[ix.C_SPLIT_BANK, ix.C_PENDING_COLUMN, ix.C_PAIR_TICK, ix.C_PAIR_BANK]] = ix.NONE
    block[ix.C_NEXT_REFRESH] = NEVER if spec.refresh == "none" else parameters[ix.P_REFI]


def flat_bank(device: Device, pc: IntArray, rk: IntArray, bg: IntArray, ba: IntArray) -> IntArray:
    """Numbers of banks inside a channel, in the order pseudo-channel, rank, bank group, bank."""
    o = device.organisation
    number: IntArray = ((pc * o.rk + rk) * o.bg + bg) * o.ba + ba
    return number


def blocks(state: IntArray) -> Iterable[IntArray]:
    """The blocks of all channels, as views."""
    channels, stride, at = (int(state[index]) for index in (ix.P_CHANNELS, ix.P_STRIDE, ix.P_BLOCKS_AT))
    return iter(state[at : at + channels * stride].reshape(channels, stride))
