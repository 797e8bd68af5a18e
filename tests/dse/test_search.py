"""Searches: known answers, the same points whoever evaluates them, dead workers, and the synthetic problem."""

from __future__ import annotations

import importlib.util
import statistics
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cairn.base.errors import CairnError, ConfigError
from cairn.dse.outcome import Outcome, broken_by_chip, judged
from cairn.dse.study import Ended, run_sweep
from cairn.dse.sweep import load_sweep
from cairn.dse.sweep_spec import Method
from tests.dse.toys import Formula, Twin, fields, toy_sweep, true_front, twin

ROOT = Path(__file__).resolve().parents[2]


def test_the_tiered_search_finds_exactly_the_true_front(tmp_path: Path) -> None:
    sweep = toy_sweep(tmp_path, points=150, extra="search: {method: tiered}\n")
    study = run_sweep(sweep, cheap=twin, evaluate=Formula(sweep))
    assert set(study.front["point"]) == true_front(sweep)
    assert study.ended is Ended.FOUND
    assert len(study.entries) < 100


def test_a_budget_as_large_as_the_space_evaluates_all_of_it(tmp_path: Path) -> None:
    sweep = toy_sweep(tmp_path, points=150)
    study = run_sweep(sweep, evaluate=Formula(sweep))
    assert study.method is Method.EXHAUSTIVE
    assert len(study.points) == sweep.space.size == 150
    assert set(study.front["point"]) == true_front(sweep)


def test_a_budget_as_large_as_the_designs_of_a_conditional_space_evaluates_all_of_them(tmp_path: Path) -> None:
    toy_sweep(tmp_path, points=70)
    text = (tmp_path / "toy.yaml").read_text(encoding="utf-8").replace(
        "  chip.dram.bandwidth_gb_per_s: [8, 16, 32, 64, 128]\n",
        "  chip.dram.bandwidth_gb_per_s: {choices: [8, 16, 32, 64, 128], when: {chip.sram.capacity_kib: [32, 64]}}\n",
    )  # fmt: skip
    file = tmp_path / "conditional.yaml"
    file.write_text(text, encoding="utf-8")
    sweep = load_sweep(file)
    assert (sweep.space.size, sweep.space.product) == (2 * 5 * 5 + 4 * 5, 150)

    def evaluate(number: int) -> Outcome:
        known = {"chip.dram.bandwidth_gb_per_s": 16} | sweep.space.settings(number)
        return judged(sweep, [fields(known)], 0.0)

    study = run_sweep(sweep, evaluate=evaluate)
    assert study.method is Method.EXHAUSTIVE
    assert len(study.points) == 70


def test_points_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    sweep = toy_sweep(tmp_path, points=24)
    one = run_sweep(sweep, cheap=twin, evaluate=Formula(sweep))
    two = run_sweep(sweep, jobs=2, cheap=twin, evaluate=Formula(sweep))
    assert [entry.number for entry in one.entries] == [entry.number for entry in two.entries]
    assert one.front["point"].tolist() == two.front["point"].tolist()


@pytest.mark.parametrize("method", ["random", "nsga2", "tpe"])
def test_every_method_repeats_itself_and_looks_at_no_point_twice(tmp_path: Path, method: str) -> None:
    sweep = toy_sweep(tmp_path, points=40, extra=f"search: {{method: {method}, population: 10}}\n")
    studies = [run_sweep(sweep, evaluate=Formula(sweep)) for _ in range(2)]
    numbers = [entry.number for entry in studies[0].entries]
    assert numbers == [entry.number for entry in studies[1].entries]
    assert len(set(numbers)) == len(numbers) == 40


def test_more_budget_continues_the_same_search(tmp_path: Path) -> None:
    sweep, place = toy_sweep(tmp_path, points=13), tmp_path / "study.journal"
    run_sweep(sweep, storage=place, cheap=twin, evaluate=Formula(sweep))
    longer = run_sweep(sweep, storage=place, resume=True, points=30, cheap=twin, evaluate=Formula(sweep))
    whole = run_sweep(sweep, points=30, cheap=twin, evaluate=Formula(sweep))
    assert [entry.number for entry in longer.entries] == [entry.number for entry in whole.entries]


def test_a_point_whose_worker_dies_is_tried_again(tmp_path: Path) -> None:
    sweep = toy_sweep(tmp_path, points=16)
    calm = run_sweep(sweep, cheap=twin, evaluate=Formula(sweep))
    number = calm.entries[3].number
    evaluate = Formula(sweep, log=tmp_path / "log", deadly=(number,))
    study = run_sweep(sweep, jobs=2, cheap=twin, evaluate=evaluate)
    assert [entry.outcome for entry in study.entries] == [entry.outcome for entry in calm.entries]
    assert (tmp_path / "log").read_text(encoding="ascii").split().count(str(number)) == 2


def test_a_point_that_kills_its_worker_twice_is_reported_as_failed(tmp_path: Path) -> None:
    sweep = toy_sweep(tmp_path, points=16)
    number = run_sweep(sweep, cheap=twin, evaluate=Formula(sweep)).entries[3].number
    study = run_sweep(sweep, jobs=2, cheap=twin, evaluate=Formula(sweep, deadly=(number,), always=True))
    row = study.points.set_index("point").loc[number]
    assert row["status"] == "failed"
    assert row["error"] == "its worker process ended with status 13, 2 times"
    assert study.counts["failed"] == 1
    assert len(study.points) == 16


def test_infeasible_points_are_in_the_table_with_their_reason(tmp_path: Path) -> None:
    sweep = toy_sweep(tmp_path, points=150)
    study = run_sweep(sweep, evaluate=Formula(sweep))
    refused = study.points[study.points["status"] == "infeasible"]
    assert len(refused) == len(study.refusals) > 0
    assert (refused["power_w"] > 40).all()
    worst = refused.iloc[0]
    assert worst["constraint"] == "power <= 40 W"
    assert worst["demand"] == worst["power_w"]
    assert worst["gap"] == pytest.approx(worst["demand"] - 40)
    assert (study.points[study.points["status"] == "feasible"]["power_w"] <= 40).all()


def test_the_corrected_cheap_tier_says_how_sure_it_is(tmp_path: Path) -> None:
    sweep = toy_sweep(tmp_path, points=40)
    study = run_sweep(sweep, cheap=twin, evaluate=Formula(sweep))
    table = study.analytical
    assert table is not None
    whole = run_sweep(sweep, points=150, evaluate=Formula(sweep))
    truth = {entry.number: entry.outcome.values[1] for entry in whole.entries}
    exact = table["point"].map(truth)
    inside = ((table["latency_ms_low"] <= exact) & (exact <= table["latency_ms_high"])).mean()
    assert inside > 0.6
    off = (np.abs(np.log(table["latency_ms"] / exact))).median()
    raw = np.median([abs(np.log(1 + Twin().error * np.sin(np.log2(s)))) for s in table["chip.sram.capacity_kib"]])
    assert off < raw / 3


def test_a_search_that_would_never_end_asks_for_a_budget(tmp_path: Path) -> None:
    file = tmp_path / "open.yaml"
    toy_sweep(tmp_path)
    text = (tmp_path / "toy.yaml").read_text(encoding="utf-8").replace("budget: {points: 60}\n", "")
    file.write_text(text + "search: {method: random}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        run_sweep(file)
    assert str(caught.value) == (
        "budget is missing: the space has 150 points and method random never ends by itself; "
        "name budget.points or budget.minutes (--points, --minutes)"
    )


def test_a_search_without_generations_evaluates_as_many_points(tmp_path: Path) -> None:
    sweep = toy_sweep(tmp_path, points=20, extra="search: {asynchronous: true}\n")
    study = run_sweep(sweep, jobs=2, cheap=twin, evaluate=Formula(sweep))
    assert len({entry.number for entry in study.entries}) == len(study.entries) == 20


def test_a_time_limit_is_kept(tmp_path: Path) -> None:
    sweep = toy_sweep(tmp_path, points=100)
    study = run_sweep(sweep, minutes=0.01, cheap=twin, evaluate=Formula(sweep, seconds=0.05))
    assert study.ended is Ended.TIME
    assert 0 < len(study.entries) < 40


def test_no_workers_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(CairnError, match="--jobs must be at least 1, got 0"):
        run_sweep(toy_sweep(tmp_path), jobs=0)


@pytest.fixture(scope="module")
def synthetic() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dse_synthetic", ROOT / "benchmarks" / "dse_synthetic.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dse_synthetic"] = module
    spec.loader.exec_module(module)
    return module


def test_the_tiered_search_beats_a_wrong_cheap_tier_on_the_synthetic_problem(synthetic: ModuleType) -> None:
    problem = synthetic.Synthetic(synthetic.space_of(synthetic.SMALLER))
    assert 0.2 < problem.feasible_share < 0.5
    tiered = [synthetic.shares(problem, "tiered", seed, (50, 100))[0] for seed in range(3)]
    assert statistics.median(each[0] for each in tiered) >= 0.85
    assert statistics.median(each[1] for each in tiered) >= 0.97
    random = [synthetic.shares(problem, "random", seed, (100,))[0][0] for seed in range(3)]
    assert statistics.median(random) < 0.7


def test_designs_that_their_chip_refuses_teach_the_search_nothing_wrong(tmp_path: Path) -> None:
    toy_sweep(tmp_path, points=150, extra="search: {method: tiered}\n")
    text = (tmp_path / "toy.yaml").read_text(encoding="utf-8")
    (tmp_path / "toy.yaml").write_text(text.replace("[power <= 40 W]", "[area <= 4 mm2]"), encoding="utf-8")
    sweep = load_sweep(tmp_path / "toy.yaml")

    def evaluate(number: int) -> Outcome:
        known = broken_by_chip(sweep, [fields(sweep.space.settings(number))])
        return known or Formula(sweep)(number)

    study = run_sweep(sweep, cheap=twin, evaluate=evaluate)
    assert set(study.front["point"]) == true_front(sweep)
    assert len(study.entries) < 100
