"""Channels with PIM units (rules S6 to S8): against the oracle on random mixes, and what each rule says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.checker import ProtocolChecker
from cairn.hw_models.dram.pim_spec import PimSpec
from cairn.hw_models.dram.request import BAD_REQUEST, IS_BUFFER, IS_PIM, TURNS
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.device import stack_device
from cairn.hw_models.dram.stack.oracle import StackOracle
from cairn.hw_models.dram.stack.server import build_stack_server, logged_commands
from cairn.hw_models.server import DONE, ERROR, IS_WRITE, WANTS_FIRST

from .server_contract import Timed, check_contract, drive, run_requests
from .test_dram_stack_contract import BYTES, GAPS, SPECS, rows

PIM_SPECS = st.builds(
    dict,
    kind=st.just("bank"),
    column_bytes=st.sampled_from([64, 128]),
    spacing_cycles=st.sampled_from([1, 2, 4]),
    t_rcd_mac=st.sampled_from([None, 3, 40]),
    activate=st.sampled_from(["together", "each"]),
    mixed_access=st.booleans(),
    mode_change_cycles=st.sampled_from([0, 1, 25]),
    turn_rows=st.sampled_from([1, 2, 5]),
    turn_parts=st.sampled_from([1, 2, 3]),
    yield_cycles=st.sampled_from([0, 10, 100]),
)


def _units(fields: dict[str, Any]) -> PimSpec:
    return PimSpec(**(fields | ({"mode_change_cycles": 0} if fields["mixed_access"] else {})))


@st.composite
def pim_rows(draw: st.DrawFn, spec: DramSpec, pim: PimSpec, channels: int) -> tuple[int, ...]:
    """A request for PIM units, of banks or of buffers."""
    bank_count = draw(st.integers(1, spec.banks_per_channel))
    bank = draw(st.integers(0, spec.banks_per_channel - bank_count))
    channel, row = draw(st.integers(0, channels - 1)), draw(st.integers(0, 2))
    if draw(st.booleans()):
        flags = IS_BUFFER | draw(st.integers(0, 3))
        return flags, channel, 0, 1, 0, spec.row_bytes, 0, draw(st.integers(1, 4000))
    together = bank_count * pim.column_bytes
    flags = IS_PIM | draw(st.integers(0, 1)) | TURNS * draw(st.integers(0, 3))
    columns, begin = draw(st.integers(1, 100)), draw(st.integers(0, 70))
    return flags, channel, bank, bank_count, row, pim.column_bytes, begin * together, columns * together


@st.composite
def cases(draw: st.DrawFn) -> tuple[DramSpec, PimSpec, int, list[Timed]]:
    """A spec with PIM units, a number of channels, and requests of cores and units mixed at increasing ticks."""
    spec, pim, channels = draw(SPECS), _units(draw(PIM_SPECS)), draw(st.integers(1, 2))
    tasks = draw(st.permutations(range(draw(st.integers(1, 10)))))
    tick, timed = 0, []
    for task in tasks:
        tick += draw(GAPS)
        row = draw(pim_rows(spec, pim, channels) if draw(st.booleans()) else rows(spec, channels))
        timed.append(Timed(tick, task, row))
    return spec, pim, channels, sorted(timed)


def _least_ps(spec: DramSpec, pim: PimSpec, channels: int, row: tuple[int, ...]) -> int:
    if not row[0] & IS_PIM:
        return int(row[BYTES] * spec.slot_ticks(channels) / spec.burst_bytes)
    columns = row[BYTES] // (row[3] * pim.column_bytes)
    cycles = (columns - 1) * pim.spacing_cycles * max(1, row[0] // TURNS / pim.turn_parts)
    return int(cycles * spec.clock.num / spec.clock.den)


@settings(max_examples=150, deadline=None)
@given(case=cases(), cuts=st.lists(st.integers(0, 1_000_000), max_size=8), ask_bursts=st.sampled_from([0, 256]))
def test_cores_and_pim_units_share_banks_as_the_oracle_says_however_time_is_split(
    case: tuple[DramSpec, PimSpec, int, list[Timed]], cuts: list[int], ask_bursts: int
) -> None:
    spec, pim, channels, timed = case
    completions, counted = StackOracle(spec, channels, pim).run(timed)
    counters = check_contract(
        build_stack_server(spec, channels, ask_bursts=ask_bursts, pim=pim),
        timed,
        expected=completions,
        least_ticks=lambda row: _least_ps(spec, pim, channels, tuple(row)),
        bytes_of=lambda row: row[BYTES],
        counted_bytes=lambda c: int((c["bytes_read"] + c["bytes_written"] + c["pim_bytes"]).sum()),
        cuts=cuts,
    )
    for name, expected in counted.items():
        assert np.array_equal(counters[name], expected), name


def _alone(pim: PimSpec, spec: DramSpec, timed: list[Timed]) -> tuple[dict[int, int], Any]:
    """When each task ends, in cycles of the DRAM clock, and the counters."""
    completions, counters = drive(build_stack_server(spec, 1, pim=pim), timed)
    ends = {task: int(ps * spec.clock.den / spec.clock.num) for ps, task, event in completions if event == DONE}
    return ends, counters


AIM = DramSpec(
    bandwidth_gb_per_s=32.0, channels=1, banks_per_channel=16, row_bytes=2048, burst_bytes=32, clock_ghz=2.0, t_cl=50,
    t_rcd=36, t_rp=32, t_ras=54, t_rrd=11, t_faw=44, t_rtp=12, capacity_gb=1.0,
)  # fmt: skip
"""A channel of AiM (reference/pim/params.csv, aim.t.*): a burst of 32 bytes takes 2 cycles of 0.5 ns."""
AIM_UNITS = PimSpec(kind="bank", spacing_cycles=2, t_rcd_mac=56, mode_change_cycles=32)


def _rows_of(count: int, columns: int = 64) -> tuple[int, ...]:
    """A PIM request for `count` rows of all 16 banks, whole but for the last one, which has `columns`."""
    return IS_PIM, 0, 0, 16, 0, 32, 0, 16 * 32 * (64 * (count - 1) + columns)


@pytest.mark.parametrize("rows", [2, 9, 65])
def test_rows_back_to_back_take_what_aim_takes_for_each(rows: int) -> None:
    """2 cycles for each of 64 columns and 98 for the row: T_row(64) = 226 (digest of reference/pim, 2.1)."""
    one, many = (_alone(AIM_UNITS, AIM, [Timed(0, 0, _rows_of(count))])[0][0] for count in (1, rows))
    assert many - one == 226 * (rows - 1)


@pytest.mark.parametrize("columns", [1, 10, 64])
def test_a_short_row_takes_two_cycles_less_for_each_column(columns: int) -> None:
    short, whole = (_alone(AIM_UNITS, AIM, [Timed(0, 0, _rows_of(3, c))])[0][0] for c in (columns, 64))
    assert whole - short == 2 * (64 - columns)


def test_a_first_request_waits_for_the_change_of_mode() -> None:
    fast, slow = (AIM_UNITS.model_copy(update={"mode_change_cycles": cycles}) for cycles in (0, 32))
    (one, _), (other, counters) = (_alone(pim, AIM, [Timed(0, 0, _rows_of(1))]) for pim in (fast, slow))
    assert other[0] - one[0] == 32
    assert counters["pim_mode_changes"].tolist() == [1]


def test_turns_multiply_the_spacing_of_columns() -> None:
    row = _rows_of(1)
    once, thrice = (
        _alone(AIM_UNITS, AIM, [Timed(0, 0, (row[0] + TURNS * turns, *row[1:]))])[0][0] for turns in (1, 3)
    )
    assert thrice - once == 2 * 63 * 2


@pytest.mark.parametrize(("turns", "cycles"), [(0, 2), (1, 2), (2, 2), (3, 3), (5, 5)])
def test_turns_are_counted_in_parts_of_the_spacing_one_whole_at_least(turns: int, cycles: int) -> None:
    row = _rows_of(1)
    halves = AIM_UNITS.model_copy(update={"turn_parts": 2})
    took, once = (
        _alone(units, AIM, [Timed(0, 0, (row[0] + TURNS * turns * (units is halves), *row[1:]))])[0][0]
        for units in (halves, AIM_UNITS)
    )
    assert took - once == (cycles - 2) * 63


READ = (0, 0, 0, 4, 1000, 2048, 0, 1 << 14)
"""16 KiB of banks 0 to 3 for a core."""


def test_reads_of_claimed_banks_take_no_slot_from_reads_of_others() -> None:
    units = PimSpec(
        kind="logic", banks_together=4, spacing_cycles=2, mixed_access=True, mode_change_cycles=0, turn_rows=64
    )
    work = (IS_PIM, 0, 0, 4, 0, 32, 0, 4 * 32 * 64 * 40)
    free = (0, 0, 8, 4, 1000, 2048, 0, 1 << 14)
    ends, _ = _alone(units, AIM, [Timed(0, 0, work), Timed(1000, 1, READ), Timed(1000, 2, free)])
    alone, _ = _alone(units, AIM, [Timed(1000, 2, free)])
    assert READ[7] // AIM.burst_bytes > AIM.queue_requests
    assert ends[2] <= alone[2] + 100, "but for row commands of the units, as if nobody else were there"
    assert ends[1] > 2 * ends[2]


def test_without_mixed_access_a_core_waits_for_the_units_even_in_other_banks() -> None:
    mixed = AIM_UNITS.model_copy(update={"mixed_access": True, "mode_change_cycles": 0, "banks_together": 8})
    exclusive = AIM_UNITS.model_copy(update={"turn_rows": 8})
    units = (IS_PIM, 0, 8, 8, 0, 32, 0, 8 * 2048 * 8)
    ends = [_alone(pim, AIM, [Timed(0, 0, units), Timed(100_000, 1, READ)])[0] for pim in (mixed, exclusive)]
    alone = _alone(AIM_UNITS, AIM, [Timed(100_000, 1, READ)])[0]
    assert ends[0][1] <= alone[1] + 8
    assert ends[1][1] > 8 * 226


def test_units_give_way_after_their_turn_and_go_on_when_it_is_over() -> None:
    ends = {}
    for turn in (2, 64):
        pim = AIM_UNITS.model_copy(update={"turn_rows": turn, "yield_cycles": 2000})
        ends[turn], counters = _alone(pim, AIM, [Timed(0, 0, _rows_of(64)), Timed(1_000_000, 1, READ)])
        assert counters["pim_rows"].tolist() == [64 * 16]
    assert ends[2][1] < ends[2][0]
    assert ends[64][1] > ends[64][0]


def test_buffers_are_filled_over_the_data_bus_while_the_units_hold_all_banks() -> None:
    fill = (IS_BUFFER | IS_WRITE, 0, 0, 1, 0, 2048, 0, 2048)
    ends, counters = _alone(AIM_UNITS, AIM, [Timed(0, 0, _rows_of(16)), Timed(500_000, 1, fill)])
    assert ends[1] < ends[0]
    assert ends[1] - 1000 >= 2048 // 32 * 2
    assert counters["bytes_written"].tolist() == [2048]
    assert counters["activates"].tolist() == [16 * 16]


def test_rows_opened_bank_by_bank_break_no_rule_of_the_protocol() -> None:
    spec = AIM.model_copy(update={"refresh": "all_bank", "t_refi": 7800, "t_rfc": 420})
    pim = PimSpec(
        kind="logic", banks_together=8, activate="each", mixed_access=True, mode_change_cycles=0, spacing_cycles=4
    )
    timed = [Timed(0, 0, (IS_PIM, 0, 8, 8, 0, 32, 0, 8 * 2048 * 24)), Timed(0, 1, (IS_PIM, 0, 0, 8, 0, 32, 0, 1 << 14))]
    for n in range(20):
        timed.append(Timed(1000 * n, 2 + n, (IS_WRITE * (n % 2), 0, 4 * (n % 4), 4, 100 + n, 2048, 0, 1 << 14)))
    server = build_stack_server(spec, 1, log=40_000, pim=pim)
    completions, _ = drive(server, timed)
    state = server.fresh()
    for request in sorted(timed):
        while server.kind.advance(state, request.tick):
            pass
        server.kind.enqueue(state, request.task, np.array(request.row, dtype=np.int64))
    while server.kind.next_event(state) < max(completions)[0] + 1:
        server.kind.advance(state, int(server.kind.next_event(state)))
    commands = logged_commands(state, 0)
    checker = ProtocolChecker(stack_device(spec, 1), refresh="all_bank")
    checker.feed(commands[np.argsort(commands[:, 0], kind="stable")])
    assert checker.finish().violations == ()
    assert (commands[:, 1] == 0).sum() >= 25 * 8


@pytest.mark.parametrize(
    "row",
    [(IS_PIM, 0, 0, 16, 0, 16, 0, 1024), (IS_PIM, 0, 0, 16, 0, 32, 32, 1024), (IS_PIM, 0, 0, 16, 0, 32, 0, 1000)],
)
def test_a_request_that_does_not_keep_to_columns_of_the_units_is_refused(row: tuple[int, ...]) -> None:
    server = build_stack_server(AIM, 1, pim=AIM_UNITS)
    state = server.fresh()
    server.kind.enqueue(state, 0, np.array(row, dtype=np.int64))
    assert state[ERROR] == BAD_REQUEST


def test_channels_without_units_refuse_their_requests() -> None:
    for row in (_rows_of(1), (IS_BUFFER, 0, 0, 1, 0, 2048, 0, 64)):
        server = build_stack_server(AIM, 1)
        state = server.fresh()
        server.kind.enqueue(state, 0, np.array(row, dtype=np.int64))
        assert state[ERROR] == BAD_REQUEST


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"banks_together": 5, "mixed_access": True, "mode_change_cycles": 0},
         r"pim.banks_together \(5\) must divide dram.banks_per_channel \(16\)"),
        ({"column_bytes": 48}, r"pim.column_bytes \(48\) must divide dram.row_bytes \(2048\)"),
        ({"buffer_kib": 0.05}, r"pim.buffer_kib \(0.05\) is less than two columns of 32 bytes"),
    ],
)  # fmt: skip
def test_units_that_do_not_fit_the_channels_are_a_mistake_of_the_person(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_stack_server(AIM, 1, pim=PimSpec(kind="bank", **fields))


def test_first_data_of_a_pim_request_comes_with_its_first_row() -> None:
    row = _rows_of(3)
    completions = run_requests(
        build_stack_server(AIM, 1, pim=AIM_UNITS), [Timed(0, 0, (row[0] | WANTS_FIRST, *row[1:]))]
    )
    first, done = (tick for tick, _, _ in completions)
    assert done - first == 2 * 226 * 500
