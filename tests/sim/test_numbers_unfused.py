"""Plans with unfused attention, run on numbers, give NumPy's result, wherever scores lie and whoever shares a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from cairn.base.errors import CairnError
from cairn.sim.config.run_config import RunConfig
from cairn.sim.plan import actions
from cairn.sim.plan.numbers import execute
from cairn.sim.plan.plan import CAUSES, COPY_COLUMNS, DRAM, SRAM, Plan

from .numbers_models import (
    GRIDS,
    MODELS,
    STEPS,
    Executed,
    check_against_numpy,
    computes,
    config_of,
    copies,
    hasty,
    run_on_numbers,
)

WITH_ATTENTION = [name for name in MODELS if name not in ("retnet", "mamba")]
MAPPINGS: list[dict[str, Any]] = [
    {"paradigm": paradigm, "placement": placement, "banks": banks}
    for banks, placement, paradigm in product(
        ("software_aware", "interleaved", "uniform"), ("dimension_ordered", "sequential"), ("compute_shift", "spmd")
    )
]
CASES = [
    (model, step, list(GRIDS)[index % 3], MAPPINGS[(index + index // 12) % len(MAPPINGS)])
    for index, (model, step) in enumerate(product(WITH_ATTENTION, STEPS))
]
PIPELINES = [("decode", "2x4", 2), ("prefill_cached", "2x2", 2), ("mixed", "4x4", 4)]

PROMPT = {"phase": "prefill", "new_tokens": 70}
BEHIND = {"phase": "prefill", "new_tokens": 3, "cached_tokens": 900}
LONG = {"phase": "decode", "context": [700, 30]}
LONGER = {"phase": "decode", "context": 1500}


def case_name(case: tuple[str, str, str, dict[str, Any]]) -> str:
    return "-".join([*case[:3], *case[3].values()])


def unfused(model: str, workload: dict[str, Any], grid: str, sram_kib: int, **mapping: Any) -> RunConfig:
    """A small model with a workload of its own."""
    config = config_of(model, "decode", grid, sram_kib, attention="unfused", **mapping)
    content = config.model_dump(mode="json", by_alias=True)
    return RunConfig.model_validate({**content, "workload": {**workload, "attention": "unfused"}})


def spilled(plan: Plan, writes: bool) -> np.ndarray:
    """Tasks that store scores in DRAM, or load them."""
    tasks = copies(plan, SRAM, DRAM) if writes else copies(plan, DRAM, SRAM)
    rows = plan.copies[plan.row[tasks]]
    scores = np.array([name.endswith("/scores") for name in plan.tensors])
    return tasks[scores[rows[:, COPY_COLUMNS.index("tensor")]]]


@pytest.mark.parametrize(("model", "step", "grid", "mapping"), CASES, ids=map(case_name, CASES))
def test_an_unfused_step_gives_numpys_result_in_the_order_that_was_simulated(
    model: str, step: str, grid: str, mapping: dict[str, Any]
) -> None:
    check_against_numpy(config_of(model, step, grid, attention="unfused", **mapping))


@pytest.mark.parametrize(("model", "step", "grid", "mapping"), CASES[::2], ids=map(case_name, CASES[::2]))
def test_an_unfused_step_gives_numpys_result_in_any_order_that_its_dependences_and_queues_allow(
    model: str, step: str, grid: str, mapping: dict[str, Any]
) -> None:
    other = {**mapping, "paradigm": "spmd" if mapping["paradigm"] == "compute_shift" else "compute_shift"}
    check_against_numpy(config_of(model, step, grid, attention="unfused", **other), shake=1)


@pytest.mark.parametrize("model", [name for name in WITH_ATTENTION if "moe" not in name and name != "window"])
@pytest.mark.parametrize(("step", "grid", "stages"), PIPELINES)
def test_an_unfused_pipeline_of_stages_gives_numpys_result(model: str, step: str, grid: str, stages: int) -> None:
    mapping = {"layers": stages, "paradigm": "dataflow", "stages": stages}
    check_against_numpy(config_of(model, step, grid, attention="unfused", **mapping), shake=2)


@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd"])
@pytest.mark.parametrize("model", ["gqa", "mla", "wide_window"])
def test_scores_that_spill_give_numpys_result_where_whole_rows_come_back(
    model: str, paradigm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = {**MODELS["gqa"], "attention": {**MODELS["gqa"]["attention"], "window": 40}}
    monkeypatch.setitem(MODELS, "wide_window", wide)
    done = check_against_numpy(unfused(model, PROMPT, "2x2", 8, paradigm=paradigm), shake=5)
    assert spilled(done.plan, writes=True).size
    assert not computes(done.plan, actions.ROW_STATS).size


@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd"])
@pytest.mark.parametrize("model", ["mha", "gqa", "mla", "window"])
def test_scores_that_spill_give_numpys_result_where_rows_come_back_tile_by_tile(model: str, paradigm: str) -> None:
    done = check_against_numpy(unfused(model, BEHIND, "2x2", 4, paradigm=paradigm), shake=6)
    assert computes(done.plan, actions.ROW_STATS).size == computes(done.plan, actions.PROBABILITIES).size > 0
    assert spilled(done.plan, writes=True).size and not softmax_merges(done).size


@pytest.mark.parametrize("model", ["gqa", "mla", "window"])
@pytest.mark.parametrize(("workload", "grid", "sram_kib"), [(LONG, "2x2", 4), (LONGER, "2x2", 4), (LONG, "4x4", 16)])
def test_rows_that_cores_share_give_numpys_result_where_scores_spill_and_where_they_do_not(
    model: str, workload: dict[str, Any], grid: str, sram_kib: int
) -> None:
    done = check_against_numpy(unfused(model, workload, grid, sram_kib), shake=7)
    assert softmax_merges(done).size
    assert bool(spilled(done.plan, writes=True).size) == (sram_kib == 4)


def softmax_merges(done: Executed) -> np.ndarray:
    """Tasks that join maxima and sums of several cores."""
    tasks = computes(done.plan, actions.MERGE)
    operators = done.plan.compute[done.plan.row[tasks], 0]
    return tasks[[done.plan.operators[operator].endswith("/softmax") for operator in operators]]


@pytest.mark.parametrize("model", ["gqa", "mla"])
def test_new_keys_of_an_unfused_attention_that_are_not_appended_come_from_the_core_that_made_them(model: str) -> None:
    config = config_of(model, "prefill_cached", "2x2", attention="unfused")
    config = config.model_copy(update={"workload": config.workload.model_copy(update={"kv_append": False})})
    done = check_against_numpy(config)
    assert CAUSES.index("append") not in done.plan.copies[:, COPY_COLUMNS.index("cause")]


# -- the executor notices ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "workload", "choose"),
    [
        ("a product of queries and keys", BEHIND, lambda p: computes(p, actions.SCORES)),
        ("a store of scores", BEHIND, lambda p: spilled(p, writes=True)),
        ("a load of scores", BEHIND, lambda p: spilled(p, writes=False)),
        ("a maximum", BEHIND, lambda p: computes(p, actions.ROW_STATS)),
        ("a soft-max of whole rows", STEPS["prefill"], lambda p: computes(p, actions.SOFTMAX)),
        ("probabilities", LONG, lambda p: computes(p, actions.PROBABILITIES)),
        ("a context", PROMPT, lambda p: computes(p, actions.CONTEXT)),
        ("a joining of maxima, sums or results", LONG, lambda p: computes(p, actions.MERGE)),
    ],
)  # fmt: skip
def test_a_task_of_an_unfused_attention_that_does_not_wait_for_its_data_is_noticed(
    what: str, workload: dict[str, Any], choose: Callable[[Plan], np.ndarray]
) -> None:
    done = run_on_numbers(unfused("gqa", workload, "2x2", 4))
    tasks = choose(done.plan)
    assert tasks.size, f"the plan has no task that is {what}"
    for task in np.random.default_rng(1).choice(tasks, 3):
        start, end = done.trace.start.copy(), done.trace.end.copy()
        start[task], end[task] = 0, 1
        trace = replace(done.trace, start=start, end=end)
        with pytest.raises(CairnError, match=r"has no .* when task|no reduce copy has brought"):
            execute(hasty(done.plan, int(task)), trace, done.sequence.instances, done.inputs)


def test_scores_that_were_stored_are_not_used_from_sram() -> None:
    done = run_on_numbers(unfused("gqa", PROMPT, "2x2", 4))
    loads = spilled(done.plan, writes=False)
    table = done.plan.copies.copy()
    table[done.plan.row[loads[0]], COPY_COLUMNS.index("destination")] ^= 1  # to a neighbour, who has no use for them
    with pytest.raises(CairnError, match=r"core \d has no layer\[0\]/scores\["):
        execute(replace(done.plan, copies=table), done.trace, done.sequence.instances, done.inputs)
