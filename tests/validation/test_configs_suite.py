"""The suite `configs`: what counts as working."""

from __future__ import annotations

from pathlib import Path

import pytest

from cairn.base.errors import CairnError, Infeasibility, InfeasibleError
from cairn.sim.config.resolve import ACCELERATOR, CHIP, DUPLEX, MODEL, NETWORK, PIM_SYSTEM, RUN, WAFER, shipped
from cairn.sim.config.run_config import RunConfig
from cairn.sim.record import RunRecord
from cairn.validation.reference import ReferenceDir
from cairn.validation.suites.configs import suite
from cairn.validation.suites.configs.suite import network_outcome, outcome_of, predict


def test_every_shipped_file_has_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "outcome_of", lambda name, overrides, run: suite.Outcome(True, f"{run}"))
    monkeypatch.setattr(suite, "network_outcome", lambda name, run: suite.Outcome(True, f"{run}"))
    kinds = (ACCELERATOR, CHIP, DUPLEX, MODEL, NETWORK, PIM_SYSTEM, RUN, WAFER)
    expected = {f"{kind.folder}/{name}" for kind in kinds for name in shipped(kind)}
    quick, everything = (list(predict(ReferenceDir(), run_all)) for run_all in (False, True))
    assert {row.id for row in quick} == {row.id for row in everything} == expected
    run_always = ("wafer", "accelerators", "duplex", "pim")
    assert all(row.remark == "True" for row in everything if row.kind not in run_always)
    accelerators = [row for row in quick if row.kind == "accelerators"]
    assert all(row.prediction == 1.0 and "cycles of prefill" in row.remark for row in accelerators)
    assert all(row.prediction == 1.0 and "tokens/s" in row.remark for row in quick if row.kind == "wafer")
    assert all(row.prediction == 1.0 and "logic" in row.remark for row in quick if row.kind == "duplex")
    assert all(row.prediction == 1.0 and "tokens/s" in row.remark for row in quick if row.kind == "pim")
    assert any(row.remark == "True" for row in quick if row.kind == "models")


def test_all_shipped_runs_load() -> None:
    assert all(outcome_of(name, [], run=False).works for name in shipped(RUN))


def test_a_shipped_network_runs_by_packets_and_by_flits() -> None:
    found = network_outcome("mesh-16x16-transpose-batch", run=True)
    assert found.works and found.remark.startswith("batch ran in ")


def test_a_network_that_does_not_fit_does_not_work(tmp_path: Path) -> None:
    (tmp_path / "n.yaml").write_text("schema: cairn.network/1\nname: n\ntopology: {kind: mesh, shape: [1]}\n")
    assert network_outcome(str(tmp_path / "n.yaml"), run=False).remark.startswith("Refused: ")


def test_the_demo_runs() -> None:
    outcome = outcome_of("demo", ["workload.context=16", "workload.batch=1"], run=True)
    assert outcome.works
    assert outcome.remark.startswith("Ran in ")


def test_a_model_that_does_not_fit_is_refused_with_its_remedy() -> None:
    outcome = outcome_of("demo", ["model=llama-2-7b"], run=True)
    assert outcome.works
    assert "more DRAM layers" in outcome.remark


def test_a_refusal_without_remedy_and_any_other_error_do_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    troubles: list[CairnError] = [InfeasibleError([Infeasibility("SRAM", 2, 1, "bytes", "")]), CairnError("deadlock")]

    def fail(config: RunConfig) -> RunRecord:
        raise troubles.pop()

    monkeypatch.setattr("cairn.sim.run.simulate", fail)
    assert not outcome_of("demo", [], run=True).works
    assert not outcome_of("demo", [], run=True).works


def test_a_file_that_is_not_there_does_not_work() -> None:
    assert not outcome_of("no-such-run", [], run=False).works
