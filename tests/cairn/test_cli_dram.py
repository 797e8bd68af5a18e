"""`cairn dram` end to end: what is printed and written, and what is refused in which words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cairn.cli.main import main
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.device import device
from cairn.hw_models.dram.mapping import AddressMap
from cairn.hw_models.dram.request_list import PATTERNS, pattern
from cairn.hw_models.dram.simulate import simulate_channel
from cairn.hw_models.dram.standard import presets
from cairn.sim.report.dram_causes import CAUSES, verdict
from cairn.sim.report.dram_record import ChannelRun
from tests.cairn.commands import as_json, refusal

MIX = ["dram", "DDR4_2400R", "--pattern", "random_mix21", "--count", "3000"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_json_is_what_the_channel_measured(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = as_json(capsys, *MIX, "--set", "nRP=12", "--set", "scheduler=fcfs", "--set", "rk=2", "--interval", "9")
    chosen = device("DDR4_2400R", nRP=12, rk=2)
    requests = pattern("random_mix21", 3000, AddressMap.named(chosen, "bank_group_first"), interval=9)
    result = simulate_channel(chosen, ControllerSpec(scheduler="fcfs"), requests)
    assert content["schema"] == "cairn.dram_result/1"
    assert {key: content[key] for key in result.as_dict()} == json.loads(json.dumps(result.as_dict()))
    assert content["source"] == {"pattern": "random_mix21", "count": 3000, "seed": 1, "interval": 9}
    assert content["reads"]["count"] + content["writes"]["count"] == content["requests"] == 3000
    for side in (content["reads"], content["writes"]):
        assert side["hits"] + side["misses"] + side["conflicts"] == side["count"]
        assert 0 < side["p50_ns"] <= side["p95_ns"] <= side["p99_ns"] <= side["max_ns"] and side["mean_ns"] > 0
    assert sum(content["time_share_by_cause"].values()) == pytest.approx(1)
    assert [file.name for file in folder.iterdir()] == []


def test_the_report_tells_bandwidth_latency_causes_and_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(MIX) == 0
    out = capsys.readouterr().out
    content = as_json(capsys, *MIX)
    assert f"{content['efficiency']:.0%}" in out and "3,000 of random_mix21" in out
    for word in ("row hits", "conflicts", "median", "p95", "p99", "max", f"{content['reads']['mean_ns']:,.1f}"):
        assert word in out
    cause = content["lost_to"]
    told = " ".join(out.split())
    assert f"Main loss: {cause}, {content['time_share_by_cause'][cause]:.1%} of the time" in told
    assert CAUSES[cause].remedy in told
    assert content["provenance"]["run_hash"] in out and "seed 1" in out and "mapping bank_group_first" in out
    assert max(map(len, out.splitlines())) <= 110


def test_every_cause_has_a_meaning_and_a_remedy() -> None:
    result = simulate_channel(device("HBM3_6400"), None, pattern(
        "stream_rd", 10, AddressMap.named(device("HBM3_6400"), "bank_first")))  # fmt: skip
    assert set(result.causes.index) == set(CAUSES)
    assert verdict("refresh", 0.2).startswith("Main loss: refresh, 20.0% of the time: refresh holds the banks. ")
    assert verdict("refresh", 0.001) == "Hardly any time is lost: the data bus limits."


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_a_pattern_in_blocks_is_the_pattern_at_once(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["dram", "HBM3_6400", "--pattern", name, "--count", "1000", "--seed", "7", "--mapping", "column_first_xor"]
    whole = as_json(capsys, *words)
    monkeypatch.setattr("cairn.hw_models.dram.trace_columns.BLOCK", 77)
    parts = as_json(capsys, *words)
    for content in (whole, parts):
        content["provenance"] = {key: content["provenance"][key] for key in ("run_hash", "requests_hash")}
    assert whole == parts


@pytest.mark.parametrize("file", ["t.txt", "t.csv.gz", "t.parquet"])
def test_a_trace_equals_the_pattern_that_it_was_written_from(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    block = pattern("gemv2w", 5000, AddressMap.named(device("HBM3_6400"), "bank_group_first"), interval=5)
    frame = pd.DataFrame({"bank": block.bank, "row": block.row, "type": block.write, "arrive": block.arrive})
    if file.endswith(".parquet"):
        frame.to_parquet(file, index=False)
    else:
        frame.to_csv(file, index=False, sep=" " if file == "t.txt" else ",")
    ran = as_json(capsys, "dram", "HBM3_6400", "--pattern", "gemv2w", "--count", "5000", "--interval", "5")
    read = as_json(capsys, "dram", "HBM3_6400", "--trace", file)
    assert read.pop("source") == {"trace": file, "wrap": False}
    del ran["source"]
    for content in (ran, read):
        content["provenance"] = {key: content["provenance"][key] for key in ("run_hash", "requests_hash")}
    assert read == ran


def test_the_folder_is_written_whole_and_an_earlier_result_replaced(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*MIX, "--out", "deep/out"]) == 0
    assert capsys.readouterr().out.endswith("written to deep/out\n")
    out = Path("deep/out")
    names = {"result.json", "causes.csv", "over_time.csv", "bandwidth.png", "causes.png"}
    assert {file.name for file in out.iterdir()} == names
    content = json.loads((out / "result.json").read_text())
    causes = pd.read_csv(out / "causes.csv")
    assert causes["share"].sum() == pytest.approx(1) and causes["share"].is_monotonic_decreasing
    assert dict(zip(causes["cause"], causes["share"], strict=True)) == pytest.approx(content["time_share_by_cause"])
    times = pd.read_csv(out / "over_time.csv")
    width_ns = times["start_ns"].diff().iloc[1]
    moved = (times["read_gb_per_s"] + times["write_gb_per_s"]).sum() * width_ns
    assert moved == pytest.approx(content["bytes"])
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in names if name.endswith(".png"))

    assert main([*MIX, "--seed", "5", "--out", "deep/out", "--no-plots"]) == 0
    assert {file.name for file in out.iterdir()} == {"result.json", "causes.csv", "over_time.csv"}
    assert json.loads((out / "result.json").read_text())["source"]["seed"] == 5
    assert [file.name for file in Path("deep").iterdir()] == ["out"]


def test_other_peoples_files_are_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("keep")
    Path("run").mkdir()
    Path("run/result.json").write_text('{"schema": "cairn.result/1"}')
    for name in ("mine", "run"):
        message = f"{name}: holds files that are no earlier result; it is left alone, name another folder"
        assert refusal(capsys, *MIX, "--out", name) == message
    message = "mine/thesis.txt: is no earlier command trace; it is left alone, name another file"
    assert refusal(capsys, *MIX, "--commands", "mine/thesis.txt") == message
    assert refusal(capsys, *MIX, "--commands", "mine") == "mine: is a folder; name a file for the commands"
    assert refusal(capsys, *MIX, "--commands", "no/c.csv") == "no/c.csv: cannot be written: No such file or directory"
    message = "--commands out/c.csv: lies in the result folder, which is written anew"
    assert refusal(capsys, *MIX, "--commands", "out/c.csv", "--out", "out") == message
    assert Path("mine/thesis.txt").read_text() == "keep"
    assert sorted(file.name for file in folder.iterdir()) == ["mine", "run"]


def test_the_command_trace_has_every_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["dram", "HBM3_6400", "--pattern", "random_mix21", "--count", "40000", "--commands", "c.csv"]
    for _ in range(2):  # an earlier command trace is replaced
        content = as_json(capsys, *words)
    table = pd.read_csv("c.csv")
    assert list(table.columns) == ["tick", "command", "pc", "rk", "bg", "ba", "row"]
    assert len(table) > 1 << 16  # more than the log of the channel holds at once
    counted = table["command"].value_counts().to_dict()
    assert counted == {name: count for name, count in content["commands"].items() if count}
    assert table["tick"].is_monotonic_increasing and table["tick"].iloc[-1] <= content["ticks"]
    sizes = content["device"]["organisation"]
    assert all(table[level].between(0, sizes[level] - 1).all() for level in ("pc", "rk", "bg", "ba"))
    mapping = AddressMap.named(device("HBM3_6400"), "bank_group_first")
    asked = pattern("random_mix21", 40000, mapping)
    served = table[table["command"].isin(["RD", "WR"])]
    bank = ((served["pc"] * sizes["rk"] + served["rk"]) * sizes["bg"] + served["bg"]) * sizes["ba"] + served["ba"]
    key = np.sort(bank.to_numpy() * sizes["row"] + served["row"].to_numpy())
    assert np.array_equal(key, np.sort(asked.bank * sizes["row"] + asked.row))
    assert [file.name for file in folder.iterdir()] == ["c.csv"]


def test_the_lists_name_every_preset_and_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dram", "--list"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    found = {words[0]: words for words in lines}
    assert set(presets()) | set(PATTERNS) <= set(found)
    assert found["HBM3_6400"][1:3] == ["51.2", "GB/s"]
    assert found["HBM3"][1] == "(JEDEC"



@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("dram", "name a preset, such as HBM3_6400; 'cairn dram --list' lists them"),
        ("dram HBM3_6400", "say what to run: either --trace FILE or --pattern NAME "
         "('cairn dram --list' lists patterns)"),
        ("dram HBM3_6400 --trace t --pattern gemv2", "say what to run: either --trace FILE or --pattern NAME "
         "('cairn dram --list' lists patterns)"),
        ("dram HBM3_6400 --trace t --seed 3", "--seed belongs to --pattern; a trace says it itself"),
        ("dram HBM3_6400 --pattern gemv2 --wrap", "--wrap belongs to --trace; the addresses of patterns wrap always"),
        ("dram HBM3_6400 --pattern gemv2 --count 0", f"--count is 0, must be from 1 to {(1 << 62) - 1}"),
        ("dram HBM3_6400 --pattern gemv2 --interval -1", f"--interval is -1, must be from 0 to {(1 << 62) - 1}"),
        ("dram HBM3_6400 --pattern gemv2 --interval 20000000", "the last request would come after 1,000,000,000,000 "
         "ticks; ask for fewer, or a shorter --interval"),
        ("dram HBM3_6400 --trace none.csv", "none.csv: cannot be read: No such file or directory"),
        ("dram HBM3_6400 --pattern gemv", "pattern: there is no pattern 'gemv'; there are " + ", ".join(PATTERNS)),
        ("dram HBM3_6400 --pattern gemv2 --mapping rows", "mapping: there is no mapping 'rows'; there are "
         "bank_group_first, column_first, bank_first, row_bank_column, bank_row_column (and each with _xor)"),
        ("dram DDR4_2400R --pattern gemv2 --set nRP", "--set nRP: must read KEY=VALUE, such as nRP=20"),
        ("dram DDR4_2400R --pattern gemv2 --set nRP=x", "--set nRP=x: nRP: must be a whole number from 0 to 1,000,000, "
         "got 'x'"),
        ("dram DDR4_2400R --pattern gemv2 --set rk=0", "--set rk=0: rk: must be a whole number from 1 to 1,000,000, "
         "got '0'"),
        ("dram DDR4_2400R --pattern gemv2 --set nRAS=1", "nRAS: 1 is less than nRCD = 16: a row stays open at least "
         "until it can be read"),
        ("dram DDR4_2400R --pattern gemv2 --set ba=999999", "--set: the channel would have 3,999,996 banks and "
         "2.15e+15 bytes, more than can be simulated"),
        ("dram DDR4_2400R --pattern gemv2 --set nWR=9999", "--set: WRA -> REF would take 10,031 ticks, and a refresh "
         "falls due every 9,364 (nREFI)"),
        ("dram DDR4_2400R --pattern gemv2 --set refresh=per_bank", "refresh: DDR4_2400R has no timing nREFIpb, so it "
         "knows no per_bank refresh"),
        ("dram DDR4_2400R --pattern gemv2 --set scheduler=fifo", "--set scheduler=fifo: scheduler: is 'fifo' "
         "(allowed: fcfs, frfcfs, frfcfs_row_hit)"),
        ("dram DDR4_2400R --pattern gemv2 --set read_queue=0", "--set read_queue=0: read_queue: must be >= 1, got 0"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_message(
    folder: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert refusal(capsys, *words.split()) == message
    assert list(folder.iterdir()) == []


def test_unknown_names_come_with_the_nearest_and_all_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    told = refusal(capsys, *MIX, "--set", "nRPP=3")
    assert told.startswith("--set nRPP=3: DDR4_2400R has no 'nRPP'; did you mean 'nRP'? timings: nBL, nCL, nRCD, nRP,")
    assert "; sizes: density_mb, width_bits," in told
    assert told.endswith(
        "; clock: clock_ps; controller: scheduler, page, refresh, read_queue, write_queue, enter_writes, leave_writes"
    )
    told = refusal(capsys, "dram", "HBM3_6401", "--pattern", "gemv2")
    assert told.startswith("preset: there is no DRAM preset 'HBM3_6401'; did you mean HBM3_6400? There are DDR3_1333H,")


@pytest.mark.parametrize(("trouble", "status"), [(KeyboardInterrupt(), 130), (MemoryError(), 2)])
def test_trouble_while_writing_leaves_the_earlier_results_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch, trouble: BaseException, status: int
) -> None:
    words = [*MIX, "--out", "out", "--no-plots", "--commands", "c.csv"]
    assert main(words) == 0
    before = Path("out/result.json").read_bytes(), Path("c.csv").read_bytes()

    def stop(self: ChannelRun, *_: object) -> str:
        raise trouble

    monkeypatch.setattr(ChannelRun, "to_json", stop)
    assert main([*words, "--seed", "5"]) == status
    assert (Path("out/result.json").read_bytes(), Path("c.csv").read_bytes()) == before
    assert sorted(file.name for file in folder.iterdir()) == ["c.csv", "out"]


def test_an_interrupt_in_the_middle_of_a_trace_leaves_nothing(folder: Path) -> None:
    words = "dram DDR4_2400R --pattern random_rd --count 2000000000 --out out --commands c.csv"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-m", "cairn", *words.split()], stderr=subprocess.PIPE, text=True, env=environment
    )
    deadline = time.monotonic() + 120
    while not any(file.stat().st_size > 1 << 20 for file in folder.glob(".c.csv-*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1].splitlines()[-1] == "interrupted"
    assert process.returncode == 130
    assert list(folder.iterdir()) == []


def test_progress_is_told_for_patterns_and_traces(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    told: list[float] = []
    monkeypatch.setattr("cairn.cli.progress.progress_bar", lambda: nullcontext(lambda what, done: told.append(done)))
    Path("t.txt").write_text("0x40 R\n" * 200_000)
    for words in (["--pattern", "stream_rd", "--count", "200000"], ["--trace", "t.txt"]):
        told.clear()
        assert main(["dram", "DDR4_2400R", *words]) == 0
        assert len(told) >= 4 and told == sorted(told) and told[-1] == 1.0


def test_energy_is_told_where_it_is_known_and_only_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--pattern", "stream_rd", "--count", "2000"]
    content = as_json(capsys, "dram", "HBM3_6400", *words)
    energy = content["energy"]
    assert energy["interface"] == "interposer"
    assert sum(energy["pj_by_term"].values()) == pytest.approx(energy["total_pj"])
    assert energy["pj_per_bit"] == pytest.approx(energy["total_pj"] / (8 * content["bytes"]))
    assert main(["dram", "HBM3_6400", *words]) == 0
    shown = capsys.readouterr().out
    assert f"{energy['pj_per_bit']:.2f} pJ/bit (interposer)" in shown and "average power" in shown
    for term, share in energy["pj_by_term"].items():
        assert f"{term} " in shown and f"{share / energy['total_pj']:.1%}" in shown
    assert as_json(capsys, "dram", "DDR4_2400R", *words)["energy"] is None
    assert main(["dram", "DDR4_2400R", *words]) == 0
    assert "energy" not in capsys.readouterr().out
