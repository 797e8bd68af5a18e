"""`cairn run` end to end, on a model small enough to be simulated in a moment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cairn
from cairn.base.errors import BugError, PlanError
from cairn.cli.main import main
from cairn.sim.report.result import Result

RUN = """\
schema: cairn.run/1
name: small
chip: tiny
model:
  name: small
  source: "assumed: a test"
  layers: 2
  hidden: 256
  vocab: 512
  attention: {heads: 4}
  ffn: {width: 512}
workload: {phase: decode, batch: 2, context: 32}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(RUN, encoding="utf-8")
    return tmp_path


def test_a_run_reports_and_writes_a_whole_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "run.yaml", "--out", "results/small", "--trace"]) == 0
    out, err = capsys.readouterr()
    config = cairn.load("run.yaml")
    written = json.loads(Path("results/small/result.json").read_text())
    assert written["schema"] == "cairn.result/1"
    assert written["provenance"]["run_hash"] in out and f"seed {config.seed}" in out and cairn.__version__ in out
    assert out.endswith("written to results/small\n")
    assert "Traceback" not in err
    names = {file.name for file in Path("results/small").iterdir()}
    assert {"operators.parquet", "tasks.parquet", "units.parquet", "operators.png", "roofline.png"} <= names
    assert any(name.startswith("timeline") for name in names)
    assert sorted(file.name for file in folder.rglob("*") if file.name.startswith(".")) == []


def test_an_earlier_result_is_replaced_and_plots_may_be_left_out(folder: Path) -> None:
    assert main(["run", "run.yaml", "--out", "out", "--no-plots"]) == 0
    assert not list(Path("out").glob("*.png"))
    assert main(["run", "run.yaml", "--out", "out", "--no-plots", "--set", "seed=5"]) == 0
    assert json.loads(Path("out/result.json").read_text())["provenance"]["seed"] == 5
    assert sorted(file.name for file in folder.iterdir()) == ["out", "run.yaml"]


def test_json_is_the_result_and_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "run.yaml", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    result = cairn.simulate("run.yaml")
    assert isinstance(result, Result)
    assert content["schema"] == "cairn.result/1" and content["latency_s"] == result.latency_s > 0
    assert [file.name for file in folder.iterdir()] == ["run.yaml"]


def test_both_engines_and_both_ways_of_calling_give_the_same_time(folder: Path) -> None:
    compiled = cairn.simulate("run.yaml")
    reference = cairn.simulate(cairn.load("run.yaml", ["engine.engine=reference"]))
    assert compiled.record.total_ps == reference.record.total_ps
    with pytest.raises(cairn.CairnError, match="overrides apply to a name or a path; a RunConfig is complete already"):
        cairn.simulate(cairn.load("run.yaml"), ["seed=3"])


def test_progress_is_told(folder: Path) -> None:
    told: list[tuple[str, float]] = []
    cairn.simulate("run.yaml", progress=lambda what, done: told.append((what, done)))
    assert told and all(isinstance(what, str) and 0 <= done <= 1 for what, done in told)


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), MemoryError()])
def test_trouble_while_writing_leaves_the_earlier_result_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch, trouble: BaseException
) -> None:
    assert main(["run", "run.yaml", "--out", "out", "--no-plots"]) == 0
    before = Path("out/result.json").read_bytes()

    def stop(self: Result, *_: object, **__: object) -> str:
        raise trouble

    monkeypatch.setattr(Result, "to_json", stop)
    assert main(["run", "run.yaml", "--out", "out", "--no-plots", "--set", "seed=5"]) in (2, 130)
    assert Path("out/result.json").read_bytes() == before
    assert sorted(file.name for file in folder.iterdir()) == ["out", "run.yaml"]


def test_a_plan_of_cairns_own_that_fails_is_a_bug_and_shows_its_stack_trace(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PlanError("the run is stuck")

    monkeypatch.setattr("cairn.sim.run.run_plan", fail)
    with pytest.raises(BugError, match="own plan of run 'small' fails, which is a bug in Cairn: the run is stuck"):
        main(["run", "run.yaml", "--out", "out"])
    assert [file.name for file in folder.iterdir()] == ["run.yaml"]


def test_a_model_that_does_not_fit_is_refused_with_its_remedy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "run.yaml", "--set", "model=llama-2-70b", "--out", "out"]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "infeasible" in err and "DRAM capacity" in err and "GB" in err
    with pytest.raises(cairn.InfeasibleError) as caught:
        cairn.simulate("run.yaml", ["model=llama-2-70b"])
    assert caught.value.reasons[0].demand > 100 and caught.value.reasons[0].remedy
    assert [file.name for file in folder.iterdir()] == ["run.yaml"]
