"""Inner parameters: every choice is tried for every design, and the best by the first objective is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cairn.base.errors import ConfigError
from cairn.dse.answers import write_answers
from cairn.dse.inner import best_choice, best_table, choices
from cairn.dse.outcome import Outcome, Status, judged
from cairn.dse.problem import CheapTable
from cairn.dse.storage import open_storage
from cairn.dse.study import run_sweep
from cairn.dse.sweep import Sweep, load_sweep
from cairn.sim.config.run_config import load
from tests.dse.toys import fields, toy_sweep

INNER = "  mapping.paradigm: {choices: [compute_shift, spmd], inner: true}\n"
TILES = "  mapping.tile_kib: {choices: [64, 128], inner: true}\n"


def inner_sweep(folder: Path, inner: str = INNER + TILES, extra: str = "") -> Sweep:
    """The toy sweep with inner parameters, the latency first."""
    toy_sweep(folder, points=150)
    file = folder / "toy.yaml"
    text = file.read_text(encoding="utf-8").replace("objectives: [area, latency]", "objectives: [latency, area]")
    file.write_text(text.replace("objectives:", inner + "objectives:") + extra, encoding="utf-8")
    return load_sweep(file)


@dataclass(frozen=True)
class Mapped:
    """The toy formula times a factor that depends on design and inner choice: no mapping is best everywhere."""

    sweep: Sweep

    def factors(self, number: int) -> list[float]:
        return [1.0 + 0.1 * ((number + 3 * choice) % 4) for choice in choices(self.sweep)]

    def __call__(self, number: int) -> Outcome:
        plain = fields(self.sweep.space.settings(number))
        outcomes = []
        for factor in self.factors(number):
            known = plain | {"latency_s": plain["latency_s"] * factor}
            outcomes.append(judged(self.sweep, [known], 1.0))
        return best_choice(self.sweep, outcomes)


def test_the_search_sees_the_parameters_that_are_not_inner(tmp_path: Path) -> None:
    sweep = inner_sweep(tmp_path)
    assert sweep.space.size == 150
    assert sweep.inner.size == 4
    assert sweep.parameter_names == (*sweep.space.names, "mapping.paradigm", "mapping.tile_kib")
    assert choices(sweep) == [0, 1, 2, 3]


def test_each_design_is_worth_what_its_best_choice_is_worth_and_tells_which(tmp_path: Path) -> None:
    sweep = inner_sweep(tmp_path)
    evaluate = Mapped(sweep)
    study = run_sweep(sweep, evaluate=evaluate, points=150)
    assert len(study.points) == 150
    assert study.points["mapping.tile_kib"].nunique() == 2
    for _, row in study.points.iterrows():
        number = int(row["point"])
        factors = evaluate.factors(number)
        latency_ms = 1e3 * fields(sweep.space.settings(number))["latency_s"] * min(factors)
        assert row["latency_ms"] == pytest.approx(latency_ms)
        assert sweep.inner.labels(int(np.argmin(factors)))["mapping.paradigm"] == row["mapping.paradigm"]
    assert (study.points["seconds"] == 4).all()


def test_the_run_of_a_point_and_its_storage_keep_the_choice(tmp_path: Path) -> None:
    sweep = inner_sweep(tmp_path)
    run_sweep(sweep, evaluate=Mapped(sweep), storage=tmp_path / "study.journal", points=30)
    stored = open_storage(sweep, tmp_path / "study.journal", resume=True)
    kept = {number: entry.outcome.choice for number, entry in stored.entries().items()}
    stored.close()
    study = run_sweep(sweep, evaluate=Mapped(sweep), storage=tmp_path / "study.journal", resume=True, points=30)
    assert kept == {entry.number: entry.outcome.choice for entry in study.entries}
    assert len(set(kept.values())) > 1
    folder = write_answers(study, tmp_path / "out")
    assert len(study.front)
    for _, row in study.front.iterrows():
        config = load(str(folder / "runs" / f"point-{row['point']}.yaml"))
        assert (config.mapping.paradigm, config.mapping.tile_kib) == (row["mapping.paradigm"], row["mapping.tile_kib"])


def test_a_choice_that_meets_the_constraints_goes_before_a_faster_one_that_does_not(tmp_path: Path) -> None:
    sweep = inner_sweep(tmp_path, INNER)
    fast = Outcome(Status.INFEASIBLE, (1.0, 2.0), (0.5,), refusals=({"constraint": "power <= 40 W"},))
    slow = Outcome(Status.FEASIBLE, (3.0, 2.0), (-0.1,))
    assert best_choice(sweep, [fast, slow]).choice == 1
    worse = Outcome(Status.INFEASIBLE, (0.5, 2.0), (0.9,))
    assert best_choice(sweep, [worse, fast]).choice == 1
    nothing = Outcome(Status.FAILED, (np.nan, np.nan), (np.nan,), error="broken")
    assert best_choice(sweep, [nothing, fast]).choice == 1
    assert best_choice(sweep, [nothing, nothing]).error == "broken"


def test_the_cheap_tier_takes_the_best_choice_of_each_design(tmp_path: Path) -> None:
    sweep = inner_sweep(tmp_path, INNER)
    excess = np.array([[-1.0], [-1], [1], [-1]])
    one = CheapTable(np.array([[1.0, 9], [5, 9], [1, 9], [1, 9]]), excess, np.ones(4, bool))
    runs = np.array([True, True, True, False])
    two = CheapTable(np.array([[2.0, 8], [4, 8], [3, 8], [0, 8]]), np.full((4, 1), -1.0), runs)
    best = best_table(sweep, [one, two])
    assert best.values[:, 0].tolist() == [1, 4, 3, 1]
    assert best.excess[:, 0].tolist() == [-1, -1, -1, -1]
    assert best.runs.all()


def test_the_simulator_finds_the_mapping_that_single_runs_find(tmp_path: Path) -> None:
    import cairn

    text = (
        "schema: cairn.sweep/1\nname: one\nrun: demo\nset: {workload.context: 64, model.layers: 2}\n"
        "parameters:\n  workload.batch: [2]\n" + INNER + "objectives: [latency]\nbudget: {points: 1}\n"
    )
    (tmp_path / "one.yaml").write_text(text, encoding="utf-8")
    study = run_sweep(tmp_path / "one.yaml")
    settings = ["workload.context=64", "model.layers=2", "workload.batch=2"]
    single = {
        paradigm: 1e3 * cairn.simulate("demo", [*settings, f"mapping.paradigm={paradigm}"]).latency_s
        for paradigm in ("compute_shift", "spmd")
    }
    row = study.points.iloc[0]
    assert row["latency_ms"] == pytest.approx(min(single.values()), rel=1e-12)
    assert single[row["mapping.paradigm"]] == min(single.values()) < max(single.values())


MISTAKES = {
    "are all inner; one at least must be searched": (
        "parameters:\n  workload.batch: {choices: [1, 2], inner: true}\nobjectives: [area]\n"
    ),
    "inner ones have 1,000 combinations for every design, more than 256": (
        "parameters:\n  workload.batch: [1]\n"
        "  mapping.tile_kib: {range: {from: 1, to: 1000, step: 1}, inner: true}\nobjectives: [area]\n"
    ),
    "joins an inner parameter to one that is searched; both must be one or the other": (
        "parameters:\n  workload.batch: [1, 2]\n"
        "  mapping.tile_kib: {choices: [64, 128], inner: true, when: {workload.batch: [1]}}\nobjectives: [area]\n"
    ),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_inner_parameters_that_make_no_sense_are_refused(tmp_path: Path, message: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("schema: cairn.sweep/1\nname: mine\nrun: demo\n" + MISTAKES[message], encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_sweep(file)
    assert str(caught.value).endswith(message)
