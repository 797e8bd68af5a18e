"""The server of channels whose banks compute passes the contract of servers, against the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.gemv import lower_gemv
from cairn.hw_models.pim.oracle import OracleChannel
from cairn.hw_models.pim.program import Program, ProgramBuilder
from cairn.hw_models.pim.server import BAD_REQUEST, OVERFLOW, build_pim_server
from cairn.hw_models.pim.simulate import simulate_program
from cairn.hw_models.server import DONE, ERROR, FIRST, WANTS_FIRST, server_kinds

from .server_contract import Timed, check_contract, run_requests

AIM = pim_device("GDDR6_AiM", channels=1, nREFI=900)
CLOCK_PS = 500


def program(*instructions: tuple[str, int, int, int]) -> Program:
    builder = ProgramBuilder(AIM)
    for command, count, bank, row in instructions:
        builder.add(command, count, bank=bank, row=row)
    return builder.build()


PROGRAMS = [
    lower_gemv(AIM, 32, 300).program,
    program(("RD", 4, 3, 0), ("RD", 2, 9, 1)),
    program(("WR", 3, 3, 0)),
    program(("WRGB", 2, 0, 0), ("MAC16", 2, 0, 5), ("RDMAC16", 1, 0, 0)),
]


def completions(timed: list[Timed], refresh: bool) -> list[tuple[int, int, int]]:
    """What the oracle answers, from rules Q1 to Q4."""
    channels = {number: OracleChannel(AIM, refresh) for number in range(2)}
    found = []
    for request in sorted(timed, key=lambda one: (one.tick, one.task)):
        channel = channels[request.row[1]]
        channel.arrive(-(-request.tick // CLOCK_PS))
        for number, (command, fields) in enumerate(PROGRAMS[request.row[2]].named()):
            channel.serve(command, fields["count"], fields["bank"], fields["row"])
            if number == 0 and request.row[0] & WANTS_FIRST:
                found.append(((channel.complete - 1) * CLOCK_PS, request.task, FIRST))
        found.append(((channel.complete - 1) * CLOCK_PS, request.task, DONE))
    return found


@st.composite
def requests(draw: st.DrawFn) -> list[Timed]:
    tick, timed = 0, []
    for task in draw(st.permutations(range(draw(st.integers(1, 5))))):
        tick += draw(st.sampled_from([0, 0, 1, 700, 30_000, 600_000]))
        timed.append(Timed(tick, task, (draw(st.integers(0, 1)), draw(st.integers(0, 1)), draw(st.integers(0, 3)))))
    return timed


@settings(max_examples=25, deadline=None)
@given(timed=requests(), refresh=st.booleans(), cuts=st.lists(st.integers(0, 1_000_000), max_size=6))
def test_server_equals_oracle_and_keeps_the_contract_however_time_is_split(
    timed: list[Timed], refresh: bool, cuts: list[int]
) -> None:
    server = build_pim_server(PROGRAMS, 2, "all_bank" if refresh else "none")
    asked = [name for one in PROGRAMS for name in {command for command, _ in one.named()}]
    numbers = [AIM.standard.traced_commands.index(name) for name in set(asked)]
    check_contract(
        server, timed, expected=completions(timed, refresh),
        least_ticks=lambda row: (PROGRAMS[row[2]].columns - 1) * CLOCK_PS,
        bytes_of=lambda row: 32 * PROGRAMS[row[2]].columns,
        counted_bytes=lambda counted: 32 * int(counted["commands"][:, numbers].sum()), cuts=cuts,
    )  # fmt: skip


def test_a_request_alone_ends_when_its_program_does() -> None:
    run = simulate_program(PROGRAMS[0])
    found = run_requests(build_pim_server(PROGRAMS, 1), [(0, 7, (0, 0, 0))])
    assert found == [((run.cycles - 3) * CLOCK_PS, 7, DONE)], "the host's two ticks at the end are not the channel's"


def test_reads_of_cores_wait_for_the_product_before_them_and_delay_the_one_after() -> None:
    server = build_pim_server(PROGRAMS, 2)
    alone = run_requests(server, [(0, 0, (0, 0, 0)), (0, 1, (0, 1, 0))])
    shared = run_requests(server, [(0, 0, (0, 0, 0)), (0, 1, (0, 0, 1)), (0, 2, (0, 0, 0))])
    assert alone[0][0] == alone[1][0], "channels know nothing of each other"
    ends = {task: tick for tick, task, _ in shared}
    assert ends[0] == alone[0][0]
    assert ends[0] < ends[1] < ends[2]
    assert ends[2] > 2 * ends[0]


def test_requests_that_are_not_there_or_too_many_leave_their_reason() -> None:
    server = build_pim_server(PROGRAMS, 1, max_requests=2)
    for row in ((0, 1, 0), (0, 0, 4), (0, -1, 0)):
        state = server.fresh()
        server.kind.enqueue(state, 0, np.array(row, dtype=np.int64))
        assert state[ERROR] == BAD_REQUEST
    state = server.fresh()
    for task in range(5):
        server.kind.enqueue(state, task, np.array((0, 0, 1), dtype=np.int64))
    assert state[ERROR] == OVERFLOW


def test_a_server_needs_programs_of_one_device() -> None:
    assert server_kinds.get("pim") is build_pim_server(PROGRAMS, 1).kind
    with pytest.raises(ConfigError, match="channels: must be at least 1, got 0"):
        build_pim_server(PROGRAMS, 0)
    with pytest.raises(ConfigError, match="programs: must be at least 1, got 0"):
        build_pim_server([], 1)
    other = lower_gemv(pim_device("GDDR6_AiM"), 16, 16).program
    with pytest.raises(ConfigError, match="programs of a server are of one device"):
        build_pim_server([*PROGRAMS, other], 1)
