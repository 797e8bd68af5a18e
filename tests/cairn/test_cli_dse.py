"""`cairn dse`: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from cairn.cli import main as cli
from cairn.cli.dse import describe
from cairn.dse.search import State
from cairn.sim.config.run_config import load

SMALL = """\
schema: cairn.sweep/1
name: small
run: demo
set: {workload.context: 64, workload.batch: 1}
parameters:
  chip.dram.bandwidth_gb_per_s: [16, 64]
  chip.dram.capacity_gb: [0.001, 1]
objectives: [area, time_per_token]
"""


def test_a_sweep_is_answered_by_tables_run_files_and_a_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "small.yaml", tmp_path / "out"
    file.write_text(SMALL, encoding="utf-8")
    assert cli.main(["dse", str(file), "--points", "4", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("small: 4 of 4 designs simulated, 2 feasible, 2 infeasible, 0 failed; 2 on the front\n")
    assert text.endswith(f"written to {out}\n")
    points = pd.read_parquet(out / "points.parquet")
    refused = points[points["status"] == "infeasible"]
    assert len(points) == 4
    assert refused["chip.dram.capacity_gb"].tolist() == [0.001, 0.001]
    assert set(refused["constraint"]) <= {"DRAM capacity", "configuration"}
    assert refused["remedy"].str.len().min() > 10
    front = pd.read_csv(out / "front.csv")
    assert front["time_per_token_ms"].is_monotonic_decreasing
    for number in front["point"]:
        config = load(out / "runs" / f"point-{number}.yaml")
        row = front.set_index("point").loc[number]
        assert config.chip.dram.bandwidth_gb_per_s == row["chip.dram.bandwidth_gb_per_s"]
    assert (out / "study.journal").read_text(encoding="utf-8").count('"point"') == 4

    assert cli.main(["dse", str(file), "--out", str(out)]) == 2
    assert "holds this study already; continue it with --resume, or name another place" in capsys.readouterr().err
    assert cli.main(["dse", str(file), "--out", str(out), "--resume", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [each["point"] for each in answer["front"]] == front["point"].tolist()
    assert (answer["points"], answer["infeasible"]) == (4, 2)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    assert cli.main(["dse", "demo", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"cairn: {tmp_path}: holds files that are no study; it is left alone, name another folder\n"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_resuming_needs_a_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dse", "demo", "--resume"]) == 2
    assert "--resume needs the study that it continues" in capsys.readouterr().err


def test_progress_tells_points_rate_volume_share_and_time() -> None:
    state = State(12, 40, 1, 9, 6.0, 12, 0.8123, 14.0)
    assert describe(state) == "12/40 points, 2/s, hypervolume 0.8123, 75% feasible, 14 s left"
