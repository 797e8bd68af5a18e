"""The compiled controller does what its rules say, command for command, and nothing is lost on the way."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.control.oracle import simulate_by_rules
from cairn.hw_models.dram.device import device, from_clocks
from cairn.hw_models.dram.mapping import AddressMap
from cairn.hw_models.dram.random_cases import Case, Outcome, case_of_seed, draw_case, run_case, run_cases
from cairn.hw_models.dram.request_list import RequestBlock, pattern
from cairn.hw_models.dram.simulate import ChannelResult, simulate_channel
from cairn.hw_models.dram.standard import standards
from cairn.hw_models.server import IntArray

SEEDS = range(400)
"""Seeds of the random cases that `make test` runs; `cairn validate dram --all` runs 5,000."""
PRESETS = (
    "DDR3_1600K", "DDR4_2400R", "DDR5_4800BN", "GDDR6_14000", "HBM2_2000", "HBM3_6400", "HBM4_8000", "LPDDR5_6400",
)  # fmt: skip


def block(*rows: tuple[int, int, int, int]) -> RequestBlock:
    """Requests from rows of arrival, write, bank, row."""
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T.copy()
    return RequestBlock(*columns)


def part(requests: RequestBlock, start: int, stop: int) -> RequestBlock:
    """Requests `start` .. `stop - 1`."""
    columns = (requests.arrive, requests.write, requests.bank, requests.row)
    return RequestBlock(*(column[start:stop] for column in columns))


def agree(case: Case, outcome: Outcome) -> None:
    """The oracle's commands, ticks and counts are those of the compiled controller."""
    rules = simulate_by_rules(case.device, case.controller, case.requests)
    assert [tuple(command) for command in outcome.commands.tolist()] == rules.commands
    assert outcome.done.tolist() == rules.done
    assert outcome.result.cycles == rules.cycles
    assert outcome.result.read_outcomes == rules.read_outcomes
    assert outcome.result.write_outcomes == rules.write_outcomes


def same(one: ChannelResult, other: ChannelResult) -> None:
    """Two results are equal in all that was measured."""
    for name in ("cycles", "last_accepted", "read_outcomes", "write_outcomes", "commands", "bin_ticks"):
        assert getattr(one, name) == getattr(other, name), name
    for kind in ("reads", "writes"):
        for name in ("count", "total", "maximum"):
            assert getattr(getattr(one, kind), name) == getattr(getattr(other, kind), name), name
        assert (getattr(one, kind).buckets == getattr(other, kind).buckets).all()
    assert (one.charged == other.charged).all()
    assert (one.bins == other.bins).all()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_any_channel_equals_the_oracle_and_breaks_no_rule(data: st.DataObject) -> None:
    case = draw_case(lambda lo, hi: data.draw(st.integers(lo, hi)), most=30)
    outcome = run_case(case)
    assert outcome.mistakes == ()
    agree(case, outcome)


@pytest.mark.parametrize("first", range(0, len(SEEDS), 50))
def test_random_lists_equal_the_oracle(first: int) -> None:
    for seed in SEEDS[first : first + 50]:
        case = case_of_seed(seed)
        agree(case, run_case(case))


def test_random_lists_break_no_rule_of_their_standard() -> None:
    commands, requests, wrong = run_cases(SEEDS, most=200)
    assert wrong == []
    assert requests > 50 * len(SEEDS)
    assert commands > requests


def test_the_random_cases_meet_every_standard_scheduler_page_and_refresh() -> None:
    cases = [case_of_seed(seed) for seed in SEEDS]
    assert {case.device.standard.name for case in cases} == set(standards())
    met = {(case.controller.scheduler, case.controller.page, case.controller.refresh) for case in cases}
    assert len(met) == 3 * 2 * 3
    per_bank = {case.device.standard.name for case in cases if case.controller.refresh == "per_bank"}
    assert per_bank == {"GDDR6", "HBM2", "HBM3", "HBM4", "LPDDR5"}
    two = {case.device.standard.name for case in cases if case.device.organisation.rk == 2}
    assert two == {name for name, standard in standards().items() if standard.ranks_are != "none"}
    assert {case.controller.read_queue for case in cases} == {1, 2, 3, 8, 32}


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_blocks_of_any_size_give_the_result_of_one(seed: int) -> None:
    case = case_of_seed(seed, most=120)
    outcome = run_case(case)
    whole, done = outcome.result, np.full(len(case.requests), -1, dtype=np.int64)
    for size in (1, 7):
        cuts = [*range(0, len(case.requests), size), len(case.requests)]
        pieces = [part(case.requests, start, stop) for start, stop in pairwise(cuts)]
        logged: list[IntArray] = []
        cut = simulate_channel(case.device, case.controller, iter(pieces), commands=logged.append, done=done)
        same(whole, cut)
        assert (np.concatenate(logged) == outcome.commands).all()
        assert (done == outcome.done).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_log_of_commands_changes_nothing_and_counts_the_same(preset: str) -> None:
    of = device(preset)
    requests = pattern("random_mix21", 25_000, AddressMap.named(of, "bank_first"))
    logged: list[IntArray] = []
    plain = simulate_channel(of, ControllerSpec(), requests)
    with_log = simulate_channel(of, ControllerSpec(), requests, commands=logged.append)
    same(plain, with_log)
    numbers, counts = np.unique(np.concatenate(logged)[:, 1], return_counts=True)
    assert len(logged) > 1  # the log was emptied on the way
    by_name = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    assert [by_name.get(number, 0) for number in range(9)] == list(plain.commands.values())


def test_a_request_offered_at_tick_0_activates_at_1_and_reads_after_the_activate() -> None:  # K1
    of = device("DDR4_2400R")
    outcome = run_case(Case(of, ControllerSpec(), block((0, 0, 3, 7))))
    assert outcome.commands.tolist() == [[1, 0, 3, 7], [1 + 16, 1, 3, 7]]
    assert outcome.result.cycles == 1 + 16 + 16 + 4


def test_an_activated_request_frees_its_slot_at_once() -> None:  # K2
    of = device("DDR4_2400R")
    spec = ControllerSpec(read_queue=1, refresh="none")
    outcome = run_case(Case(of, spec, block((0, 0, 0, 0), (0, 0, 4, 0))))
    assert outcome.commands[:2].tolist() == [[1, 0, 0, 0], [1 + 4, 0, 4, 0]]  # another bank group: nRRDS later
    assert outcome.result.last_accepted == 1


def test_reads_are_served_again_when_no_write_waits_whatever_the_lower_mark() -> None:  # K4
    of = device("DDR4_2400R")
    spec = ControllerSpec(enter_writes=0.5, leave_writes=0.0, write_queue=2)
    case = Case(of, spec, block((0, 1, 0, 0), (0, 1, 0, 0), (0, 0, 4, 0)))
    outcome = run_case(case)
    assert outcome.mistakes == ()
    agree(case, outcome)


@pytest.mark.parametrize(("scheduler", "outcomes"), [("frfcfs", (0, 3, 1)), ("frfcfs_row_hit", (1, 2, 1))])
def test_a_row_is_closed_while_an_older_hit_must_wait_unless_hits_are_kept(  # K5
    scheduler: str, outcomes: tuple[int, int, int]
) -> None:
    # Two rows open, then a write: the hit at 102 must wait for the bus to turn round, the precharge behind it need not.
    requests = block((0, 0, 0, 0), (0, 0, 4, 0), (100, 1, 4, 0), (102, 0, 0, 0), (102, 0, 0, 1))
    spec = ControllerSpec.model_validate({"scheduler": scheduler, "refresh": "none"})
    assert run_case(Case(device("DDR4_2400R"), spec, requests)).result.read_outcomes == outcomes


def test_requests_in_order_are_not_overtaken() -> None:  # K5
    requests = block(*((0, 0, bank, row) for row in (0, 1, 0) for bank in (0, 0, 4, 9)))
    spec = ControllerSpec(scheduler="fcfs", refresh="none")
    assert (np.diff(run_case(Case(device("DDR4_2400R"), spec, requests)).done) > 0).all()


def test_a_closed_page_waits_for_the_request_that_it_was_opened_for() -> None:  # K9
    seeds = (72, 113, 140, 151, 158, 189)  # a hit was served first and closed the row: found by the checker
    for seed in seeds:
        case = case_of_seed(seed)
        assert case.controller.page == "closed"
        assert run_case(case).mistakes == ()


def test_requests_in_order_wait_for_an_activate_that_is_not_complete() -> None:  # K5 and K12
    of = device("LPDDR5_6400")
    spec = ControllerSpec(scheduler="fcfs", refresh="none")
    case = Case(of, spec, block((0, 0, 0, 0), (60, 0, 4, 0), (60, 0, 4, 0), (60, 0, 0, 1)))
    outcome = run_case(case)
    agree(case, outcome)
    assert (np.diff(outcome.done) > 0).all()


def test_refreshes_that_cannot_keep_up_are_refused() -> None:
    of = device("HBM3_6400", nREFIpb=4)
    requests = pattern("random_rd", 2000, AddressMap.named(of, "bank_first"))
    with pytest.raises(ConfigError) as error:
        simulate_channel(of, ControllerSpec(refresh="per_bank"), requests)
    assert str(error.value) == "refresh: HBM3_6400: per_bank refreshes fall due faster than they can be done"


def test_per_bank_refresh_needs_its_interval() -> None:
    of = device("DDR4_2400R")
    with pytest.raises(ConfigError) as error:
        simulate_channel(of, ControllerSpec(refresh="per_bank"), ())
    assert str(error.value) == "refresh: DDR4_2400R has no timing nREFIpb, so it knows no per_bank refresh"
    gddr = standards()["GDDR6"]
    entry = gddr.presets["GDDR6_14000"]
    clocks = {**entry.clocks, "nREFIpb": 208}
    given_one = from_clocks("GDDR6", gddr, gddr.organisations[entry.organisation], entry.clock_ps, clocks)
    requests = pattern("random_rd", 2000, AddressMap.named(given_one, "bank_first"))
    result = simulate_channel(given_one, ControllerSpec(refresh="per_bank"), requests)
    assert result.commands["REFPB"] in (result.cycles // 208 - 1, result.cycles // 208)


@pytest.mark.parametrize(("name", "row"), [("bank", (0, 0, 16, 0)), ("row", (0, 0, 0, 65536)), ("bank", (0, 0, -1, 0))])
def test_requests_outside_the_device_are_refused(name: str, row: tuple[int, int, int, int]) -> None:
    with pytest.raises(ConfigError, match=f"request 1 names {name} {row[2] if name == 'bank' else row[3]}; there are"):
        simulate_channel(device("DDR4_2400R"), ControllerSpec(), block((0, 0, 0, 0), row))
