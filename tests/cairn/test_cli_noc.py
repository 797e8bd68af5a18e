"""`cairn noc` end to end: what is printed and written, and what is refused in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from cairn.cli.main import main
from tests.cairn.commands import as_json, refusal

SMALL = """\
schema: cairn.network/1
name: small
topology: {kind: mesh, shape: [4, 4]}
packet_flits: 2
sampling: {period: 200}
measure: {kind: curve, loads: [0.05, 0.3, 0.9], seeds: 2}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    return tmp_path


def of_measure(folder: Path, measure: str) -> str:
    """A file like small.yaml that measures something else."""
    (folder / "other.yaml").write_text(SMALL.partition("measure")[0] + f"measure: {measure}\n", encoding="utf-8")
    return "other.yaml"


def test_a_curve_says_where_the_network_saturates_and_what_it_accepts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = as_json(capsys, "noc", "small.yaml")
    low, middle, high = content["curve"]
    assert [point["saturated"] for point in content["curve"]] == [False, False, True]
    assert low["latency_cycles"] < middle["latency_cycles"]
    assert low["accepted"] == pytest.approx(0.05, rel=0.15) and high["accepted"] < 0.85
    assert 0.3 < content["saturation"]["load"] < 0.9
    assert high["why"]


def test_saturation_is_judged_by_the_latency_at_5_percent_of_full_load(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # reference/noc/booksim2_summary.csv: mesh8x8_hs4corner_p4_v2_b4_std4
    (folder / "corners.yaml").write_text(
        "schema: cairn.network/1\nname: corners\ntopology: {kind: mesh, shape: [8, 8]}\npacket_flits: 4\n"
        "traffic: {kind: hotspot, hotspots: [[0, 1], [7, 1], [56, 1], [63, 1]]}\n"
        "measure: {kind: curve, loads: [0.03], seeds: 1}\n",
        encoding="utf-8",
    )
    found = as_json(capsys, "noc", "corners.yaml")["saturation"]
    assert found["load"] == pytest.approx(0.0593, rel=0.04)
    assert found["low_load"] == pytest.approx(0.05 * 0.0581536, rel=0.02)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("noc", "small.yaml", "--set", "measure.loads=[0.3]", "--set", "measure.saturation=false")
    first, again, other = (as_json(capsys, *words, *more) for more in ((), (), ("--set", "seed=7")))
    assert first["curve"] == again["curve"] != other["curve"]


def test_the_folder_holds_the_result_its_tables_and_its_pictures(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["noc", "small.yaml", "--out", "out"]) == 0
    assert {file.name for file in (folder / "out").iterdir()} == {
        "result.json", "curve.csv", "links.csv", "curve.png", "links.png",
    }  # fmt: skip
    assert "saturates at" in capsys.readouterr().out
    links = pd.read_csv(folder / "out" / "links.csv")
    content = json.loads((folder / "out" / "result.json").read_text(encoding="utf-8"))
    assert content["schema"] == "cairn.network_result/1"
    assert len(links) == 48 and links["busy_share"].max() == pytest.approx(content["busiest_link_share"])
    assert main(["noc", "small.yaml", "--out", "out", "--no-plots", "--model", "packet"]) == 0
    assert not (folder / "out" / "curve.png").exists()


def test_a_batch_takes_the_cycles_of_booksim2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # reference/noc/booksim2_batch.csv: batch_mesh16x16_transpose_p4_v2_b4_std4_bs32
    content = as_json(capsys, "noc", "mesh-16x16-transpose-batch")
    assert content["batch"]["cycles"] == 2007
    assert content["batch"]["latency"]["mean"] == pytest.approx(647.75)


def test_one_packet_through_an_empty_network_takes_as_long_by_packets_as_by_flits(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "one.csv").write_text("cycle,source,destination,flits\n3,0,15,7\n500,5,6,1\n", encoding="utf-8")
    words = ("noc", of_measure(folder, "{kind: trace, file: one.csv}"))
    flits, packets = (as_json(capsys, *words, "--model", model) for model in ("flit", "packet"))
    # closed form of the digest of BookSim2's runs: 2 + 5 routers + a credit round trip of 6 for 4 of the 6 flits behind
    assert flits["batch"]["latency"]["longest"] == 2 + 5 * 7 + 6 + 2
    assert packets["batch"] == flits["batch"] | {"latency": packets["batch"]["latency"]}
    assert packets["batch"]["latency"]["mean"] == flits["batch"]["latency"]["mean"]


def test_the_packet_model_says_beyond_which_load_it_must_not_be_trusted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = as_json(capsys, "noc", "small.yaml", "--model", "packet")
    assert content["saturation"] is None
    assert "trust latencies below 50% of the load at which the flit model saturates" in content["notes"][0]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("topology={kind: mesh, shape: [4, 0]}", "at least one node in each dimension"),
        ("traffic={kind: transpose, target: 3}", "target is for kind all_to_one"),
        ("topology={kind: mesh, shape: [3, 3]}\ntraffic.kind=transpose", "must be a power of 2, got 9"),
        ("topology={kind: torus, shape: [4, 4]}\nrouter.virtual_channels=1", "must be a multiple of 2"),
        ("topology={kind: custom, shape: [4], links: [[0, 1], [2, 3]]}", "is not connected"),
        ("routing=shortest\ntopology={kind: ring, shape: [5]}", "circle of 5 links"),
        ("measure.loads=[0]", "must be above 0"),
        ("measure.loads=[3]", "must not exceed packet_flits"),
        ("router.buffer_flits=0", "router.buffer_flits: must be >= 1, got 0"),
        ("measure.speed=3", "speed"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], setting: str, message: str
) -> None:
    words = [word for each in setting.split("\n") for word in ("--set", each)]
    assert message in refusal(capsys, "noc", "small.yaml", *words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cycle,source,flits\n1,2,3\n", "lacks the columns destination"),
        ("cycle,source,destination,flits\n", "holds no packets"),
        ("cycle,source,destination,flits\n1,0,99,4\n", "destination is 99, allowed are 0 to 15"),
        ("cycle,source,destination,flits\n1,0,x,4\n", "row 0, destination is 'x', not a whole number"),
    ],
)
def test_a_trace_that_is_wrong_is_refused_with_its_row(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (folder / "bad.csv").write_text(text, encoding="utf-8")
    assert message in refusal(capsys, "noc", of_measure(folder, "{kind: trace, file: bad.csv}"))


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        ("{kind: trace, file: nothing.csv}", "cannot read"),
        ("{kind: batch, packets: 0}", "measure.packets: must be >= 1, got 0"),
        ("{kind: walk}", "measure.kind"),
    ],
)
def test_a_measure_that_is_none_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], measure: str, message: str
) -> None:
    assert message in refusal(capsys, "noc", of_measure(folder, measure))
