"""One DRAM channel against Ramulator 2.1 (equal cycles) and DRAMsim3 (reported), and its closed forms against both."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.closed_patterns import pattern_form
from cairn.hw_models.dram.closed_ticks import ChannelTicks, Walk
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.random_cases import run_cases
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.dram.cases import Case, case_of, controller_of, device_named
from cairn.validation.suites.dram.devices import DRAMSIM3, PRESETS, dramsim3_devices, dramsim3_queue, ramulator_devices

RAMULATOR_CASES, DRAMSIM3_CASES = "dram/ramulator21_cases.csv", "dram/dramsim3_cases.csv"
RAMULATOR, PEER = "Ramulator 2.1 @c5b1c3a", "DRAMsim3 @2981759"
OBTAIN = "its README says how such rows are measured"
HALF_TICK_STANDARDS = ("HBM3", "HBM4")
"""Their streams have a limit of their own: the queue covers less of a row's opening."""
RULES = "rules of the standard"
LISTS_EACH, FEW_LISTS, ALL_LISTS = 100, 100, 5000
"""Random request lists on random timing sets: of a row, of all rows, and of all rows with --all."""
MAPPED = "only streams that walk bank groups first have a limit"


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """For each case of Ramulator its cycles, outcomes and closed form; for each of DRAMsim3 the cycles of its reads;
    and what the protocol checker finds on random lists, with `run_all` on the cases of Ramulator as well.
    """
    cases = 0
    for row in _ramulator_rows(reference, run_all):
        cases += 1
        yield row
    if cases:
        yield from _random_lists(ALL_LISTS if run_all else FEW_LISTS)
    if not run_all:
        reference.leave_out(f"{ALL_LISTS - FEW_LISTS} random lists, commands of Ramulator's cases: --all checks them")
    if reference.optional(DRAMSIM3_CASES, OBTAIN) and reference.optional(DRAMSIM3, OBTAIN):
        yield from _dramsim3_rows(reference)


def _random_lists(count: int) -> Iterator[Row]:
    """Mistakes on random lists: rules broken, requests not served, bytes or ticks that do not add up."""
    for first in range(0, count, LISTS_EACH):
        _, _, wrong = run_cases(range(first, first + LISTS_EACH), most=200)
        yield Row(
            id=f"random/{first}", kind="protocol violations, random lists", reference=0, prediction=len(wrong),
            unit="mistakes", source=RULES, counts=("protocol",), remark="; ".join(wrong[:3]),
        )  # fmt: skip


def _ramulator_rows(reference: ReferenceDir, checked: bool) -> Iterator[Row]:
    reference.path(RAMULATOR_CASES, OBTAIN)
    reference.path(PRESETS, OBTAIN)
    devices = ramulator_devices(reference)
    seen: set[str] = set()
    for record in reference.csv(RAMULATOR_CASES):
        if record.text("case") in seen:
            message = f"two cases are called {record.text('case')!r}"
            raise ConfigError(message, file=record.file, line=record.line, key="case")
        seen.add(record.text("case"))
        device = device_named(record.text("preset"), devices, record, "preset")
        case = case_of(f"{record.text('case')}/{device.name}", device, controller_of(record), record)
        yield from _equal(case)
        if checked:
            broken = case.broken_rules()
            yield Row(
                id=f"{case.name}/protocol", kind="protocol violations", reference=0, prediction=broken, unit="commands",
                source=RULES, counts=("protocol",),
            )  # fmt: skip
        form = _form(case)
        if form is not None:
            yield form


def _equal(case: Case) -> Iterator[Row]:
    """The cycle model on the case: total cycles, and how many requests were hits, misses and conflicts."""
    result, record = case.simulated(), case.record
    source = f"reference/{RAMULATOR_CASES} ({RAMULATOR})"
    yield Row(
        id=f"{case.name}/cycles", kind=f"cycles, {case.device.standard.name}",
        reference=record.integer("cycles"), prediction=result.cycles, unit="ticks", source=source, counts=("cycles",),
    )  # fmt: skip
    theirs = [record.integer(column) for column in ("row_hits", "row_misses", "row_conflicts")]
    ours = [result.hits, result.misses, result.conflicts]
    differing = sum(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    yield Row(
        id=f"{case.name}/outcomes", kind="requests that count otherwise as hit, miss or conflict",
        reference=0, prediction=differing, unit="requests", source=source, counts=("outcomes",),
        remark=f"hits, misses, conflicts {ours} here, {theirs} there" if differing else "",
    )  # fmt: skip


def _form(case: Case) -> Row | None:
    """The closed form on the case, which counts for the gate of its class; None where the pattern has none."""
    ticks = ChannelTicks.of(case.device, case.controller)
    form = pattern_form(case.pattern, ticks, case.requests, Walk.of(case.address_map), case.interval)
    if form is None:
        return None
    gate, kind = _gate(case)
    return Row(
        id=f"{case.name}/form", kind=f"closed form, {kind}", reference=case.record.integer("cycles"),
        prediction=float(form.cycles), unit="ticks", source=f"reference/{RAMULATOR_CASES} ({RAMULATOR})",
        counts=(gate,) if gate else (),
        excluded={} if gate or case.mapping == "bgfirst" else {"form_streams": MAPPED},
        remark=f"bound by {np.asarray(form.limited_by).item()}" if gate else "",
    )  # fmt: skip


def _gate(case: Case) -> tuple[str, str]:
    """The gate that a closed form counts for, if any, and its class."""
    if case.pattern in ("stream_rd", "stream_wr"):
        if case.mapping != "bgfirst":
            return "", f"stream, {case.mapping}"
        if case.interval:
            return "", "stream, paced"
        if case.device.standard.name in HALF_TICK_STANDARDS:
            return "form_streams_hbm3", "stream of HBM3 and HBM4"
        return "form_streams", "stream"
    if case.pattern == "conflict1":
        return ("", "one bank, paced") if case.interval else ("form_one_bank", "one bank")
    if case.pattern in ("random_rd", "bank_rr"):
        return ("", "random, paced") if case.interval else ("form_random", "random and bank round robin")
    return "", case.pattern if case.mapping == "bgfirst" else f"{case.pattern}, {case.mapping}"


def _dramsim3_rows(reference: ReferenceDir) -> Iterator[Row]:
    devices = dramsim3_devices(reference)
    for number, record in enumerate(reference.csv(DRAMSIM3_CASES), start=1):
        device = device_named(record.text("config"), devices, record, "config")
        controller = _dramsim3_controller(dramsim3_queue(reference, device.name))
        case = case_of(f"D{number:03}/{device.name}", device, controller, record)
        yield Row(
            id=f"{case.name}/last_read", kind=f"DRAMsim3, {case.pattern}",
            reference=record.integer("cycles_last_read"), prediction=case.last_read(), unit="cycles",
            source=f"reference/{DRAMSIM3_CASES} ({PEER})", counts=("dramsim3",),
        )  # fmt: skip


def _dramsim3_controller(queue: int) -> ControllerSpec:
    """Writes begin when their buffer is full and go on until it is empty (DRAMsim3, src/controller.cc)."""
    return ControllerSpec(
        read_queue=queue, write_queue=queue, enter_writes=(queue - 0.5) / queue, leave_writes=0.5 / queue
    )
