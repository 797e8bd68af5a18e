"""The suite `stack`: its gates hold for shipped chips, and fail where a chip, a model or a placement is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cairn.base.errors import CairnError, ConfigError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.effective import EffectiveBandwidth, effective_bandwidth
from cairn.sim.config.run_config import load
from cairn.validation.gates import Verdict, judge
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suite import load_suite
from cairn.validation.suites.stack import depth, placement, streams
from cairn.validation.suites.stack.channel import Tiles, in_words, stream


def verdicts(rows: Sequence[Row]) -> dict[str, tuple[Verdict, int]]:
    """Verdict and number of rows of every gate that rows count for."""
    results = [judge(gate, rows) for gate in load_suite("stack").sheet.gates]
    return {result.gate.name: (result.verdict, result.rows) for result in results if result.rows}


def chip(name: str, *settings: str) -> ChipSpec:
    return load("demo", [f"chip={name}", *(f"chip.{setting}" for setting in settings)]).chip


def test_a_stream_reaches_the_bus_net_of_refresh_on_every_chip_where_activation_can_hide() -> None:
    rows = list(streams.rows())
    assert verdicts(rows)["bus_limit"] == (Verdict.PASS, 12)
    by_id = {row.id: row for row in rows}
    assert by_id["stream/voxel-code/none"].baselines["voxel_estimator"] == pytest.approx(0.761, abs=0.001)
    assert by_id["stream/voxel-paper/none"].baselines["voxel_estimator"] == pytest.approx(0.788, abs=0.001)
    assert by_id["stream/hbm3-cube/all_bank"].remark.startswith("lost to refresh")
    slow = by_id["stream/voxel-paper-stack/none"]
    assert slow.remark.startswith("lost to queue") and slow.remark.endswith("queue window")
    assert slow.prediction is not None and slow.prediction < 0.7


@pytest.mark.parametrize(
    ("setting", "cause"), [("dram.banks_per_channel=1", "row_cycle"), ("dram.queue_requests=2", "queue")]
)
def test_a_stream_that_cannot_hide_its_activates_fails_and_says_why(setting: str, cause: str) -> None:
    row = streams.stream_row(chip("voxel-code", setting), hides=True)
    assert verdicts([row])["bus_limit"] == (Verdict.FAIL, 1)
    assert row.remark.startswith(f"lost to {cause}")


def test_refreshes_that_the_limit_leaves_out_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "bus_limit", lambda chip: 1.0)
    row = streams.stream_row(chip("hbm3-cube"), hides=True)
    assert verdicts([row])["bus_limit"] == (Verdict.FAIL, 1)


def test_the_limit_of_the_bus_is_the_time_between_refreshes() -> None:
    code = chip("voxel-code", "dram.refresh=all_bank")
    burst = 128 / (12288 * 2**30 / 256) * 1.5e9
    assert streams.bus_limit(code) == pytest.approx(1 - (6 + 14 + 350 + 14 - burst) / 12480, rel=1e-9)
    assert streams.bus_limit(chip("voxel-code")) == 1


def test_a_stream_is_as_many_bytes_as_asked_and_no_faster_than_the_bus() -> None:
    found = stream(chip("voxel-code"), Tiles(8, 128 * 1024, sets=4, in_flight=4))
    assert found.gb_per_s < 12288 * 2**30 / 1e9 / 256
    assert sum(found.shares.values()) == pytest.approx(1)
    with pytest.raises(CairnError, match="a channel of voxel-code refuses"):
        stream(chip("voxel-code"), Tiles(1, 0))
    assert in_words({"data_bus": 1.0, "queue": 0.0}) == "no cause takes 0.1 %"


def step(ms: float, rows: float) -> placement.Step:
    return placement.Step(ms, 1.0, 1.0, {"data_bus": 1 - rows, "row_cycle": rows})


def placed(monkeypatch: pytest.MonkeyPatch, uniform_ms: float) -> dict[str, Row]:
    """Rows of decode steps that take 1 ms, uniform ones `uniform_ms`."""

    def decode(gib_per_s: int, banks: str, model: str = "controller") -> placement.Step:
        return step(uniform_ms, 0.05) if banks == "uniform" else step(1.0, 0.01)

    monkeypatch.setattr(placement, "decode", decode)
    return {row.id: row for row in placement.rows(ReferenceDir())}


def test_software_aware_banks_that_are_slower_than_uniform_ones_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdicts([*placed(monkeypatch, 0.995).values()])["software_aware_first"] == (Verdict.PASS, 6)
    assert verdicts([*placed(monkeypatch, 0.98).values()])["software_aware_first"] == (Verdict.FAIL, 6)


def test_beside_each_placement_stand_voxels_run_and_what_its_paper_says(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = placed(monkeypatch, 1.1)
    assert rows["decode/16000_gib_s/uniform"].baselines == {"voxel_estimator": 1.1, "voxel": 10.3898}
    assert "voxel" not in rows["decode/24000_gib_s/uniform"].baselines
    lost, removed = rows["rows/16000_gib_s/uniform"], rows["rows/16000_gib_s/removed"]
    assert (lost.reference, lost.prediction) == (0.4335, 0.05)
    assert lost.baselines["voxel"] == pytest.approx(0.394, abs=0.001)
    assert (removed.reference, removed.prediction) == (pytest.approx(0.8068), pytest.approx(0.8))


def test_uniform_banks_open_more_rows_and_the_estimator_takes_as_long_for_any_placement() -> None:
    aware, uniform = placement.decode(12288, "software_aware"), placement.decode(12288, "uniform")
    assert aware.activates < 1.05 < 1.15 < uniform.activates
    assert 1 < uniform.ms / aware.ms < 1.06
    assert aware.of_rows < 0.005 < 0.03 < uniform.of_rows
    estimated = [placement.decode(12288, banks, "voxel_estimator").ms for banks in ("software_aware", "uniform")]
    assert estimated[1] == pytest.approx(estimated[0], rel=5e-4)
    assert estimated[0] > 1.25 * aware.ms


def test_bandwidth_over_depth_is_an_inverted_u_whose_points_the_simulator_meets() -> None:
    rows = list(depth.rows(ReferenceDir()))
    found = verdicts(rows)
    assert found == {
        "closed_form": (Verdict.PASS, 36), "inverted_u": (Verdict.PASS, 4), "one_peak": (Verdict.PASS, 2),
    }  # fmt: skip
    limits = [row.kind.rpartition(" ")[2] for row in rows if row.id.startswith("depth/256_kib/two_banks/")]
    assert limits == ["wires"] * 6 + ["sram"] * 6
    assert [row.prediction for row in rows if row.id.endswith("/peak")] == [7, 8]


def test_a_curve_without_an_inner_maximum_fails() -> None:
    rising, falling = [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]
    for curve in (rising, falling, [1.0, 1.04, 1.0]):
        assert verdicts(list(depth.shape_rows("x", curve)))["inverted_u"] == (Verdict.FAIL, 2)
    assert verdicts(list(depth.shape_rows("x", [1.0, 2.0, 1.0])))["inverted_u"] == (Verdict.PASS, 2)


def test_a_curve_with_two_peaks_fails() -> None:
    found = verdicts(list(depth.shape_rows("x", [1.0, 3.0, 2.0, 3.0, 1.0])))
    assert (found["inverted_u"][0], found["one_peak"][0]) == (Verdict.PASS, Verdict.FAIL)


def without(term: str, other: str = "") -> object:
    """The closed form without a term or two."""

    def form(chip: ChipSpec) -> EffectiveBandwidth:
        found = effective_bandwidth(chip)
        return replace(found, terms={name: gb for name, gb in found.terms.items() if name not in (term, other)})

    return form


def test_without_the_term_of_the_banks_the_closed_form_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "effective_bandwidth", without("row_cycle"))
    assert verdicts(list(depth.rows(ReferenceDir())))["closed_form"] == (Verdict.FAIL, 36)


def test_without_what_cores_can_take_the_bandwidth_has_no_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "effective_bandwidth", without("sram", "buffer"))
    assert verdicts(list(depth.rows(ReferenceDir())))["inverted_u"] == (Verdict.FAIL, 4)


def test_a_missing_figure_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "ENTRY", "ds.lost")
    with pytest.raises(ConfigError, match=r"this entry is missing"):
        next(depth.rows(ReferenceDir()))
