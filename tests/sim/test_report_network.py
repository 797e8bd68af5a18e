"""The result says when packets queue more than the packet model was checked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cairn.hw_models.noc.server import build_noc_server
from cairn.hw_models.noc.spec import NocSpec
from cairn.hw_models.noc.trust import TRUSTED_QUEUEING, NetworkLoad, network_load
from cairn.sim.config.run_config import load
from cairn.sim.report.network import load_of
from cairn.sim.report.result import Result
from cairn.sim.report.summary import content
from cairn.sim.run import simulate
from tests.hw_models.noc_cases import GHZ
from tests.hw_models.server_contract import Timed, drive

ONE_LAYER = ("model.layers=1", "workload.embedding=false", "workload.lm_head=false")


def loaded(*rows: tuple[int, int, int]) -> NetworkLoad:
    """The load of transfers (source, destination, bytes) requested together on a line of four, over 1000 cycles."""
    timed = [Timed(0, task, (0, *row)) for task, row in enumerate(rows)]
    return network_load(drive(build_noc_server(NocSpec(), 1, 4, GHZ), timed)[1], 1_000_000)


def test_streams_that_never_meet_do_not_queue_however_full_their_links_are() -> None:
    one = loaded((0, 1, 16000), (2, 3, 16000))
    assert (one.queueing, one.busiest) == (0, 0.5)
    assert one.note() is None


def test_waiting_at_links_and_ejection_ports_counts_and_at_the_own_port_does_not() -> None:
    """1 -> 2 and 0 -> 2 meet at the link 1 -> 2: 62 of 5 x 64 cycles held there and at the ejection port."""
    assert loaded((1, 2, 2048), (0, 2, 2048)).queueing == pytest.approx(62 / 320)
    assert loaded((0, 1, 2048), (0, 1, 2048)).queueing == 0


def test_a_load_beyond_the_limit_is_said_with_its_numbers() -> None:
    load = NetworkLoad(busiest=0.45, queueing=TRUSTED_QUEUEING + 0.01)
    assert not load.is_trusted
    assert str(load.note()).startswith("network: packets wait 11% of the time")
    assert NetworkLoad(0.9, TRUSTED_QUEUEING).note() is None


def test_an_idle_network_is_trusted() -> None:
    assert network_load(drive(build_noc_server(NocSpec(), 1, 4, GHZ), [])[1], 0.0) == NetworkLoad(0.0, 0.0)


def test_the_result_of_a_run_has_the_load_of_its_network() -> None:
    result = Result(simulate(load("demo", ONE_LAYER)))
    found = content(result)["network"]
    assert result.network is not None
    assert found["queueing"] == result.network.queueing
    assert found["within_checked_range"] == (found["queueing"] <= found["queueing_limit"])
    assert 0 < found["busiest_utilisation"] <= 1


def test_a_record_without_states_or_of_another_network_model_has_no_load() -> None:
    record = simulate(load("demo", ONE_LAYER))
    assert load_of(replace(record, trace=replace(record.trace, states=()))) is None
    assert load_of(replace(record, config={**record.config, "fidelity": {"noc": "flit"}})) is None
    assert np.isfinite(load_of(record).queueing)  # type: ignore[union-attr]
