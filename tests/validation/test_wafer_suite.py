"""The suite `wafer`: rates of decode, forms of reductions, signs of products; a wrong constant breaks its gates."""

from __future__ import annotations

import re

import pytest

from cairn.sim.collectives.gemm_form import ALGORITHMS
from cairn.sim.wafer.decode import closed_form, load_wafer
from cairn.sim.wafer.spec import OPERATOR_OVERHEAD_CYCLES, ROUTING_STAGE_CYCLES
from cairn.validation.gates import Verdict, judge
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suite import load_suite
from cairn.validation.suites.wafer import decode, gemm, paths, reduce

CHIP = load_wafer(decode.BASE).chip
HARDWARE = {"ramp_latency_cycles": {"value": 2}}


def verdicts(rows: list[Row]) -> dict[str, Verdict]:
    results = [judge(gate, rows) for gate in load_suite("wafer").sheet.gates]
    return {result.gate.name: result.verdict for result in results if result.rows}


def measured(model: str, mesh: str, rate: float) -> dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]:
    return {"table4_decode": {"wse2": {model: {"WaferLLM": {mesh: rate}}}}}


def test_rows_that_constants_were_fitted_on_count_for_no_gate() -> None:
    (row,) = decode.rows(measured("LLaMA3-8B", "420x420", 2699.9))
    assert not row.counts and row.excluded
    assert load_suite("wafer").sheet.is_fitted(row)
    assert abs(row.error()) < 0.005


def _errors(stage: int, overhead: int) -> list[float]:
    """Of the two rows that constants are fitted on, in closed form."""
    errors = []
    for side, rate in ((420, 2699.9), (660, 2243.3)):
        settings = (f"mesh={side}", f"routing_stage_cycles={stage}", f"operator_overhead_cycles={overhead}")
        form = closed_form(load_wafer(decode.BASE, settings))
        cycles = float(form["work_cycles"].sum() + form["all_reduce_cycles"].sum())
        errors.append(abs(1.1e9 / (32 * cycles) / rate - 1))
    return errors


def test_the_fitted_constants_are_those_that_fit_the_two_rows_best() -> None:
    best = max(_errors(ROUTING_STAGE_CYCLES, OPERATOR_OVERHEAD_CYCLES))
    assert best < 0.002
    near = {(stage, overhead) for stage in range(13, 18) for overhead in range(125, 170, 5)}
    near.remove((ROUTING_STAGE_CYCLES, OPERATOR_OVERHEAD_CYCLES))
    assert min(max(_errors(*constants)) for constants in near) > best


def test_a_rate_of_another_model_is_predicted_within_a_tenth() -> None:
    rows = list(decode.rows(measured("LLaMA2-13B", "420x420", 2039.2)))
    assert verdicts(rows)["decode"] is Verdict.PASS
    assert verdicts(list(decode.rows(measured("LLaMA2-13B", "420x420", 1700.0))))["decode"] is Verdict.FAIL


def test_what_cannot_be_asked_is_a_row_without_a_prediction() -> None:
    for model, mesh, why in (
        ("LLaMA3-8B", "420x400", "the mesh is not square"),
        ("Nobody-1B", "420x420", "no such model is shipped"),
        ("LLaMA3-8B", "900x900", "refused: .*must not exceed"),
    ):
        (row,) = decode.rows(measured(model, mesh, 1.0))
        assert row.prediction is None
        assert re.search(why, row.remark)


@pytest.mark.parametrize("algorithm", reduce.ALGORITHMS)
def test_a_reduction_is_that_of_the_form_and_with_another_ramp_it_is_not(algorithm: str) -> None:
    cost = reduce.ALGORITHMS[algorithm][0](16, 4)
    assert reduce.simulated(CHIP, algorithm, 16, 4) == cost.cycles(2)
    slow = CHIP.model_copy(update={"noc": CHIP.noc.model_copy(update={"start_cycles": 5})})
    assert reduce.simulated(slow, algorithm, 16, 4) == cost.cycles(3)


def test_mesh_gemm_wins_where_the_way_over_a_line_shows() -> None:
    assert gemm.way_binds(CHIP, 720, 2048) and not gemm.way_binds(CHIP, 720, 8192)
    small, large = ({name: gemm.form(CHIP, 720, size, name, True) for name in ALGORITHMS} for size in (2048, 8192))
    assert small["mesh_gemm"] < 0.1 * small["cannon"]
    assert large["mesh_gemm"] == pytest.approx(large["cannon"], rel=0.01)


def test_mesh_gemm_is_first_on_every_mesh_where_cores_move_no_tile_while_they_compute() -> None:
    for side in gemm.SIDES:
        for size in gemm.SIZES:
            ours, *others = (gemm.form(CHIP, side, size, name, False) for name in ("mesh_gemm", *gemm.OTHERS, "summa"))
            assert ours < min(others)


def test_the_shipped_reference_has_the_rows_that_the_suite_reads() -> None:
    content = ReferenceDir().yaml("wafer/waferllm_measured.yaml")
    assert "WaferLLM" in content["table4_decode"]["wse2"]["LLaMA3-8B"]
    assert ReferenceDir().yaml("wafer/wse2_hardware.yaml")["ramp_latency_cycles"]["value"] == 2


@pytest.mark.parametrize("name", paths.COLLECTIVES)
def test_paths_grow_with_the_line_where_the_table_says_so(name: str) -> None:
    grows = paths.COLLECTIVES[name][0]
    few, many = (paths.paths(CHIP, name, size) for size in paths.SIDES)
    assert (many > few) is grows
    assert paths.paths(CHIP, "all_reduce_two_phase", 16) == 5
