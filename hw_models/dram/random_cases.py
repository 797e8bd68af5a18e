"""Random channels: devices with random timings, controllers, and request lists, for tests and validation.

All choices come from one function `integer(lo, hi)`, so the same cases can be drawn from a seed or from a property
test's own source of choices. `run_case` runs one through the compiled controller and answers everything that is wrong
with what came out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from cairn.base.errors import BugError
from cairn.hw_models.dram.checker import ProtocolChecker, Verdict
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.device import Device, from_clocks
from cairn.hw_models.dram.request_list import RequestBlock
from cairn.hw_models.dram.simulate import ChannelResult, simulate_channel
from cairn.hw_models.dram.standard import LEVELS, presets, standards
from cairn.hw_models.server import IntArray

Integer = Callable[[int, int], int]
"""A whole number between two, both included."""
T = TypeVar("T")

QUEUES: Final = (1, 2, 3, 8, 32)
FIXED: Final = ("nBL", "nBL_min", "nBL_max", "nREFI", "nREFIpb", "nRFC", "nRFCab", "nRFCpb")
"""Timings that are not drawn freely: bursts go with the transaction, refreshes are drawn to fit."""
MOST_LOGS: Final = 2
"""Times that a small case may fill the log of commands: one that goes on gets nowhere."""
FLOORS: Final = (
    ("nRAS", "nRCD"), ("nRAS", "nRCDRD"), ("nFAW", "nRRD"), ("nFAW", "nRRDS"), ("nCCDL", "nCCDS"), ("nWTRL", "nWTRS"),
)  # fmt: skip
"""Timings with others that they are no less than (as `device` asks)."""


@dataclass(frozen=True)
class Case:
    """A device, a controller and requests for it."""

    device: Device
    controller: ControllerSpec
    requests: RequestBlock


def case_of_seed(seed: int, most: int = 60) -> Case:
    """The random case number `seed`, of up to `most` requests."""
    return draw_case(random.Random(seed).randint, most)


def draw_case(integer: Integer, most: int = 60) -> Case:
    """A random case of up to `most` requests."""
    device = draw_device(integer)
    controller = draw_controller(integer, device)
    return Case(device, controller, draw_requests(integer, device, most))


def _one_of(integer: Integer, options: Sequence[T]) -> T:
    return options[integer(0, len(options) - 1)]


def draw_device(integer: Integer) -> Device:
    """A preset with some of its timings drawn anew, and one or two ranks where the standard has ranks."""
    preset = _one_of(integer, sorted(presets()))
    standard = standards()[presets()[preset]]
    entry = standard.presets[preset]
    organisation = standard.organisations[entry.organisation]
    if standard.ranks_are != "none":
        organisation = organisation.model_copy(update={"rk": integer(1, 2)})
    clocks = dict(from_clocks(preset, standard, organisation, entry.clock_ps, entry.clocks).clocks)
    for name in sorted(set(clocks) - set(FIXED)):
        if integer(0, 3) == 0:
            clocks[name] = integer(max(1, clocks[name] // 3), 2 * clocks[name] + 2)
    for name, floor in FLOORS:
        if name in clocks and floor in clocks:
            clocks[name] = max(clocks[name], clocks[floor])
    clocks["nRC"] = max(clocks["nRC"], clocks["nRAS"] + clocks["nRP"])
    _keep_bursts_apart(clocks, organisation.rk)
    _draw_refresh(integer, clocks, standard.rules)
    return from_clocks(preset, standard, organisation, entry.clock_ps, clocks)


def _keep_bursts_apart(clocks: dict[str, int], ranks: int) -> None:
    """Where a standard leaves it to a number of the preset that a write's data do not meet a read's, choose it so.

    nRTW of HBM3 and HBM4. With two ranks also nCS, since the source's rule for a write after a read of another rank
    (nBL + nCS) lets the data meet unless nCS is nCL - nCWL or more; and nCWL, since its rule of LPDDR5 for a read after
    a write of another rank (nCL + nBL_min + nCS - nCWL) does so for a nCWL far above nCL.
    """
    if "nRTW" in clocks:
        clocks["nRTW"] = max(clocks["nRTW"], clocks["nCL"] + clocks["nBL"] - clocks["nCWL"])
    if "nCS" in clocks and ranks > 1:
        clocks["nCWL"] = min(clocks["nCWL"], clocks["nCL"])
        clocks["nCS"] = max(clocks["nCS"], clocks["nCL"] - clocks["nCWL"])


def _draw_refresh(integer: Integer, clocks: dict[str, int], rules: object) -> None:
    """Short refreshes and intervals, so that small lists meet many; an interval is long enough to work in between."""
    lengths = [name for name in ("nRFC", "nRFCab", "nRFCpb") if name in clocks]
    for name in lengths:
        clocks[name] = integer(10, 200)
    work = 4 * (clocks["nRC"] + clocks["nCL"] + clocks["nCWL"])
    longest = max(clocks[name] for name in lengths)
    clocks["nREFI"] = work + 2 * longest + integer(0, 1000)
    if "nRFCpb" in clocks:
        apart = max(clocks.get(name, 0) for name in ("nRREFD", "nPBR2PBR", "nPBR2ACT", "nFAW"))
        clocks["nREFIpb"] = work + 2 * apart + clocks["nRFCpb"] // 4 + integer(0, 500)


def draw_controller(integer: Integer, device: Device) -> ControllerSpec:
    """Any controller that the device can have, with small and larger queues."""
    refreshes = ["none", "all_bank", *(["per_bank"] if "nREFIpb" in device.clocks else [])]
    enter = integer(1, 10)
    return ControllerSpec.model_validate(
        {
            "scheduler": _one_of(integer, ("frfcfs", "frfcfs_row_hit", "fcfs")),
            "page": _one_of(integer, ("open", "closed")),
            "refresh": _one_of(integer, refreshes),
            "read_queue": _one_of(integer, QUEUES),
            "write_queue": _one_of(integer, QUEUES),
            "enter_writes": enter / 10,
            "leave_writes": integer(0, enter - 1) / 10,
        }
    )


def draw_requests(integer: Integer, device: Device, most: int) -> RequestBlock:
    """Up to `most` requests to few banks and rows: at once, at even times, or with gaps, sometimes long ones."""
    count = integer(1, most)
    o = device.organisation
    sizes = {level: getattr(o, level) for level in LEVELS if level not in ("row", "col")}
    limits = {level: integer(1, min(size, 4)) for level, size in sizes.items()}
    rows, writes = integer(1, 4), integer(0, 4)
    pace = _one_of(integer, (0, 0, 1, 7, 60))
    pause = integer(0, 20) if pace else 0
    values = np.zeros((count, 7), dtype=np.int64)
    arrive = 0
    for number in range(count):
        if pace:
            arrive += integer(0, pace) if integer(0, 60) >= pause else integer(0, 3000)
        fields = [integer(0, limits[level] - 1) for level in sizes]
        values[number] = [arrive, integer(1, 4) <= writes, *fields, integer(0, rows - 1)]
    columns = dict(zip([*sizes, "row"], values[:, 2:].T, strict=True))
    return RequestBlock.of_fields(device, values[:, 0], values[:, 1], columns)


@dataclass(frozen=True)
class Outcome:
    """A case that was run: the result, all commands, the tick of each request's read or write, and what is wrong."""

    result: ChannelResult
    commands: IntArray
    done: IntArray
    verdict: Verdict
    mistakes: tuple[str, ...]


def run_case(case: Case) -> Outcome:
    """Run a case and judge it: the protocol checker's verdict and what the result has to add up to."""
    logged: list[IntArray] = []
    checker = ProtocolChecker(case.device, case.controller.refresh)

    def sink(commands: IntArray) -> None:
        logged.append(commands)
        if len(logged) > MOST_LOGS:
            raise BugError(f"{case.device.name}: commands without end for {len(case.requests)} requests")
        checker.feed(commands)

    done = np.full(len(case.requests), -1, dtype=np.int64)
    result = simulate_channel(case.device, case.controller, case.requests, commands=sink, done=done)
    commands = np.concatenate([np.zeros((0, 4), dtype=np.int64), *logged])
    verdict = checker.finish()
    mistakes = [str(violation) for violation in verdict.violations]
    mistakes += [*_unserved(case, commands, done), *_unbalanced(case, result)]
    return Outcome(result, commands, done, verdict, tuple(mistakes))


def _unserved(case: Case, commands: IntArray, done: IntArray) -> Iterable[str]:
    """Every request has one read or write of its own, of its bank and row; there are no others."""
    columns = {1: 0, 2: 1, 7: 0, 8: 1}
    served = {tick: (columns[name], bank, row) for tick, name, bank, row in commands.tolist() if name in columns}
    total = sum(1 for name in commands[:, 1].tolist() if name in columns)
    if total != len(case.requests) or len(set(done.tolist())) != len(case.requests):
        yield f"{total} reads and writes for {len(case.requests)} requests"
    asked = (case.requests.write.tolist(), case.requests.bank.tolist(), case.requests.row.tolist())
    for number, (tick, *wanted) in enumerate(zip(done.tolist(), *asked, strict=True)):
        if served.get(tick) != tuple(wanted):
            yield f"request {number}, (write, bank, row) {wanted}, is said to be done at {tick}: {served.get(tick)}"


def _unbalanced(case: Case, result: ChannelResult) -> Iterable[str]:
    """Requests, bytes, outcomes and charged ticks add up."""
    count = len(case.requests)
    if result.requests != count or result.bytes_moved != count * case.device.organisation.transaction_bytes:
        yield f"{result.requests} requests and {result.bytes_moved} bytes are counted of {count} requests"
    if result.hits + result.misses + result.conflicts != count:
        yield f"hits, misses and conflicts are {result.read_outcomes} and {result.write_outcomes} of {count} requests"
    if (result.charged < 0).any() or (result.causes < 0).any():
        yield f"negative ticks are charged: {result.causes.to_dict()}"
    span = result.span_ticks * case.device.organisation.pc
    if result.causes.sum() != span:
        yield f"{result.causes.sum()} ticks are charged of {span}"


def run_cases(seeds: Iterable[int], most: int = 60) -> tuple[int, int, list[str]]:
    """Run the random cases of `seeds`: commands checked, requests served, and all that is wrong, with its seed."""
    commands = requests = 0
    wrong: list[str] = []
    for seed in seeds:
        case = case_of_seed(seed, most)
        outcome = run_case(case)
        commands += outcome.verdict.commands
        requests += len(case.requests)
        wrong += [f"seed {seed}, {case.device.name}: {mistake}" for mistake in outcome.mistakes]
    return commands, requests, wrong
