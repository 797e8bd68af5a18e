"""One prompt cut into micro-batches: each reads what those before it stored, and the result is that of the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cairn.base.errors import CairnError
from cairn.hw_models.dram.request import REQUEST_COLUMNS
from cairn.sim.config.run_config import RunConfig
from cairn.sim.mapping.sequence import pipelined
from cairn.sim.plan.instance import BlockInstance
from cairn.sim.plan.numbers import execute
from cairn.sim.plan.plan import CAUSES, COPY_COLUMNS, DRAM, SRAM, Plan
from cairn.workloads.build import build_graph
from cairn.workloads.graph import Role

from .numbers_models import MODELS, check_against_numpy, config_of, copies, hasty, run_on_numbers

EQUAL_LAYERS = [name for name in MODELS if "moe" not in name and name != "window"]
PROMPTS: dict[str, dict[str, Any]] = {
    "prompt": {"phase": "prefill", "new_tokens": 19},
    "behind": {"phase": "prefill", "new_tokens": 11, "cached_tokens": 9},
    "token by token": {"phase": "mixed", "requests": [{"new": 5, "cached": 6}]},
    "long": {"phase": "prefill", "new_tokens": 90, "cached_tokens": 40},
}
SHAPES = {"2 of 2x2": ("2x2", 2), "2 of 4x4": ("4x4", 2), "4 of 2x4": ("2x4", 4)}


@pytest.fixture(autouse=True)
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model all of whose layers have a window."""
    attention = {"heads": 4, "kv_heads": 2, "head_dim": 8, "window": 7}
    monkeypatch.setitem(MODELS, "windows", {"attention": attention, "ffn": {"width": 48}})


def cut(model: str, prompt: str, shape: str, form: str = "fused", sram_kib: int = 16, **workload: Any) -> RunConfig:
    """A prompt through a pipeline of stages with one layer each, unless more are asked for."""
    grid, stages = SHAPES[shape]
    config = config_of(model, "prefill", grid, sram_kib, stages, paradigm="dataflow", stages=stages)
    content = config.model_dump(mode="json", by_alias=True)
    return RunConfig.model_validate({**content, "workload": {**PROMPTS[prompt], "attention": form, **workload}})


CASES = [
    (model, list(PROMPTS)[(i + k) % 3], list(SHAPES)[(i // 3 + k) % 3])
    for i, model in enumerate([*EQUAL_LAYERS, "windows"])
    for k in range(3)
]


@pytest.mark.parametrize(("model", "prompt", "shape"), CASES)
def test_a_prompt_in_micro_batches_gives_numpys_result_in_the_order_that_was_simulated(
    model: str, prompt: str, shape: str
) -> None:
    done = check_against_numpy(cut(model, prompt, shape))
    assert read_back(done.plan).size


@pytest.mark.parametrize(("model", "prompt", "shape"), CASES)
def test_a_prompt_in_micro_batches_gives_numpys_result_in_any_order_that_its_dependences_and_queues_allow(
    model: str, prompt: str, shape: str
) -> None:
    check_against_numpy(cut(model, prompt, shape), shake=3)


@pytest.mark.parametrize("model", ["mha", "gqa", "mla", "windows"])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_an_unfused_prompt_in_micro_batches_gives_numpys_result(model: str, prompt: str) -> None:
    check_against_numpy(cut(model, prompt, "2 of 2x2", "unfused", sram_kib=8), shake=4)


@pytest.mark.parametrize("model", ["gqa", "mla", "windows"])
def test_a_long_prompt_in_blocks_of_keys_gives_numpys_result(model: str) -> None:
    check_against_numpy(cut(model, "long", "4 of 2x4"), shake=5)


@pytest.mark.parametrize("model", ["gqa", "mla"])
@pytest.mark.parametrize("form", ["fused", "unfused"])
def test_keys_of_an_earlier_micro_batch_that_are_not_appended_come_from_the_cores_that_made_them(
    model: str, form: str
) -> None:
    done = check_against_numpy(cut(model, "behind", "4 of 2x4", form, kv_append=False), shake=6)
    assert not {CAUSES.index("append"), CAUSES.index("spill")} & set(done.plan.copies[:, 11])


@pytest.mark.parametrize("model", [*EQUAL_LAYERS, "windows"])
def test_a_prompt_in_micro_batches_ends_as_the_whole_prompt_does(model: str) -> None:
    config = cut(model, "prompt", "2 of 2x2", embedding=False)
    done = check_against_numpy(config)
    whole = {"paradigm": "compute_shift", "stages": 1}
    at_once = run_on_numbers(config.model_copy(update={"mapping": config.mapping.model_copy(update=whole)}))
    last, all_ = done.outcome.gathered("epilogue.1/lm_head"), at_once.outcome.gathered("epilogue/lm_head")
    assert last.shape == all_.shape == (1, 96)
    np.testing.assert_allclose(last, all_, rtol=1e-9)
    for layer, instance in enumerate(at_once.sequence.instances[:2]):
        for name in resident(instance):
            mine = done.outcome.dram(f"slot{layer}.stage{layer}.layer0/{name}")
            np.testing.assert_allclose(mine, at_once.outcome.dram(instance.tensor_name(name)), rtol=1e-9, err_msg=name)


def resident(instance: BlockInstance) -> list[str]:
    """Caches and states of a layer."""
    return [tensor.name for tensor in instance.block.tensors if tensor.role in (Role.KV, Role.STATE)]


@pytest.mark.parametrize("model", ["gqa", "mla", "retnet", "mamba"])
def test_a_layer_has_one_tensor_for_each_cache_and_state_and_nothing_of_it_is_given_to_later_micro_batches(
    model: str,
) -> None:
    done = run_on_numbers(cut(model, "prompt", "4 of 2x4"))
    for stage in range(4):
        label = f"slot{stage}.stage{stage}.layer0"  # where the first micro-batch meets the layer
        names = resident(next(i for i in done.sequence.instances if i.label == label))
        there = {name for name in done.plan.tensors if f".stage{stage}." in name and name.split("/")[1] in names}
        assert there == {f"{label}/{name}" for name in names}
        assert all(np.isnan(done.inputs[name]).all() for name in there if name.endswith("cache"))
        assert there == {name for name in done.inputs if f".stage{stage}." in name and name.split("/")[1] in names}


def test_layers_that_are_left_out_leave_each_layer_its_own_caches() -> None:
    config = cut("gqa", "prompt", "2 of 2x2")
    config = config.model_copy(update={"model": config.model.model_copy(update={"layers": 24})})
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    sequence, builder = pipelined(config, graph, 6)
    plan = builder.build()
    caches = [name for name in plan.tensors if name.endswith("k_cache")]
    first = [f"slot{s}.stage{s}.layer{index}/k_cache" for s in range(2) for index in range(4)]
    assert sorted(caches) == sorted(first)  # of 12 layers a stage, 4 are written: whole rounds are left out
    users: dict[str, list[str]] = {name: [] for name in caches}
    for instance in sequence.instances:
        if ".stage" in instance.label:
            users[instance.tensor_name("k_cache")].append(instance.label)
    for name, labels in users.items():
        assert {label.split(".", 1)[1] for label in labels} == {name.split("/")[0].split(".", 1)[1]}
        assert len(labels) == 2  # one for each micro-batch


@pytest.mark.parametrize("form", ["fused", "unfused"])
@pytest.mark.parametrize("model", ["gqa", "mla", "windows", "retnet", "mamba"])
def test_a_row_of_a_cache_or_state_has_one_place_for_all_micro_batches(model: str, form: str) -> None:
    done = run_on_numbers(cut(model, "behind", "4 of 2x4", form))
    plan, places = done.plan, {}
    lasting = [name.split("/")[-1] in resident(done.sequence.instances[1]) for name in plan.tensors]
    moved = np.concatenate([copies(plan, DRAM, SRAM), copies(plan, SRAM, DRAM)])
    for task in moved.tolist():
        row = dict(zip(COPY_COLUMNS, plan.copies[plan.row[task]].tolist(), strict=True))
        if not lasting[row["tensor"]]:
            continue
        request = dict(zip(REQUEST_COLUMNS, plan.requests[0][plan.request[task]].tolist(), strict=True))
        each = request["bytes"] // (row["r1"] - row["r0"])
        for index in range(row["r0"], row["r1"]):
            at = request["channel"], request["bank_base"], request["row_base"]
            place = *at, request["offset_bytes"] + (index - row["r0"]) * each
            assert places.setdefault((row["tensor"], row["group"], index, row["c0"]), place) == place
    assert places


# -- what is read back -------------------------------------------------------------------------------------------------


def read_back(plan: Plan) -> np.ndarray:
    """Loads of caches and states that were stored in the same step."""
    tasks = copies(plan, DRAM, SRAM)
    return tasks[plan.copies[plan.row[tasks], COPY_COLUMNS.index("cause")] == CAUSES.index("spill")]


@pytest.mark.parametrize("form", ["fused", "unfused"])
def test_keys_of_earlier_micro_batches_are_read_back_as_spilled_bytes_and_those_before_the_step_as_unique_ones(
    form: str,
) -> None:
    done = run_on_numbers(cut("mha", "behind", "2 of 2x2", form, sram_kib=64))
    table = {name: done.plan.copies[:, index] for index, name in enumerate(COPY_COLUMNS)}
    caches = np.array(["cache" in name for name in done.plan.tensors])[table["tensor"]]
    loads = caches & (table["source_kind"] == DRAM)
    row = 2 * 32 * 2  # keys and values, 4 heads of 8 columns, 16 bits
    unique = loads & (table["cause"] == CAUSES.index("unique"))
    assert table["bytes"][unique].sum() == 2 * 2 * 9 * row  # layers, micro-batches, cached rows
    assert set(table["r1"][unique]) == {9}
    spilled = loads & (table["cause"] == CAUSES.index("spill"))
    assert table["r0"][spilled].min() == 9
    earlier = spilled & (table["r1"] <= 14)  # read by both micro-batches, of 5 and 6 new tokens
    later = spilled & (table["r0"] >= 14)
    assert earlier.sum() + later.sum() == spilled.sum()
    appended = table["bytes"][caches & (table["destination_kind"] == DRAM)].sum()
    assert appended == 2 * 11 * row


@pytest.mark.parametrize(
    ("model", "choose"),
    [
        ("gqa", read_back),
        ("mla", read_back),
        ("retnet", read_back),
        ("mamba", read_back),
        ("gqa", lambda plan: copies(plan, SRAM, DRAM)),
        ("retnet", lambda plan: copies(plan, SRAM, DRAM)),
    ],
)
def test_a_micro_batch_that_does_not_wait_for_what_another_stores_is_noticed(
    model: str, choose: Callable[[Plan], np.ndarray]
) -> None:
    done = run_on_numbers(cut(model, "prompt", "2 of 2x2"))
    for task in np.random.default_rng(2).choice(choose(done.plan), 4):
        start, end = done.trace.start.copy(), done.trace.end.copy()
        start[task], end[task] = 0, 1
        trace = replace(done.trace, start=start, end=end)
        with pytest.raises((CairnError, AssertionError)):
            outcome = execute(hasty(done.plan, int(task)), trace, done.sequence.instances, done.inputs)
            for name in ("epilogue.0/lm_head", "epilogue.1/lm_head"):  # an old state is there, and is wrong
                np.testing.assert_allclose(outcome.gathered(name), done.expected[name], rtol=1e-9)


def test_keys_that_an_earlier_micro_batch_loaded_do_not_serve_a_later_one() -> None:
    done = run_on_numbers(cut("mha", "behind", "2 of 2x2"))
    table = done.plan.copies.copy()
    loads = copies(done.plan, DRAM, SRAM)
    loads = loads[np.diff(done.plan.on_first.start)[loads] == 0]  # for the core itself: not sent on
    rows = table[done.plan.row[loads]]
    keys = np.array([name.endswith("k_cache") for name in done.plan.tensors])[rows[:, COPY_COLUMNS.index("tensor")]]
    old = loads[keys & (rows[:, COPY_COLUMNS.index("cause")] == CAUSES.index("unique"))]
    table[done.plan.row[old[-1]], COPY_COLUMNS.index("destination")] ^= 1
    with pytest.raises(CairnError, match=r"core \d has no slot\d\.stage\d\.layer0/k_cache"):
        execute(replace(done.plan, copies=table), done.trace, done.sequence.instances, done.inputs)
