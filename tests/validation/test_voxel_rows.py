"""Reading Voxel's rows: settings, bounds, which runs are ranked, and sweeps of one parameter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cairn.base.errors import ConfigError
from cairn.validation.reference import ReferenceDir
from cairn.validation.suites.voxel import operators, runs
from cairn.workloads.architecture import AttentionSpec, FFNSpec, ModelSpec

LLAMA_2_13B = ModelSpec(
    name="Llama-2-13B",
    source="reference/models.yaml",
    layers=40,
    hidden=5120,
    vocab=32000,
    attention=AttentionSpec(heads=40),
    ffn=FFNSpec(width=13824),
)


@pytest.fixture(scope="module")
def all_runs() -> list[runs.RunRow]:
    return runs.read(ReferenceDir())


def test_every_row_of_the_operator_file_is_read_with_its_setting() -> None:
    dense, attention = operators.read(ReferenceDir())
    assert (len(dense), len(attention)) == (49, 19)
    assert {row.setting for row in [*dense, *attention]} == {operators.Setting("Llama-2-13B", 2, 256, 32, 12288.0, 32)}
    assert {row.operator for row in dense} >= {*operators.GEMMS, "lm_head", "act_fn", "rotary_emb"}


def test_the_weight_bounds_are_those_that_the_file_states() -> None:
    # reference/stacked3d/voxel_operator_latency.yaml (vx.op.sanity): 11.9, 4.0, 21.5 and 10.7 us
    dense, _ = operators.read(ReferenceDir())
    bounds = {
        row.operator: operators.gemm_bound_us(row, LLAMA_2_13B, 1.5)
        for row in dense
        if row.tokens == 8 and row.operator in operators.GEMMS
    }
    expected = {"qkv_proj": 11.9, "o_proj": 4.0, "gate_up_proj": 21.5, "down_proj": 10.7}
    assert bounds == pytest.approx(expected, abs=0.05)


def test_a_large_gemm_is_bound_by_operations() -> None:
    dense, _ = operators.read(ReferenceDir())
    (row,) = [row for row in dense if (row.operator, row.tokens) == ("gate_up_proj", 2048)]
    peak = 256 * 2 * 32 * 32 * 1.5e9
    assert operators.gemm_bound_us(row, LLAMA_2_13B, 1.5) == pytest.approx(1e6 * 2 * 2048 * 5120 * 27648 / peak)
    assert operators.gemm_bound_us(row, LLAMA_2_13B, 1.5) < row.time_us


def test_an_entry_whose_conditions_lack_the_bandwidth_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stacked3d").mkdir()
    (tmp_path / operators.FILE).write_text(
        "entries:\n- {id: x, unit: us, source: s, conditions: 'M, BF16, 4 cores, 8x8 arrays, mesh 4 B/cycle',"
        " value: {columns: [operator, tokens, time_us], rows: [[o_proj, 1, 2.0]]}}\n"
    )
    with pytest.raises(ConfigError, match=r"x\.conditions: the conditions do not name dram_gib_per_s"):
        operators.read(ReferenceDir(tmp_path))


def test_every_run_is_read_and_the_default_is_the_default(all_runs: list[runs.RunRow]) -> None:
    assert len(all_runs) == 76
    (best,) = [row for row in all_runs if row.id == "llama2-13.decode.best"]
    assert best.setting == runs.DEFAULT
    assert best.time_ms == pytest.approx(7.29247)


def test_decode_runs_that_vary_physical_parameters_alone_are_ranked(all_runs: list[runs.RunRow]) -> None:
    ranked = {row.id for row in all_runs if not runs.why_not_ranked(row, runs.DEFAULT)}
    llama = {name.removeprefix("llama2-13.decode.best") for name in ranked if name.startswith("llama2-13")}
    bandwidths = {f".dram_bw{value}" for value in (2000, 4000, 12000, 14336, 16000, 16384, 20000)}
    others = {"", ".b8", ".noc_bw4", ".noc_topo3", ".num_cores64", ".num_cores512", ".sa16", ".sa128"}
    assert llama == bandwidths | others | {".sram_kb512", ".sram_kb8192"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"phase": "prefill"}, "prefill is ranked apart"),
        ({"paradigm": "dataflow_stage"}, "one stage of a pipeline"),
        ({"paradigm": "spmd"}, "a choice of software"),
        ({"bank_mapping": "uniform"}, "a choice of software"),
        ({"trp": 33}, "trp differs"),
        ({"core_group": 1}, "core_group differs"),
        ({"row_accesses": 512}, "row_accesses differs"),
        ({"dram_mode": "bank_state"}, "dram_mode differs"),
    ],
)
def test_a_run_that_is_not_ranked_says_why(change: dict[str, object], reason: str) -> None:
    setting = replace(runs.DEFAULT, **change)
    assert reason in runs.why_not_ranked(runs.RunRow("x", setting, 40, 1.0, "s"), runs.DEFAULT)


def test_a_sweep_changes_one_parameter_and_goes_up(all_runs: list[runs.RunRow]) -> None:
    steps = list(runs.sweep_steps(all_runs))
    assert len({step.id for step in steps}) == len(steps)
    for step in steps:
        before, after = step.before.setting, step.after.setting
        changed = {name for name in before.__dict__ if getattr(before, name) != getattr(after, name)}
        assert changed - {"vector_width"} == {step.parameter}
        assert getattr(before, step.parameter) < getattr(after, step.parameter)
    found = {(step.parameter, step.before.id) for step in steps}
    assert ("dram_gib_s", "llama2-13.decode.best.dram_bw16384") in found
    assert ("sa_side", "llama2-13.decode.best.sa16") in found


def test_bandwidth_never_slows_voxel_down(all_runs: list[runs.RunRow]) -> None:
    steps = [step for step in runs.sweep_steps(all_runs) if step.parameter == "dram_gib_s"]
    assert len(steps) >= 10
    assert all(step.reference_ratio < 1 for step in steps)
