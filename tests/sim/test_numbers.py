"""Plans of small models of every family, run on numbers, give NumPy's result: logits, appended caches, new states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from cairn.base.errors import CairnError
from cairn.sim.config.run_config import Engine, ProductFidelity
from cairn.sim.mapping.experts import MANY_EXPERTS
from cairn.sim.plan import actions
from cairn.sim.plan.numbers import execute
from cairn.sim.plan.plan import CAUSES, COMPUTE_COLUMNS, DRAM, SRAM, Plan
from cairn.sim.run import run_plan

from .numbers_models import (
    GRIDS,
    MODELS,
    STEPS,
    check_against_numpy,
    computes,
    config_of,
    copies,
    hasty,
    run_on_numbers,
)

MAPPINGS: list[dict[str, Any]] = [
    {"paradigm": paradigm, "placement": placement, "banks": banks}
    for banks, placement, paradigm in product(
        ("software_aware", "interleaved", "uniform"), ("dimension_ordered", "sequential"), ("compute_shift", "spmd")
    )
]
CASES = [
    (model, step, list(GRIDS)[index % 3], MAPPINGS[(index + index // 12) % len(MAPPINGS)])
    for index, (model, step) in enumerate(product(MODELS, STEPS))
]
def case_name(case: tuple[str, str, str, dict[str, Any]]) -> str:
    return "-".join([*case[:3], *case[3].values()])


EQUAL_LAYERS = [name for name in MODELS if "moe" not in name and name != "window"]


@pytest.mark.parametrize(("model", "step", "grid", "mapping"), CASES, ids=map(case_name, CASES))
def test_a_step_gives_numpys_result_in_the_order_that_was_simulated(
    model: str, step: str, grid: str, mapping: dict[str, Any]
) -> None:
    check_against_numpy(config_of(model, step, grid, **mapping))


@pytest.mark.parametrize(("model", "step", "grid", "mapping"), CASES[::2], ids=map(case_name, CASES[::2]))
def test_a_step_gives_numpys_result_in_any_order_that_its_dependences_and_queues_allow(
    model: str, step: str, grid: str, mapping: dict[str, Any]
) -> None:
    other = {**mapping, "paradigm": "spmd" if mapping["paradigm"] == "compute_shift" else "compute_shift"}
    check_against_numpy(config_of(model, step, grid, **other), shake=1)


@pytest.mark.parametrize("model", EQUAL_LAYERS)
@pytest.mark.parametrize(("step", "grid", "stages"), [("decode", "2x4", 2), ("prefill", "2x2", 2), ("mixed", "4x4", 4)])
def test_a_pipeline_of_stages_gives_numpys_result_of_each_micro_batch(
    model: str, step: str, grid: str, stages: int
) -> None:
    check_against_numpy(config_of(model, step, grid, layers=stages, paradigm="dataflow", stages=stages), shake=2)


@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd"])
def test_rows_that_are_worked_on_in_several_passes_give_numpys_result(paradigm: str) -> None:
    config = config_of("mha", "prefill", "2x2", sram_kib=4, paradigm=paradigm)
    config = config.model_copy(update={"workload": config.workload.model_copy(update={"new_tokens": 70})})
    done = check_against_numpy(config)
    assert "reread" in causes(done.plan)  # weights are read again for the second half of the rows


@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd"])
def test_passes_that_are_merged_give_numpys_result(paradigm: str) -> None:
    config = config_of("mha", "prefill", "2x2", sram_kib=4, paradigm=paradigm)
    config = config.model_copy(
        update={
            "workload": config.workload.model_copy(update={"new_tokens": 1000}),
            "fidelity": config.fidelity.model_copy(update={"products": ProductFidelity.MERGED}),
        }
    )
    done = check_against_numpy(config)
    assert done.plan.compute[:, COMPUTE_COLUMNS.index("turns")].max() > 1


@pytest.mark.parametrize("weight_sharers", [1, 2])
def test_weights_shared_by_small_groups_of_cores_give_numpys_result(weight_sharers: int) -> None:
    config = config_of("gqa", "prefill_cached", "4x4", weight_sharers=weight_sharers)
    check_against_numpy(config)


def test_new_keys_that_are_not_appended_are_read_from_the_core_that_made_them() -> None:
    config = config_of("gqa", "prefill_cached", "2x2")
    config = config.model_copy(update={"workload": config.workload.model_copy(update={"kv_append": False})})
    done = check_against_numpy(config)
    assert "append" not in causes(done.plan)


@pytest.mark.parametrize("step", ["decode", "mixed"])
@pytest.mark.parametrize(
    "mapping", [{"paradigm": "compute_shift"}, {"paradigm": "spmd"}, {"paradigm": "dataflow", "stages": 2}], ids=str
)
def test_a_step_without_embedding_and_head_begins_with_the_hidden_state_that_it_is_given(
    step: str, mapping: dict[str, Any]
) -> None:
    config = config_of("gqa", step, "2x4", **mapping)
    part = {"embedding": False, "lm_head": False}
    done = check_against_numpy(config.model_copy(update={"workload": config.workload.model_copy(update=part)}))
    given = [name for name in done.inputs if name.endswith("/hidden")]
    assert len(given) == mapping.get("stages", 1)  # one for each micro-batch
    assert not {name for name in done.plan.tensors if "embedding" in name or "lm_head" in name}


def test_the_model_with_many_experts_uses_more_than_are_worked_on_by_all_cores() -> None:
    done = run_on_numbers(config_of("moe_many", "prefill"))
    operators = [op for i in done.sequence.instances for op in i.block.operators if op.name == "experts_down"]
    assert all(np.count_nonzero(op.group_rows) > MANY_EXPERTS for op in operators)


def test_ternary_weights_are_minus_one_zero_and_one() -> None:
    done = run_on_numbers(config_of("ternary", "decode"))
    assert set(np.unique(done.outcome.dram("layer[0]/qkv_w"))) == {-1.0, 0.0, 1.0}


def test_the_hidden_state_keeps_its_tensor_from_block_to_block() -> None:
    done = run_on_numbers(config_of("mha", "decode"))
    instances = done.sequence.instances
    for before, after in pairwise(instances):
        assert after.input is not None
        assert done.plan.tensors[after.input] == before.tensor_name(before.block.output)


# -- the executor notices ---------------------------------------------------------------------------------------------


def causes(plan: Plan) -> set[str]:
    return {CAUSES[index] for index in np.unique(plan.copies[:, 11])}


@pytest.mark.parametrize(
    ("what", "step", "choose"),
    [
        ("a product", "decode", lambda p: computes(p, actions.MATMUL)),
        ("an addition of partial sums", "decode_one", lambda p: computes(p, actions.REDUCE)),
        ("a norm", "prefill", lambda p: computes(p, actions.NORM_APPLY)),
        ("a joining of parts of attention", "decode_one", lambda p: computes(p, actions.MERGE)),
        ("a context", "prefill", lambda p: computes(p, actions.CONTEXT)),
        ("a copy between cores", "mixed", lambda p: copies(p, SRAM, SRAM)),
        ("an append", "decode", lambda p: copies(p, SRAM, DRAM)),
    ],
)
def test_a_task_that_does_not_wait_for_its_data_is_noticed(
    what: str, step: str, choose: Callable[[Plan], np.ndarray]
) -> None:
    config = config_of("gqa", step, "4x4")
    done = run_on_numbers(config)
    tasks = choose(done.plan)
    assert tasks.size, f"the plan has no task that is {what}"
    for task in np.random.default_rng(1).choice(tasks, 3):
        plan = hasty(done.plan, int(task))
        start, end = done.trace.start.copy(), done.trace.end.copy()
        start[task], end[task] = 0, 1
        with pytest.raises(CairnError, match=r"has no .* when task|no reduce copy has brought"):
            execute(plan, replace(done.trace, start=start, end=end), done.sequence.instances, done.inputs)


def test_keys_read_back_from_another_channel_than_they_were_appended_to_are_noticed() -> None:
    done = run_on_numbers(config_of("mha", "prefill", "2x2"))
    table = done.plan.copies.copy()
    stores = done.plan.row[copies(done.plan, SRAM, DRAM)]
    table[stores[0], 9] = (table[stores[0], 9] + 1) % 4
    with pytest.raises(CairnError, match=r"^channel \d has no layer\[0\]/k_cache"):
        execute(replace(done.plan, copies=table), done.trace, done.sequence.instances, done.inputs)


def test_keys_read_back_from_another_address_than_they_were_appended_to_are_noticed() -> None:
    done = run_on_numbers(config_of("mha", "prefill", "2x2"))
    dram = done.plan.requests[0].copy()
    store = done.plan.request[copies(done.plan, SRAM, DRAM)[0]]
    dram[store, 6] += 32
    plan = replace(done.plan, requests=(dram, done.plan.requests[1]))
    with pytest.raises(CairnError, match=r"k_cache\[.*\] at another address than it was stored to$"):
        execute(plan, done.trace, done.sequence.instances, done.inputs)


def test_a_wrong_rectangle_gives_a_wrong_result() -> None:
    config = config_of("mha", "decode", "2x2")
    done = run_on_numbers(config)
    table = done.plan.compute.copy()
    product_row = done.plan.row[computes(done.plan, actions.MATMUL)[-1]]
    table[product_row, 8] -= 1  # one row of the weights fewer
    outcome = execute(replace(done.plan, compute=table), done.trace, done.sequence.instances, done.inputs)
    expected = done.expected["epilogue/lm_head"]
    assert not np.allclose(outcome.gathered("epilogue/lm_head"), expected, rtol=1e-9, equal_nan=True)


def test_an_input_that_the_plan_does_not_know_is_refused_with_the_nearest_name() -> None:
    done = run_on_numbers(config_of("mha", "decode", "2x2"))
    message = r"^the plan has no tensor 'layer\[0\]/qkv_v'; did you mean 'layer\[0\]/qkv_w'\?"
    with pytest.raises(CairnError, match=message):
        execute(done.plan, done.trace, done.sequence.instances, {"layer[0]/qkv_v": np.zeros((2, 2))})


def test_a_compute_task_of_an_operator_that_is_not_described_is_refused() -> None:
    done = run_on_numbers(config_of("mha", "decode", "2x2"))
    with pytest.raises(CairnError, match=r"computes for operator 'layer/\w+' of block instance 1, which is not given"):
        others = [replace(i, number=99) if i.number == 1 else i for i in done.sequence.instances]
        execute(done.plan, done.trace, others, done.inputs)


def test_both_engines_order_gives_the_same_numbers() -> None:
    config = config_of("gqa", "decode", "2x2")
    done = run_on_numbers(config)
    trace = run_plan(done.plan, config.chip, Engine.REFERENCE)
    other = execute(done.plan, trace, done.sequence.instances, done.inputs)
    np.testing.assert_array_equal(other.gathered("epilogue/lm_head"), done.outcome.gathered("epilogue/lm_head"))
