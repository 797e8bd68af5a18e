"""The shipped analysis examples run from top to bottom, and find what their text says."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from cairn.hw_models.pim.duplex import Unit

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


def run(name: str) -> dict[str, Any]:
    """The names that a notebook leaves behind."""
    return runpy.run_path(str(FOLDER / f"{name}.py"))


def test_every_example_is_run_by_a_test_here() -> None:
    names = {file.stem for file in FOLDER.glob("*.py")}
    assert names == {"read_a_result", "search_a_space", "check_against_references", "write_your_own_plan",
                     "how_deep_a_stack", "which_unit_for_few_bits", "which_operator_on_pim"}  # fmt: skip
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'run("{name}")' in text for name in names)


def test_a_result_is_read_and_its_sweep_shows_what_the_text_says(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("read_a_result")
    assert "attention" in capsys.readouterr().out
    sweep = names["sweep"]
    gain = sweep["latency_ms"].shift() / sweep["latency_ms"]
    assert (gain.dropna() > 1).all() and gain.dropna().is_monotonic_decreasing
    assert (sweep["efficiency"] <= 1).all() and sweep["efficiency"].is_monotonic_decreasing
    assert names["usage"]["dram"].between(0, 1).all()
    assert len(names["tasks"]) == len(names["result"].tasks)


def test_a_search_ends_with_a_front_that_keeps_the_constraint_and_a_run_for_each_point() -> None:
    names = run("search_a_space")
    front, study = names["front"], names["study"]
    assert len(study.entries) <= 12 < study.sweep.space.size
    assert len(front) >= 3
    assert (front["area_mm2"] <= 6).all()
    assert front["time_per_token_ms"].is_monotonic_decreasing
    assert {f"runs/point-{number}.yaml" for number in front["point"]} <= set(names["written"])
    assert {"report.html", "plots/front.png"} <= set(names["written"])


def test_references_are_met_and_the_gate_notices_a_wrong_prediction() -> None:
    names = run("check_against_references")
    assert names["result"].verdict == "pass"
    assert len(names["rows"]) == len(names["result"].rows) > 100
    assert names["verdict"] == "fail"
    assert {"parameters", "kv_bytes_per_token"} <= set(names["gates"]["gate"])


def test_a_plan_by_hand_has_numpys_result_and_ones_own_unit_and_server_change_its_time() -> None:
    names = run("write_your_own_plan")
    assert names["agree"]
    inputs = names["inputs"]
    assert abs(names["result"] - inputs["x"] @ inputs["w1"] @ inputs["w2"]).max() < 1e-9
    trace, sparse, piped = names["trace"], names["sparse"], names["piped"]
    first = trace.end[2] - trace.start[2]
    assert sparse.end[2] - sparse.start[2] < 0.25 * first
    assert sparse.makespan == trace.makespan - first + sparse.end[2] - sparse.start[2]
    bandwidth_gb_per_s = names["chip"].dram.bandwidth_gb_per_s
    assert names["loaded"] / bandwidth_gb_per_s * 1e3 < piped.makespan < trace.makespan


def test_bandwidth_has_a_peak_over_the_depth_and_its_terms_say_why() -> None:
    names = run("how_deep_a_stack")
    terms, deep, simulated = names["terms"], names["deep"], names["simulated"]
    for sram, limits in ((128, ("wires", "sram", "row_cycle")), (256, ("wires", "row_cycle"))):
        part = terms[terms["sram_kib"] == sram].reset_index(drop=True)
        peak = int(part["effective"].idxmax())
        assert 0 < peak < len(part) - 1
        assert part["effective"].iloc[: peak + 1].is_monotonic_increasing
        assert part["effective"].iloc[-1] < 0.75 * part["effective"].max()
        assert tuple(dict.fromkeys(part["limited_by"])) == limits
        assert (part["mm2"] <= 160).all()
    for sram, bound in ((256, "sram"), (512, "buffer")):
        part = deep[deep["sram_kib"] == sram].reset_index(drop=True)
        peak = int(part["effective"].idxmax())
        assert part["effective"].iloc[: peak + 1].is_monotonic_increasing
        assert part["effective"].iloc[peak:].is_monotonic_decreasing
        assert part["effective"].iloc[-1] < 0.95 * part["effective"].max()
        assert tuple(dict.fromkeys(part["limited_by"])) == ("wires", bound)
    assert simulated[2] < simulated[6] > simulated[12]


def test_look_up_units_meet_multipliers_at_the_published_bits_and_the_rings_stand_there() -> None:
    names = run("which_unit_for_few_bits")
    crossovers, figures = names["crossovers"].set_index(["activation", "unit"]), names["figures"]
    assert crossovers.loc["int8", "lut"]["area"] == crossovers.loc["fp16", "lut"]["area"] == 6
    assert crossovers.loc["fp16", "add"]["area"] == crossovers.loc["fp16", "conventional-lut"]["area"] == 2
    for activation, unit in crossovers.index:
        mac, mine = (names["curve"](activation, name, "um2_per_mac") for name in ("mac", unit))
        ring, last = names["crossing"](mine, mac), crossovers.loc[activation, unit]["area"]
        assert (ring is None) == (last in (0, 8))
        assert ring is None or (last <= ring[0] <= last + 1 and ring[1] == pytest.approx(mac[0]))
    assert (figures["tops_per_mm2"] * figures["um2_per_mac"]).max() == pytest.approx(2 * 1.41 * 1e3)
    assert (figures["prefill_tops"] <= figures["tops_per_mm2"] * 1.0001).all()
    half, whole = (names["curve"]("fp16", name, "um2_per_mac") for name in ("lut-int8", "lut"))
    assert (half < whole).tolist() == [False, False] + 6 * [True]
    macs = figures[figures["unit"] == "mac"]
    assert (macs["decode_tops"] < macs["prefill_tops"] / 7).all(), "one row of eight at work"
    assert "energy x 0.13" in names["caption"]
    for sheet in (names["costs"], names["rates"]):
        assert all(axis.get_yscale() == "log" and axis.get_legend() is None for axis in sheet.axes)


def test_each_operator_where_it_is_done_first_is_no_slower_than_either_side_and_the_crossings_are_drawn() -> None:
    names = run("which_operator_on_pim")
    steps = names["steps"].set_index(["model", "unit", "batch"])
    assert len(steps) == 5 * 2 * 3
    assert (steps["fastest"] <= steps[["cores", "pim", "ops_per_byte"]].min(axis=1)).all()
    divided = steps.dropna(subset="divided")
    assert len(divided) == 3 * 2 * 3 and (divided["divided"] <= divided["fastest"] * (1 + 1e-9)).all()
    assert steps.loc[("mixtral-8x7b", "logic", 128), "gain"] > 1.4, "experts divided between both sides"
    opt, llama, mixtral = (steps["fastest"].xs(name) for name in ("opt-66b", "llama-3-70b", "mixtral-8x7b"))
    assert (opt["bank"] < opt["logic"]).all() and (llama["logic"] < llama["bank"]).all()
    assert mixtral["bank"][8] < mixtral["logic"][8] and mixtral["logic"][32] < mixtral["bank"][32]
    meetings = names["meetings"].set_index(["work", "below", "above"])["ops_per_byte"]
    assert meetings["weights", "bank", "logic"] == pytest.approx(6, abs=0.5)
    assert meetings["weights", "logic", "cores"] == pytest.approx(41, abs=0.5)
    assert meetings["keys", "bank", "logic"] == pytest.approx(4, abs=0.1)
    at_four = names["at_four"]
    assert 3 * at_four[Unit.CORES] < at_four[Unit.BANK] < at_four[Unit.LOGIC]
    texts = {text.get_text() for axes in names["picture"].axes for text in axes.texts}
    assert {"6.19", "20.3", "40.8", "3.97", "13.1", "40.2"} <= texts
