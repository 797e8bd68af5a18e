"""The suite `voxel_dram`: passes as shipped, and fails where a time, a chip or a number of openings is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cairn.base.errors import ConfigError
from cairn.validation.gates import Verdict
from cairn.validation.reference import SHIPPED, ReferenceDir
from cairn.validation.suite import SuiteResult, load_suite, run_suite
from cairn.validation.suites.voxel_dram.reads import Read, RunChip

FILES = ("voxel_runs.csv", "voxel_runs_ops.csv", "voxel_dram_crosscheck.yaml")
QKV = "llama2-13.decode.best,7,Dot"


@pytest.fixture(scope="module")
def shipped() -> SuiteResult:
    return run_suite(load_suite("voxel_dram"), ReferenceDir())


def changed(folder: Path, file: str, change: Callable[[str], str]) -> SuiteResult:
    """The suite on the shipped files, one of them changed."""
    (folder / "stacked3d").mkdir()
    for name in FILES:
        shutil.copy(SHIPPED / "stacked3d" / name, folder / "stacked3d")
    path = folder / "stacked3d" / file
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before
    return run_suite(load_suite("voxel_dram"), ReferenceDir(folder))


def failed(result: SuiteResult) -> set[str]:
    return {gate.gate.name for gate in result.gates if gate.verdict is Verdict.FAIL}


def chip() -> RunChip:
    runs = ReferenceDir().csv("stacked3d/voxel_runs.csv")
    return RunChip.of(next(run for run in runs if run.text("id") == "llama2-13.decode.best"))


def test_shipped_rows_are_met_to_the_cycle_and_every_gate_has_rows(shipped: SuiteResult) -> None:
    values = {gate.gate.name: (gate.rows, gate.value) for gate in shipped.gates}
    assert shipped.verdict is Verdict.PASS, shipped.why
    assert values["calls"] == (36, 0)
    assert values["reads"] == (264, 0)
    assert values["short_reads"] == (352, 0)
    assert values["equal"] == (508, 1)


def test_beside_each_read_stand_the_stacked_channel_and_the_bus(shipped: SuiteResult) -> None:
    reads = [judged for judged in shipped.rows if judged.id.startswith("read/")]
    assert len(reads) == 548
    for row in reads:
        assert row.baselines["bus"] < row.baselines["stacked_channel"]
        assert row.baselines["bus"] < row.reference
    qkv = next(row for row in reads if row.id == "read/llama2-13.decode.best/7_Dot")
    assert (qkv.reference, qkv.prediction) == (19_519, 19_519)
    assert qkv.baselines["stacked_channel"] == pytest.approx(17_910, abs=1)
    assert qkv.remark.startswith("20 openings")


def test_one_cycle_too_many_in_one_read_fails(tmp_path: Path) -> None:
    read = f"{QKV},32x15360x5120,01,"
    result = changed(tmp_path, "voxel_runs_ops.csv", lambda text: text.replace(f"{read}19519", f"{read}19520"))
    assert failed(result) == {"equal"}


def test_half_an_opening_too_many_in_a_short_read_fails_the_limit_of_one_percent(tmp_path: Path) -> None:
    short = "llama2-13.decode.best,16,Slice,32x1x15360,1,"
    result = changed(tmp_path, "voxel_runs_ops.csv", lambda text: text.replace(f"{short}391", f"{short}427"))
    assert failed(result) == {"reads", "short_reads", "equal"}


def test_a_chip_with_another_bandwidth_explains_no_times(tmp_path: Path) -> None:
    here, other = ",12288,8192,14,14,14,", ",12600,8192,14,14,14,"
    result = changed(tmp_path, "voxel_runs.csv", lambda text: text.replace(here, other))
    assert failed(result) == {"reads", "short_reads", "equal"}


def test_a_call_of_the_estimator_that_takes_one_cycle_more_fails(tmp_path: Path) -> None:
    call = "[fast, 256, 34.0, 65536, 1024, "
    result = changed(tmp_path, "voxel_dram_crosscheck.yaml", lambda text: text.replace(f"{call}6594", f"{call}6595"))
    assert failed(result) == {"calls"}


def test_a_read_of_a_run_that_is_not_listed_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no run of stacked3d/voxel_runs\.csv is called 'opt-30.decode.lost'"):
        changed(tmp_path, "voxel_runs_ops.csv", lambda text: text.replace("opt-30.decode.best", "opt-30.decode.lost"))


def test_a_number_of_openings_is_possible_only_if_a_chunk_of_whole_elements_has_it() -> None:
    read = Read(chip(), 256 * 614_400, 1)
    assert read.is_possible(20)
    assert not read.is_possible(2), "there are 3 rows of 278528 bytes"
    assert read.is_possible(3)
    assert Read(chip(), 256 * 64, 1).is_possible(4)
    assert not Read(chip(), 256 * 64, 1).is_possible(3), "chunks are multiples of 8 cores' elements of 2 bytes"
    assert not Read(chip(), 256 * 64, 1).is_possible(5)


def test_the_number_of_openings_is_read_back_from_the_time_it_makes() -> None:
    read = Read(chip(), 256 * 614_400, 1)
    assert [read.openings_of(read.cycles(count)) for count in (3, 20, 600)] == [3, 20, 600]
    assert read.openings_of(read.cycles(20) + 36) == 20
    assert read.openings_of(read.cycles(3) - 40) is None
