"""The suite `wormhole`: what it replays, and that it fails where it should. The recorded kernels are not shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from cairn.base.errors import ConfigError
from cairn.hw_models.noc.network import hops
from cairn.validation.gates import Verdict
from cairn.validation.reference import ReferenceDir
from cairn.validation.suite import load_suite, run_suite
from cairn.validation.suites.wormhole.replay import COLUMNS, Reads, Replay, Wormhole, tori

PUBLISHED = {
    "wormhole_noc": {
        "niu_to_router_cycles": {"value": 5},
        "router_to_router_cycles": {"value": 9},
        "router_to_niu_cycles": {"value": 5},
        "link_bits_per_cycle": {"value": 256},
        "long_packet_header": {"header_flits": 1, "data_bytes_max": 8192},
        "model_constants_tt_npe": {
            "link_bytes_per_cycle": 30,
            "inject_bytes_per_cycle": {"worker": 28.1, "dram": 23.2},
            "absorb_bytes_per_cycle": {"worker": 28.1},
            "read_latency_cycles": {"same_row": 170},
        },
    }
}
READ_HEAD = "trace,t_issue,req_x,req_y,proc,resp_x,resp_y,bytes,noc"
HEAD = "trace,kind,cores_req,cores_resp,reads,bytes_total,bytes_per_read,measured_cycles"


def folder(path: Path, measured: list[str], reads: list[str]) -> ReferenceDir:
    """A reference folder with kernels of one's own."""
    (path / "noc").mkdir()
    (path / "noc" / "noc_published.yaml").write_text(yaml.safe_dump(PUBLISHED))
    (path / "noc" / "wormhole_measured.csv").write_text("\n".join([HEAD, *measured]) + "\n")
    (path / "noc" / "wormhole_reads.csv").write_text("\n".join([READ_HEAD, *reads]) + "\n")
    return ReferenceDir(path)


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    return Replay(Wormhole.of(folder(tmp_path, [], [])), "worker")


def reads(*rows: tuple[int, int, int, int, int]) -> Reads:
    """Reads (issue, requester, responder, bytes, network)."""
    issue, requester, responder, size, network = np.array(rows, dtype=np.int64).T
    return Reads(issue, requester, responder, size, network)


def test_a_lone_read_is_two_ways_and_the_responder_and_the_slowest_port(replay: Replay) -> None:
    """Along a row there and back once round: the published 170 cycles, less the last flit, and 4,128 B at 28.1."""
    row = reads((200, 3, 7, 4096, 0))
    header_cycles, data_cycles = 2, 147  # 32 and 4128 bytes at 28.1
    assert replay.cycles(row) == 200 + 170 + header_cycles + data_cycles == replay.alone(row)[0]


@pytest.mark.parametrize("network", [0, 1])
def test_reads_far_apart_end_as_if_alone(replay: Replay, network: int) -> None:
    random = np.random.default_rng(2)
    for count in range(1, 6):
        pairs = random.integers(0, 120, (count, 2))
        row = reads(*[(10_000 * k + 1, a, b, 2048, network) for k, (a, b) in enumerate(pairs.tolist())])
        assert replay.cycles(row) == replay.alone(row).max()


def test_reads_of_one_responder_wait_for_its_port_and_those_over_the_other_network_do_not(replay: Replay) -> None:
    one = replay.cycles(reads((1, 3, 7, 4096, 0)))
    assert replay.cycles(reads((1, 3, 7, 4096, 0), (1, 3, 7, 4096, 0))) == one + 147
    assert replay.cycles(reads((1, 3, 7, 4096, 0), (1, 3, 7, 4096, 1))) == one


def test_network_0_goes_east_then_south_and_network_1_north_then_west() -> None:
    here, east_and_south = 0, COLUMNS + 1
    round_north_and_west = [0, *range(110, 9, -10), *range(19, 10, -1)]
    for (network, routes), nodes in zip(tori(), ([0, 1, 11], round_north_and_west), strict=True):
        passed = [here]
        while (link := routes.next_link[0, passed[-1], east_and_south]) >= 0:
            passed.append(int(network.link_destination[link]))
        assert passed == nodes
        assert hops(network, routes)[0, here, east_and_south] == len(nodes) - 1


def test_kernels_count_for_their_gates_and_a_wrong_prediction_fails(tmp_path: Path) -> None:
    rows = ["A,1,3,0,BRISC,7,0,4096,0", "B,1,3,0,NCRISC,0,5,2048,0"]
    measured = ["A,L1,1,1,1,4096,4096,320", "B,DRAM,1,1,1,1,1,485"]
    right = run_suite(load_suite("wormhole"), folder(tmp_path, measured, rows))
    assert {gate.gate.name: gate.verdict for gate in right.gates}["l1"] is Verdict.PASS
    assert [row.counts for row in right.rows] == [("l1", "l1_alone", "l1_30"), ("dram", "dram_alone", "dram_30")]
    (tmp_path / "late").mkdir()
    late = run_suite(load_suite("wormhole"), folder(tmp_path / "late", ["A,L1,1,1,1,4096,4096,350"], rows))
    assert {gate.gate.name: gate.verdict for gate in late.gates}["l1"] is Verdict.FAIL


@pytest.mark.parametrize(
    ("measured", "message"),
    [("C,L1,1,1,1,1,1,300", "has no reads of C"), ("A,HOST,1,1,1,1,1,300", "a kernel is one of L1, DRAM")],
)
def test_a_kernel_without_reads_or_of_an_unknown_kind_is_refused(tmp_path: Path, measured: str, message: str) -> None:
    reference = folder(tmp_path, [measured], ["A,1,3,0,BRISC,7,0,4096,0"])
    with pytest.raises(ConfigError, match=message):
        list(load_suite("wormhole").predict(reference, True))


def test_without_the_recorded_kernels_the_suite_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAIRN_REFERENCE_DIR", str(tmp_path))
    result = run_suite(load_suite("wormhole"), ReferenceDir())
    assert result.verdict is Verdict.SKIPPED
    assert "tt-npe" in " ".join([*result.skipped, result.why])
