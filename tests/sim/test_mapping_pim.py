"""Decode attention and products of few rows on PIM units: NumPy's numbers, one trace, nothing lost."""

from __future__ import annotations

from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from cairn.base.errors import ConfigError, InfeasibleError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.build import dram_counters
from cairn.sim.config.run_config import Engine, RunConfig, load
from cairn.sim.mapping.options import BankPlacement, PimRule
from cairn.sim.plan.plan import CAUSES, COMPUTE, COPY_COLUMNS, NO_SERVER, Plan
from cairn.sim.report.console import print_report
from cairn.sim.report.result import Result
from cairn.sim.report.work import count_work
from cairn.sim.run import run_plan, simulate
from cairn.sim.twin.twin import Twin
from cairn.workloads.build import build_graph
from cairn.workloads.graph import OpKind

from .numbers_models import check_against_numpy, config_of, run_on_numbers

UNITS: dict[str, dict[str, Any]] = {
    "logic": {
        "kind": "logic", "banks_together": 2, "column_bytes": 16, "mixed_access": True, "mode_change_cycles": 0,
        "rows_at_once": 8, "buffer_kib": 2, "turn_rows": 4, "yield_cycles": 64,
    },
    "bank": {"kind": "bank", "column_bytes": 16, "mode_change_cycles": 16, "buffer_kib": 1, "accumulators": 8},
}  # fmt: skip


def config(
    model: str, step: str, units: str = "logic", *, grid: str = "4x4", rule: str = "all", attention: str = "fused",
    **over: Any,
) -> RunConfig:  # fmt: skip
    """A run of a small model on the tiny chip with PIM units."""
    base = config_of(model, step, grid, attention=attention, pim=rule)
    chip = base.chip.model_dump(mode="json", by_alias=True) | {"pim": UNITS[units] | over}
    return base.model_copy(update={"chip": ChipSpec.model_validate(chip)})


@pytest.mark.parametrize("units", list(UNITS))
@pytest.mark.parametrize("model", ["mha", "gqa", "window", "qk_norm", "moe", "layer_norm"])
@pytest.mark.parametrize("step", ["decode", "decode_one"])
def test_a_decode_on_pim_units_has_numpys_numbers(model: str, step: str, units: str) -> None:
    done = check_against_numpy(config(model, step, units))
    assert _on_units(done.plan) > 0


@pytest.mark.parametrize("shake", [1, 2])
@pytest.mark.parametrize("model", ["gqa", "moe"])
def test_dependences_alone_order_the_tasks_of_units(model: str, shake: int) -> None:
    check_against_numpy(config(model, "decode", grid="2x2"), shake)


@pytest.mark.parametrize("grid", ["2x4", "2x2"])
def test_several_cores_may_share_the_units_of_a_channel(grid: str) -> None:
    shared = config("gqa", "decode", grid=grid)
    chip = shared.chip.model_dump(mode="json", by_alias=True)
    chip["dram"]["channels"] = 2
    check_against_numpy(shared.model_copy(update={"chip": ChipSpec.model_validate(chip)}))


def _on_units(plan: Plan) -> int:
    return int(((plan.kind == COMPUTE) & (plan.server != NO_SERVER)).sum())


def test_each_rule_sends_what_it_says_to_the_units() -> None:
    found = {}
    for rule in ("none", "attention", "products", "all"):
        done = run_on_numbers(config("gqa", "decode", rule=rule))
        tasks = (done.plan.kind == COMPUTE) & (done.plan.server != NO_SERVER)
        found[rule] = {done.plan.operators[op].split("/")[-1] for op in np.unique(done.plan.op[tasks])}
    assert found["none"] == set()
    assert found["attention"] == {"attention"}
    assert found["all"] == found["attention"] | found["products"]
    assert not found["attention"] & found["products"]
    assert len(found["products"]) >= 4


@pytest.mark.parametrize("units", list(UNITS))
def test_both_engines_agree_on_a_decode_with_units(units: str) -> None:
    made = config("moe", "decode", units, grid="2x2")
    plan = run_on_numbers(made).plan
    compiled, reference = run_plan(plan, made.chip), run_plan(plan, made.chip, Engine.REFERENCE)
    for name in ("start", "first", "end"):
        np.testing.assert_array_equal(getattr(compiled, name), getattr(reference, name), err_msg=name)


@pytest.mark.parametrize("units", list(UNITS))
def test_operations_and_bytes_on_the_units_are_conserved(units: str) -> None:
    made = config("gqa", "decode", units)
    result, without = simulate(made), simulate(config("gqa", "decode", units, rule="none"))
    work, cores = count_work(result), count_work(without)
    assert (work.pim_ops + work.matrix_ops == cores.matrix_ops).all()
    counted = dram_counters(made.chip.dram, result.trace.states[0])
    assert counted["pim_bytes"].sum() == work.pim_bytes.sum()
    moved = work.moved[:, :2].sum()
    assert counted["bytes_read"].sum() + counted["bytes_written"].sum() + counted["padding_bytes"].sum() == moved
    unique = CAUSES.index("unique")
    used = cores.moved[:, 0, unique] - work.moved[:, 0, unique]
    assert (work.pim_bytes >= used).all()
    assert ((work.pim_bytes > 0) == (used > 0)).all()


def test_the_report_charges_the_units_for_what_they_did() -> None:
    made = config("gqa", "decode")
    record = simulate(made)
    result, work = Result(record), count_work(record)
    table = result.energy[result.energy["nature"] == "dynamic"].set_index("component")
    expected = 0.32 * work.pim_ops.sum() / 2 + 4.4 * work.pim_bytes.sum()
    assert table.loc["pim", "energy_j"] == pytest.approx(expected * 1e-12)
    assert "pim" in result.unit_counts
    assert result.unit_counts["pim"] == made.chip.channels


def test_weights_on_the_units_are_neither_loaded_nor_passed_on() -> None:
    made = config("mha", "decode")
    plan = run_on_numbers(made).plan
    block = build_graph(made.model, made.workload, made.routing, made.seed).segments[1].block
    names = [operator.inputs[1] for operator in block.operators if operator.kind is OpKind.MATMUL]
    weights = {number for number, name in enumerate(plan.tensors) if name.split("/")[-1] in names}
    assert len(weights) >= 4
    assert not weights & set(plan.copies[:, COPY_COLUMNS.index("tensor")].tolist())


@pytest.mark.parametrize(
    ("model", "step", "rule", "attention", "why"),
    [
        ("gqa", "prefill", "attention", "fused", "a request has 19 new tokens, and units look at one of each"),
        ("gqa", "mixed", "all", "fused", "a request has 6 new tokens, and units look at one of each"),
        ("mla", "decode", "all", "fused", "it reads latents, whose values are columns of the keys"),
        ("gqa", "decode", "attention", "unfused", r"it is unfused, and .* \(workload.attention: fused\)"),
        ("retnet", "decode", "attention", "fused", "the model has no attention"),
    ],
)  # fmt: skip
def test_an_attention_asked_for_by_hand_that_no_unit_can_do_is_refused(
    model: str, step: str, rule: str, attention: str, why: str
) -> None:
    made = config(model, step, rule=rule, attention=attention)
    message = f"^mapping.pim: is {rule}, but PIM units can do no attention of this step: {why}; use mapping.pim: none"
    with pytest.raises(ConfigError, match=message):
        simulate(made)
    assert "PIM units can do no attention of this step" in Twin(made).evaluate({}).refused[0]


def test_attention_whose_new_keys_are_not_stored_cannot_go_to_the_units() -> None:
    made = config("gqa", "decode", rule="all")
    quiet = made.model_copy(update={"workload": made.workload.model_copy(update={"kv_append": False})})
    with pytest.raises(ConfigError, match=r"new keys and values are not stored \(workload.kv_append: true\)"):
        simulate(quiet)


def test_products_asked_for_by_hand_that_all_have_many_rows_are_refused() -> None:
    made = config("gqa", "prefill", rule="products")
    workload = made.workload.model_copy(update={"new_tokens": 80, "lm_head": False})
    with pytest.raises(ConfigError, match=r"is products, but a product of at most 64 rows, .* has 80 rows at least"):
        simulate(made.model_copy(update={"workload": workload}))


@pytest.mark.parametrize("model", ["mla", "retnet"])
def test_products_go_to_the_units_beside_an_attention_that_cannot(model: str) -> None:
    assert _on_units(check_against_numpy(config(model, "decode", rule="products")).plan) > 0


def test_auto_leaves_what_units_cannot_do_to_the_cores() -> None:
    for model, step in (("gqa", "prefill"), ("mla", "decode")):
        simulate(config(model, step, rule="auto"))


@pytest.mark.parametrize("rule", ["all", "products"])
@pytest.mark.parametrize("units", list(UNITS))
def test_many_experts_go_to_the_units_too(rule: str, units: str) -> None:
    done = check_against_numpy(config("moe_many", "decode", units, rule=rule))
    tasks = (done.plan.kind == COMPUTE) & (done.plan.server != NO_SERVER)
    found = {done.plan.operators[op].split("/")[-1] for op in np.unique(done.plan.op[tasks])}
    assert {"experts_gate_up", "experts_down"} <= found


@pytest.mark.parametrize("units", list(UNITS))
def test_auto_decides_for_all_of_many_experts_together(units: str) -> None:
    counts = {}
    for opening in (1, 4096):
        plan = check_against_numpy(config("moe_many", "decode", units, rule="auto", t_rcd_mac=opening)).plan
        experts = [op for op, name in enumerate(plan.operators) if name.split("/")[-1].startswith("experts_")]
        counts[opening] = int(np.isin(plan.op[(plan.kind == COMPUTE) & (plan.server != NO_SERVER)], experts).sum())
    assert counts[4096] == 0
    assert counts[1] > 0


def test_the_report_says_what_the_units_did_of_each_operator() -> None:
    result = Result(simulate(config("gqa", "decode", rule="attention")))
    table = result.operators.set_index("operator")
    assert (table.loc["attention", "pim_ops"] > 0).all()
    assert (table.loc["qkv", "pim_ops"] == 0).all()
    console = Console(width=100, record=True, file=StringIO())
    print_report(result, console)
    text = console.export_text()
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert " PIM " in lines["operator"]
    assert " all " in lines["attention"]
    assert " all " not in lines["qkv"]
    assert "pim_ops" not in Result(simulate(config_of("gqa", "decode"))).operators


@pytest.mark.parametrize("chip", ["hbm3-cube-logic-pim", "hbm3-cube-bank-pim"])
def test_auto_is_no_slower_than_either_side_alone_on_a_layer_of_the_shipped_run(chip: str) -> None:
    settings = (f"chip={chip}", "model.layers=1", "workload.batch=16")
    times = {
        rule: simulate(load("llama-2-7b-decode-pim", (*settings, f"mapping.pim={rule}"))).total_ps
        for rule in ("none", "all", "auto")
    }
    assert times["auto"] <= 1.02 * min(times["none"], times["all"])


@pytest.mark.parametrize(
    ("model", "over", "message"),
    [
        ("ternary", {}, r"precision of PIM units \(weights\).*chip.pim.bits are 16; choose such a precision"),
        ("gqa", {"column_bytes": 64}, "whole columns for a head in one row of a bank.*chip.pim.column_bytes"),
        ("gqa", {"buffer_kib": 0.1}, "buffer of PIM units for .*larger buffer"),
    ],
)  # fmt: skip
def test_what_units_cannot_do_is_refused_with_a_remedy(model: str, over: dict[str, Any], message: str) -> None:
    with pytest.raises(InfeasibleError, match=message):
        simulate(config(model, "decode", **over))


def test_a_rule_for_units_that_a_chip_has_not_is_a_mistake_of_the_person() -> None:
    with pytest.raises(ConfigError, match=r"mapping.pim: is all, but the chip has no PIM units \(chip.pim\)"):
        simulate(config_of("gqa", "decode", pim=PimRule.ALL))


def test_units_need_operands_in_whole_rows_of_banks() -> None:
    made = config("gqa", "decode")
    spread = made.mapping.model_copy(update={"banks": BankPlacement.INTERLEAVED})
    with pytest.raises(ConfigError, match=r"mapping.pim: is all, which needs mapping.banks: software_aware"):
        simulate(made.model_copy(update={"mapping": spread}))
