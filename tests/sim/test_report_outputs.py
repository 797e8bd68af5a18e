"""What a run leaves for people and tools: console report, result folder, timeline, plots."""

from __future__ import annotations

import gzip
import json
import os
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cairn.base.errors import CairnError
from cairn.sim.report import store
from cairn.sim.report.console import print_report
from cairn.sim.report.plots import plot_operators
from cairn.sim.report.result import Result
from cairn.sim.report.roofline import plot_roofline, roofline_points
from cairn.sim.report.series import utilisation_series
from cairn.sim.report.summed import summed_operators
from cairn.sim.report.timeline import lanes, spread_cores, timeline
from cairn.sim.report.units import si, si_of, si_time
from tests.sim.report_records import small_record


@pytest.fixture(scope="module")
def result() -> Result:
    return Result(small_record())


# -- console ------------------------------------------------------------------------------------------------------


def printed(result: Result, top: int = 14) -> str:
    console = Console(width=100, highlight=False, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    print_report(result, console, top)
    console.file.close()
    return console.export_text()


def test_the_report_fits_100_columns_without_a_cut_word(result: Result) -> None:
    text = printed(result)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100
    assert "…" not in text


def test_the_report_states_headline_limits_causes_repetition_and_provenance(result: Result) -> None:
    text = printed(result)
    for wanted in (
        "tokens/s", "/token", "limited by", "unique", "reread", "share", "layer: 3 of 40 simulated", "tolerance 1.00%",
        "cairn 0.1.0, run 0123456789ab, seed 7, fidelity cycle, 258 tasks, 1.5 s", "W/mm2, within 0.7",
    ):  # fmt: skip
        assert wanted in text


def test_operators_beyond_the_top_share_one_line_and_the_total_counts_all(result: Result) -> None:
    text = printed(result, top=2)
    assert "2 more" in text
    total = next(line for line in text.splitlines() if line.strip().startswith("total"))
    assert si_time(result.latency_s) in total


def test_operators_of_the_same_name_are_summed_over_kinds_of_block(result: Result) -> None:
    table = result.operators
    twice = pd.concat([table, table.assign(block="other", limiting="noc")], ignore_index=True)
    summed = summed_operators(twice)
    assert summed["operator"].tolist() == table["operator"].tolist()
    assert np.allclose(summed["time_us"], 2 * table["time_us"])
    assert summed["limiting"].iloc[1] in ("dram/noc", "noc/dram")


def test_numbers_carry_three_digits_and_a_decimal_prefix() -> None:
    assert [si(value, "B") for value in (0, 1, 999.6, 1234, 45.6e9)] == ["-", "1.00 B", "1.00 kB", "1.23 kB", "45.6 GB"]
    assert si_of(178.2e9, 188e9, "B/s") == "178 of 188 GB/s (95%)"
    assert si_time(0.0321) == "32.1 ms"


# -- folder -------------------------------------------------------------------------------------------------------


def test_a_result_folder_holds_json_tables_plots_and_the_timeline(result: Result, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "made" / "run", trace=True)
    assert sorted(path.name for path in folder.iterdir()) == [
        "operators.parquet", "operators.png", "result.json", "roofline.png", "tasks.parquet", "timeline.json.gz",
        "units.parquet", "utilisation.png",
    ]  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    content = json.loads((folder / "result.json").read_text())
    assert content["latency_s"] == result.latency_s
    assert content["config"] == {"name": "hand-made run"}
    for table in ("operators", "tasks", "units"):
        file = folder / f"{table}.parquet"
        assert pq.read_schema(file).metadata[b"cairn.schema"] == f"cairn.{table}/1".encode()
        pd.testing.assert_frame_equal(pd.read_parquet(file), getattr(result, table), check_categorical=False)
    assert json.loads(gzip.decompress((folder / "timeline.json.gz").read_bytes()))["traceEvents"]


def test_an_earlier_result_is_replaced_as_a_whole(result: Result, tmp_path: Path) -> None:
    folder = store.save(result, tmp_path / "run", trace=True, plots=False)
    store.save(result, folder, plots=False)
    assert not (folder / "timeline.json.gz").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_is_no_earlier_result_is_refused_and_left_alone(result: Result, tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "result.json").write_text('{"schema": "other/1"}')
    with pytest.raises(CairnError, match="no earlier result; it is left alone"):
        result.save(folder)
    assert [path.name for path in folder.iterdir()] == ["result.json"]
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(CairnError, match="is a file"):
        result.save(file)
    with pytest.raises(CairnError, match="cannot write there"):
        result.save(file / "below")


def test_an_empty_folder_is_used(result: Result, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert store.is_result(store.save(result, tmp_path / "run", plots=False))


@pytest.mark.parametrize("stage", ["write_table", "_put"])
def test_an_interrupt_leaves_the_earlier_result_and_nothing_else(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    folder = store.save(result, tmp_path / "run", plots=False)
    before = (folder / "result.json").read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, stage, interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.save(result, folder, plots=False)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (folder / "result.json").read_bytes() == before
    assert len(list(folder.iterdir())) == 4


def test_a_failed_rename_puts_the_earlier_result_back(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.save(result, tmp_path / "run", plots=False)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if target == folder and self.name != "old":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(KeyboardInterrupt):
        store.save(result, folder, plots=False)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert store.is_result(folder)


# -- timeline -----------------------------------------------------------------------------------------------------


def events(content: dict[str, Any], phase: str) -> list[dict[str, Any]]:
    return [event for event in content["traceEvents"] if event["ph"] == phase]


def test_every_shown_task_is_one_complete_event_with_time_in_microseconds(result: Result) -> None:
    record = result.record
    content = timeline(result)
    by_task = {event["args"]["task"]: event for event in events(content, "X")}
    assert len(by_task) == content["otherData"]["tasks_shown"] == len(events(content, "X"))
    assert set(by_task) == set(
        np.flatnonzero((record.plan.queue >= 0) | (record.trace.end > record.trace.start)).tolist()
    )
    for task, event in by_task.items():
        assert event["ts"] == pytest.approx(record.trace.start[task] / 1e6, abs=5.1e-4)
        assert event["dur"] == pytest.approx((record.trace.end[task] - record.trace.start[task]) / 1e6, abs=1.1e-3)
        assert event["dur"] >= 0


def test_events_of_a_thread_never_cross(result: Result) -> None:
    threads = defaultdict(list)
    for event in events(timeline(result), "X"):
        threads[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for spans in threads.values():
        spans.sort()
        assert all(later[0] >= earlier[1] - 1e-9 for earlier, later in pairwise(spans))


def test_processes_and_threads_are_named_and_events_refer_to_them(result: Result) -> None:
    content = timeline(result)
    named = [event for event in events(content, "M") if event["name"] in ("process_name", "thread_name")]
    processes = {event["pid"]: event["args"]["name"] for event in named if event["name"] == "process_name"}
    threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in named if e["name"] == "thread_name"}
    assert set(processes.values()) == {"chip", "core 0", "core 1", "core 2", "core 3"}
    assert {"matrix", "vector", "load", "load 2", "noc", "synchronisation"} <= set(threads.values())
    for event in events(content, "X"):
        assert event["pid"] in processes
        assert (event["pid"], event["tid"]) in threads


def test_tiles_and_copies_say_what_they_work_on(result: Result) -> None:
    shown = events(timeline(result), "X")
    matmul = next(event for event in shown if event["cat"] == "matmul")
    assert matmul["name"] == "up"
    assert matmul["args"]["m"] == "0..32"
    load = next(event for event in shown if event["cat"] == "unique")
    assert load["args"]["from"].startswith("DRAM channel")
    assert load["args"]["bytes"] > 0


def test_counters_rise_and_stay_within_the_peak(result: Result) -> None:
    counters = defaultdict(list)
    for event in events(timeline(result), "C"):
        counters[event["name"]].append((event["ts"], *event["args"].values()))
    assert set(counters) == {"DRAM bandwidth", "matrix unit busy", "vector unit busy", "NoC busy"}
    peak = result.peaks.dram_bytes_per_s / 1e9
    for name, values in counters.items():
        times = [time for time, _ in values]
        assert times == sorted(times)
        assert max(value for _, value in values) <= (peak if name == "DRAM bandwidth" else 100) + 1e-3
        assert values[-1][1] == 0


def test_what_is_left_out_is_said(result: Result) -> None:
    content = timeline(result, cores=2, blocks=[1])
    other = content["otherData"]
    assert other["cores_shown"] == [0, 3]
    assert other["block_instances_shown"] == [1]
    assert other["tasks_shown"] < other["tasks_simulated"] == 258
    assert {event["args"]["block"] for event in events(content, "X")} == {"layer[1]"}


def test_a_large_run_shows_the_block_that_stands_for_most_and_its_predecessor(
    result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.sim.report.timeline.EVENTS", 100)
    assert timeline(result)["otherData"]["block_instances_shown"] == [0, 1]


def test_cores_are_spread_over_the_chip_and_at_least_one_is_asked_for() -> None:
    assert spread_cores(range(256), 8) == [0, 36, 73, 109, 146, 182, 219, 255]
    assert spread_cores([3, 3, 5], 8) == [3, 5]
    with pytest.raises(ValueError, match="at least one core"):
        spread_cores([0], 0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=40))
def test_lanes_are_as_few_as_the_tasks_in_flight(intervals: list[tuple[int, int]]) -> None:
    spans = sorted((begin, begin + length) for begin, length in intervals)
    lane = lanes([begin for begin, _ in spans], [end for _, end in spans])
    for number in range(max(lane) + 1):
        mine = [span for span, where in zip(spans, lane, strict=True) if where == number]
        assert all(later[0] >= earlier[1] for earlier, later in pairwise(mine))
    at_once = max(sum(begin <= tick < end for begin, end in spans) for tick in range(71))
    assert max(lane) + 1 == max(at_once, 1)


# -- plots --------------------------------------------------------------------------------------------------------


def test_plots_are_written_as_pictures(result: Result, tmp_path: Path) -> None:
    for name in ("operators", "roofline", "utilisation"):
        path = tmp_path / f"{name}.png"
        figure = getattr(result, f"plot_{name}")(path)
        picture = matplotlib.image.imread(path)
        assert picture.shape[1] == pytest.approx(figure.get_figwidth() * 150, abs=2)
        assert picture.std() > 0.05


def test_bars_end_where_the_times_do(result: Result) -> None:
    axes = plot_operators(result).axes[0]
    widths = [patch.get_width() for patch in axes.patches]
    assert sum(widths) == pytest.approx(result.latency_s * 1e3)
    assert [label.get_text() for label in axes.get_yticklabels()] == result.operators["operator"].tolist()


def test_the_roofline_has_every_operator_and_labels_that_do_not_overlap(result: Result) -> None:
    points = roofline_points(result)
    assert set(points["operator"]) == {"norm", "up", "down", "lm_head"}
    assert np.isinf(points.set_index("operator").loc["norm", "ops_per_byte"])
    figure = plot_roofline(result)
    figure.canvas.draw()
    boxes = {
        text.get_text(): text.get_window_extent()
        for text in figure.axes[0].texts
        if text.get_text() in set(points["operator"])
    }
    assert set(boxes) == {"norm", "up", "down", "lm_head"}
    listed = list(boxes.values())
    for index, box in enumerate(listed):
        assert not any(box.overlaps(other) for other in listed[index + 1 :])


def test_utilisation_over_time_keeps_the_bytes_and_stays_below_one(result: Result) -> None:
    series = utilisation_series(result, 50)
    assert all(share.max() <= 1 + 1e-9 for share in series.share.values())
    seconds = np.diff(series.edges_us) * 1e-6
    moved = float((series.share["dram"] * seconds).sum()) * result.peaks.dram_bytes_per_s
    assert moved == pytest.approx(7 * 1024 * 4096 * 2, rel=0.01)  # 3 layers of two products, and the head
    assert series.block_names == ["layer[0]", "layer[1]", "layer[2]", "head"]


def test_a_run_of_many_operators_still_makes_a_readable_bar_plot(result: Result) -> None:
    many = Result(replace(result.record))
    table = pd.concat([result.operators.assign(operator=f"op{i}") for i in range(10)], ignore_index=True)
    many.__dict__["operators"] = table.assign(operator=[f"op{i}" for i in range(len(table))])
    labels = [label.get_text() for label in plot_operators(many).axes[0].get_yticklabels()]
    assert len(labels) == 19
    assert labels[-1] == "22 others"
