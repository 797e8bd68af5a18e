"""Pictures and shares of a study: what they count, and that they say so where there is nothing to draw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cairn.dse.answers import write_answers
from cairn.dse.importance import importance
from cairn.dse.outcome import Status
from cairn.dse.study import Study, run_sweep
from cairn.dse.views import View, nothing_to_draw, short_names, value_text
from cairn.sim.config.run_config import load
from tests.dse.toys import Formula, toy_sweep, twin

PLOTS = ("front", "importance", "parallel", "slices", "refusals")


@pytest.fixture(scope="module")
def tiered(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """24 designs simulated, the others known by a cheap tier."""
    sweep = toy_sweep(tmp_path_factory.mktemp("tiered"), points=24)
    return run_sweep(sweep, cheap=twin, evaluate=Formula(sweep))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """All 150 designs simulated."""
    sweep = toy_sweep(tmp_path_factory.mktemp("whole"), points=150)
    return run_sweep(sweep, evaluate=Formula(sweep))


def with_feasible(study: Study, count: int) -> Study:
    """The study, but for all feasible points after the first `count` being refused."""
    refusal = {"constraint": "power <= 40 W", "demand": 50.0, "bound": 40.0, "gap": 10.0, "unit": "W", "remedy": "less"}
    entries, left = [], count
    for entry in study.entries:
        if entry.outcome.status is Status.FEASIBLE:
            left -= 1
            if left < 0:
                outcome = replace(entry.outcome, status=Status.INFEASIBLE, refusals=(refusal,))
                entry = replace(entry, outcome=outcome)
        entries.append(entry)
    return Study(study.sweep, study.problem, tuple(entries), study.method, study.ended, study.seconds)


def texts(figure: Figure) -> str:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
    return "\n".join(found)


def test_points_are_sorted_into_groups_that_together_are_all_of_them(whole: Study) -> None:
    view = View.of(whole)
    assert len(view.front) + len(view.dominated) + len(view.broken) + view.unseen == 150
    assert (view.broken["power_w"] > 40).all() and len(view.broken) > 0
    assert set(view.front["point"]) == set(whole.front["point"])
    assert not len(view.cloud)


def test_the_cloud_holds_likely_designs_that_were_not_simulated(tiered: Study) -> None:
    cloud = View.of(tiered).cloud
    assert len(cloud) > 50
    assert not set(cloud["point"]) & {entry.number for entry in tiered.entries}
    assert (cloud["feasible_chance"] >= 0.5).all()
    assert cloud["within_percent"].is_monotonic_increasing


def test_the_front_plot_shows_every_point_of_the_front_and_bars_of_the_cloud(tiered: Study) -> None:
    axes = tiered.plot_front().axes[0]
    offsets = [np.asarray(each.get_offsets()) for each in axes.collections if hasattr(each, "get_offsets")]
    drawn = np.vstack([each for each in offsets if len(each)])
    for _, row in tiered.front.iterrows():
        assert (drawn == [row["area_mm2"], row["latency_ms"]]).all(axis=1).any()
    assert [len(container[0].get_xdata()) for container in axes.containers] == [min(60, len(View.of(tiered).cloud))]
    assert axes.get_xlabel() == "area (mm²)"
    assert axes.get_ylabel() == "latency (ms)"


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize("feasible", [0, 1])
def test_plots_of_one_feasible_point_or_none_are_drawn_or_say_why_not(
    whole: Study, tmp_path: Path, name: str, feasible: int
) -> None:
    study = with_feasible(whole, feasible)
    figure = getattr(study, f"plot_{name}")(tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.width > 600
    said = "None of the 150 designs evaluated is feasible (150 infeasible, 0 failed)"
    assert (said in texts(figure)) == (feasible == 0 and name in ("front", "parallel", "slices"))


def test_a_study_of_nothing_says_so(whole: Study) -> None:
    empty = Study(whole.sweep, whole.problem, (), whole.method, whole.ended, 0.0)
    assert nothing_to_draw(empty) == "No design was evaluated, so there is nothing to draw."
    for name in PLOTS:
        assert texts(getattr(empty, f"plot_{name}")())


def test_refusals_count_designs_by_constraint(whole: Study) -> None:
    figure = whole.plot_refusals()
    (bars,) = [container for container in figure.axes[0].containers if len(container)]
    assert [bar.get_width() for bar in bars] == [whole.counts["infeasible"]]


def test_importance_of_a_complete_grid_is_the_share_of_the_main_effect(whole: Study) -> None:
    found = importance(whole)
    assert (found.designs, found.analytical) == (150, False)
    ranks = whole.points["area_mm2"].rank()
    for name in whole.sweep.space.names:
        between = ranks.groupby(whole.points[name]).transform("mean").var(ddof=0) / ranks.var(ddof=0)
        assert found.shares.loc[name, "area_mm2"] == pytest.approx(between, abs=0.03)
    assert found.explained["area_mm2"] == pytest.approx(found.shares["area_mm2"].sum(), abs=0.02)
    assert (found.shares.to_numpy() >= 0).all()


def test_a_parameter_without_effect_has_no_importance(whole: Study) -> None:
    generator = np.random.default_rng(1)
    shuffled = generator.permutation(len(whole.entries))
    entries = tuple(
        replace(entry, outcome=replace(entry.outcome, values=(entry.outcome.values[0], float(shuffled[i] + 1))))
        for i, entry in enumerate(whole.entries)
    )
    found = importance(Study(whole.sweep, whole.problem, entries, whole.method, whole.ended, 0.0))
    assert found.explained["latency_ms"] < 0.1
    assert found.explained["area_mm2"] > 0.9


def test_importance_of_too_few_designs_is_not_told(tiered: Study) -> None:
    few = Study(tiered.sweep, tiered.problem, tiered.entries[:8], tiered.method, tiered.ended, 0.0)
    assert importance(few).shares.empty
    assert f"8 designs have values; {importance(few).needed} are needed" in texts(few.plot_importance())


def test_short_names_tell_parameters_apart() -> None:
    names = ("chip.dram.clock_ghz", "chip.clock_ghz", "cores")
    assert short_names(names) == {
        "chip.dram.clock_ghz": "dram.clock_ghz", "chip.clock_ghz": "chip.clock_ghz", "cores": "cores",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (24576.0, "24,576"), (0.123456, "0.1235"), (True, "True"), ("spmd", "spmd"), (np.nan, ""), (None, "")],
)
def test_values_are_written_in_few_characters(value: object, text: str) -> None:
    assert value_text(value) == text


def test_answers_are_written_whole_and_runs_of_the_front_can_be_run(tiered: Study, tmp_path: Path) -> None:
    folder = write_answers(tiered, tmp_path / "out")
    assert sorted(file.name for file in (folder / "plots").iterdir()) == sorted(f"{name}.png" for name in PLOTS)
    assert len(pd.read_csv(folder / "front.csv")) == len(tiered.front)
    for number in tiered.front["point"]:
        config = load(str(folder / "runs" / f"point-{number}.yaml"))
        settings = tiered.sweep.space.settings(int(number))
        assert config.chip.sram.capacity_kib == settings["chip.sram.capacity_kib"]
    assert not list(folder.rglob(".*"))
