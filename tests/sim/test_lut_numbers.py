"""Steps on chips with LUT units give NumPy's result: tables are made of activations and products looked up in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cairn.base.errors import CairnError
from cairn.hw_models.chip import ChipSpec
from cairn.sim.config.run_config import Engine, ProductFidelity, RunConfig
from cairn.sim.plan import actions
from cairn.sim.plan.numbers import execute
from cairn.sim.plan.plan import COMPUTE_COLUMNS
from cairn.sim.run import run_plan

from .numbers_models import MODELS, Executed, check_against_numpy, config_of, run_on_numbers

ACTION, GROUP = COMPUTE_COLUMNS.index("action"), COMPUTE_COLUMNS.index("group")


def lut_config(
    model: str, step: str, grid: str = "4x4", weight_bits: float | None = None, lut: dict[str, Any] | None = None,
    **others: Any,
) -> RunConfig:  # fmt: skip
    """A run of a small model whose weights have `weight_bits` (None: its own) on a chip with a small LUT unit."""
    config = config_of(model, step, grid, **others)
    chip = config.chip.model_dump(mode="json", by_alias=True)
    chip["lut_unit"] = {"m": 2, "n": 8, "k": 4, "arrays": 2, **(lut or {})}
    update: dict[str, Any] = {"chip": ChipSpec.model_validate(chip)}
    if weight_bits is not None:
        precision = config.model.precision.model_copy(update={"weight_bits": weight_bits, "activation_bits": 8})
        update["model"] = config.model.model_copy(update={"precision": precision})
    return config.model_copy(update=update)


def actions_of(done: Executed) -> set[int]:
    return set(np.unique(done.plan.compute[:, ACTION]).tolist())


@pytest.mark.parametrize("precompute", ["fused", "separate"])
@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd"])
@pytest.mark.parametrize(
    ("model", "step", "grid"),
    [("ternary", "decode", "4x4"), ("ternary", "prefill", "2x4"), ("packed_ternary", "mixed", "2x2"),
     ("packed_ternary", "decode_one", "4x4")],
)  # fmt: skip
def test_ternary_steps_are_looked_up_and_give_numpys_result(
    model: str, step: str, grid: str, paradigm: str, precompute: str
) -> None:
    done = check_against_numpy(lut_config(model, step, grid, paradigm=paradigm, precompute=precompute))
    assert {actions.PRECOMPUTE, actions.LOOKUP} <= actions_of(done)
    made = done.plan.compute[done.plan.compute[:, ACTION] == actions.PRECOMPUTE]
    assert set(made[:, GROUP]) == {actions.FUSED if precompute == "fused" else 0}


@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # weights of 8 bits are not scaled down
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("model", ["gqa", "mla", "moe", "moe_many", "partial_rope"])
def test_steps_of_any_family_give_numpys_result_at_1_to_8_bits(model: str, bits: int) -> None:
    check_against_numpy(lut_config(model, "mixed", "2x4", weight_bits=bits), shake=bits)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 7])
def test_groups_that_do_not_divide_the_width_are_filled_up(k: int) -> None:
    check_against_numpy(lut_config("ternary", "prefill_cached", "4x4", lut={"k": k, "n": 5}))


@pytest.mark.parametrize("merged", [False, True])
def test_rows_in_several_passes_have_tables_of_their_own(merged: bool) -> None:
    config = lut_config("ternary", "prefill", "2x2", sram_kib=4)
    update: dict[str, Any] = {"workload": config.workload.model_copy(update={"new_tokens": 1000 if merged else 70})}
    if merged:
        update["fidelity"] = config.fidelity.model_copy(update={"products": ProductFidelity.MERGED})
    done = check_against_numpy(config.model_copy(update=update))
    assert (done.plan.compute[:, COMPUTE_COLUMNS.index("turns")].max() > 1) == merged


def test_a_pipeline_of_stages_gives_numpys_result() -> None:
    check_against_numpy(lut_config("ternary", "mixed", "4x4", layers=4, paradigm="dataflow", stages=4), shake=2)


def test_both_engines_agree_to_the_tick() -> None:
    done = run_on_numbers(lut_config("ternary", "mixed", "2x2"))
    config = lut_config("ternary", "mixed", "2x2")
    trace = run_plan(done.plan, config.chip, Engine.REFERENCE)
    for name in ("start", "first", "end"):
        assert np.array_equal(getattr(trace, name), getattr(done.trace, name)), name


def test_tables_are_shared_by_operators_that_read_the_same_activations() -> None:
    """Attention and feed-forward network of a parallel block read one norm's result."""
    done = check_against_numpy(lut_config("partial_rope", "decode", "4x4", weight_bits=2))
    plan, columns = done.plan, COMPUTE_COLUMNS.index
    made = plan.compute[plan.compute[:, ACTION] == actions.PRECOMPUTE]
    names = {plan.operators[row[columns("op")]].split("/")[1] for row in made}
    assert "qkv" in names and not names & {"gate", "up", "gate_up"}


def test_a_look_up_without_its_tables_is_noticed() -> None:
    done = run_on_numbers(lut_config("ternary", "decode", "2x2"))
    plan = done.plan
    at = np.flatnonzero(plan.compute[:, ACTION] == actions.PRECOMPUTE)[0]
    table = plan.compute.copy()
    table[at, COMPUTE_COLUMNS.index("n1")] = table[at, COMPUTE_COLUMNS.index("n0")]
    with pytest.raises(CairnError, match="tables of"):
        execute(replace(plan, compute=table), done.trace, done.sequence.instances, done.inputs)


def test_weights_that_are_no_whole_numbers_cannot_be_looked_up() -> None:
    done = run_on_numbers(lut_config("ternary", "decode", "2x2"))
    name = next(name for name in done.inputs if name.endswith("qkv_w"))
    inputs = {**done.inputs, name: done.inputs[name] + 0.5}
    with pytest.raises(CairnError, match="weights of 2 bits are whole numbers from -2 to 1"):
        execute(done.plan, done.trace, done.sequence.instances, inputs)


def test_products_of_16_bits_stay_with_the_matrix_unit() -> None:
    done = run_on_numbers(lut_config("mha", "decode", "2x2"))
    assert MODELS["mha"].get("precision") is None
    assert not {actions.PRECOMPUTE, actions.LOOKUP} & actions_of(done)
