"""The suite `voxel`: its configurations, and how rows become gates, with the simulator replaced by a formula."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cairn.base.errors import CairnError
from cairn.sim.config.run_config import RunConfig, run_hash
from cairn.validation.harness import validate
from cairn.validation.reference import ReferenceDir
from cairn.validation.suite import load_suite, run_suite
from cairn.validation.suites.voxel import operators, runs, simulated, steps
from cairn.validation.suites.voxel.operator_rows import attention_config, dense_config
from cairn.validation.suites.voxel.run_rows import why_left_out

TABLE = """entries:
- id: t
  unit: us
  source: s
  conditions: 'Llama-2-7B, BF16, TP1, default chip: 256 cores, 32x32 arrays, 12288 GiB/s, mesh 32 B/cycle'
  value: {columns: [operator, tokens, time_us], rows: [[qkv_proj, 8, 9.0], [o_proj, 8, 1.0]]}
"""


@pytest.fixture(autouse=True)
def formula(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """In place of the simulator: 1.2 times the roofline, shared out evenly; the runs asked for are remembered."""
    asked: list[RunConfig] = []
    names = ("qkv", "o", "gate_up", "down", "ffn_act", "mixer_norm", "ffn_norm", "final_norm", "rope", "attention")

    def step(config: RunConfig) -> steps.StepTimes:
        asked.append(config)
        latency_ms = 1.2 * steps.roofline_ms(config)
        each_us = 1e3 * latency_ms / config.model.layers / len(names)
        return steps.StepTimes(latency_ms, dict.fromkeys((*names, "lm_head"), each_us))

    monkeypatch.setattr(simulated, "simulate_step", step)
    monkeypatch.setattr(simulated, "operator_us", lambda config, name: 1e3 * steps.roofline_ms(config))
    return asked


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"cores": 512},
        {"sa_side": 128, "vector_width": 128},
        {"noc_topology": "all_to_all"},
        {"dram_gib_s": 20000.0},
        {"trp": 33},
        {"bank_mapping": "uniform"},
        {"paradigm": "spmd"},
    ],
)
def test_every_parameter_of_a_run_reaches_its_chip_workload_or_mapping(change: dict[str, object]) -> None:
    setting = runs.RunSetting(**(runs.DEFAULT.__dict__ | change))
    config = steps.run_of(setting)
    chip = config.chip
    assert chip.core_count == setting.cores
    assert (chip.matrix_unit.rows, chip.matrix_unit.columns, chip.vector_unit.lanes) == (setting.sa_side,) * 3
    assert chip.dram_bytes_per_s == pytest.approx(setting.dram_gib_s * 2**30)
    assert (chip.dram.t_cl, chip.dram.t_rcd, chip.dram.t_rp) == (setting.tcl, setting.trcd, setting.trp)
    assert (chip.clock_ghz, chip.dram.clock_ghz) == (1.5, 1.5)
    assert (chip.noc.link_bytes_per_cycle, chip.sram.capacity_kib) == (setting.noc_bytes_per_cycle, setting.sram_kib)
    assert chip.sram.write_bytes_per_cycle == 2 * setting.sa_side
    assert steps.TOPOLOGIES[setting.noc_topology] == chip.noc.topology
    assert (config.mapping.paradigm, config.mapping.banks) == (setting.paradigm, setting.bank_mapping)
    assert (config.workload.batch, config.workload.context) == (setting.batch, setting.seq)


def test_the_default_run_is_the_shipped_chip() -> None:
    config = steps.run_of(runs.DEFAULT)
    shipped = steps.load(steps.BASE_RUN)
    assert config.chip == shipped.chip
    assert config.model == shipped.model


def test_the_operator_tables_are_of_the_chip_that_is_shipped_for_them() -> None:
    dense, _ = operators.read(ReferenceDir())
    chip = dense_config(dense[0], "llama-2-13b").chip
    shipped = steps.load(steps.BASE_RUN, ["chip=voxel-operators"]).chip
    assert chip.model_copy(update={"name": shipped.name, "source": shipped.source}) == shipped


def test_few_tokens_are_decoding_requests_and_many_are_one_prompt() -> None:
    dense, attention = operators.read(ReferenceDir())
    workloads = {row.tokens: dense_config(row, "llama-2-13b").workload for row in dense}
    assert {tokens: load.phase for tokens, load in workloads.items()} == {
        8: "decode", 16: "decode", 32: "decode", 128: "decode", 256: "prefill", 1024: "prefill", 2048: "prefill"
    }  # fmt: skip
    by_name = {row.name: attention_config(row, "llama-2-13b").workload for row in attention}
    assert (by_name["decode_64x512"].batch, by_name["decode_64x512"].context) == (64, 512)
    assert (by_name["prefill_512"].new_tokens, by_name["prefill_512"].cached_tokens) == (512, 0)
    mixed = operators.AttentionRow(16, 48, 2, 100, 1.0, dense[0].setting, "s")
    requests = attention_config(mixed, "llama-2-13b").workload.mixed_requests
    assert [(one.new, one.cached) for one in requests or ()] == [(16, 32), (1, 99), (1, 99)]


def test_rows_that_beat_their_own_bound_do_not_count_and_say_so() -> None:
    result = run_suite(load_suite("voxel"), ReferenceDir())
    rows = {row.id: row for row in result.rows}
    fast = rows["operator/Llama-2-13B/o_proj/8"]
    assert fast.counts == ()
    assert fast.excluded["gemm_p90"] == "faster than its own bound of 3.97 us"
    assert rows["operator/Llama-2-13B/o_proj/2048"].counts == ("gemm_median", "gemm_p90")
    beaten = [row for row in result.rows if row.excluded.get("gemm_median")]
    assert len(beaten) + next(gate.rows for gate in result.gates if gate.gate.name == "gemm_median") == 24


def test_gates_count_the_rows_they_are_meant_for() -> None:
    result = run_suite(load_suite("voxel"), ReferenceDir())
    counted = {gate.gate.name: gate.rows for gate in result.gates}
    assert counted["gemm_sum"] == 6
    assert counted["tau_decode"] == counted["tau_decode_roofline"] == 19
    assert counted["tau_prefill"] == 10
    assert any("gemma2.decode.best: not the model of this name" in message for message in result.skipped)


def test_with_all_rows_the_runs_that_vary_the_mapping_are_ranked_as_well() -> None:
    quick, full = (run_suite(load_suite("voxel"), ReferenceDir(), run_all=run_all) for run_all in (False, True))
    counted = [{gate.gate.name: gate.rows for gate in result.gates} for result in (quick, full)]
    assert counted[1]["tau_decode"] == counted[0]["tau_decode"] == counted[0]["tau_decode_mapping"]
    assert counted[1]["tau_decode_mapping"] > counted[0]["tau_decode_mapping"]
    assert counted[1]["sweeps"] > counted[0]["sweeps"]


def test_a_step_that_rows_share_is_simulated_once(formula: list[RunConfig]) -> None:
    run_suite(load_suite("voxel"), ReferenceDir())
    assert len({run_hash(config) for config in formula}) == len(formula)


def test_a_refused_step_is_a_row_without_a_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: RunConfig) -> steps.StepTimes:
        raise CairnError("it does not fit")

    monkeypatch.setattr(simulated, "simulate_step", refuse)
    result = run_suite(load_suite("voxel"), ReferenceDir())
    assert result.verdict == "fail"
    assert {row.remark for row in result.rows if row.id.startswith("run/")} == {"Refused: it does not fit"}


def test_a_folder_with_one_of_the_files_and_another_model_is_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stacked3d").mkdir()
    (tmp_path / operators.FILE).write_text(TABLE)
    validate(["voxel"], reference=tmp_path, json=True)
    suite = json.loads(capsys.readouterr().out)["suites"][0]
    assert [row["id"] for row in suite["rows"]] == ["operator/Llama-2-7B/qkv_proj/8", "operator/Llama-2-7B/o_proj/8"]
    assert any(message.startswith("stacked3d/voxel_runs.csv is not there") for message in suite["skipped"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "gemma2"}, "not the model of this name"),
        ({"model": "gpt-9"}, "no model of this name is shipped"),
        ({"paradigm": "dataflow_stage"}, "one stage of a pipeline"),
        ({"core_group": 1}, "core_group differs"),
        ({"dram_mode": "bank_state"}, "dram_mode differs"),
        ({}, ""),
    ],
)
def test_a_run_without_a_counterpart_is_left_out_with_the_reason(change: dict[str, object], reason: str) -> None:
    setting = runs.RunSetting(**(runs.DEFAULT.__dict__ | change))
    assert why_left_out(runs.RunRow("x", setting, 40, 1.0, "s")).startswith(reason)
