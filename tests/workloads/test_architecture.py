"""Model specifications refuse what cannot be a model, and say which rule was broken."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from cairn.base.spec import Spec, source_of
from cairn.workloads import architecture, routing, step
from cairn.workloads.architecture import ModelSpec, PrecisionSpec

BASE: dict[str, Any] = {"name": "m", "source": "t", "layers": 2, "hidden": 64, "vocab": 10}
DENSE = {**BASE, "attention": {"heads": 4}, "ffn": {"width": 8}}
MLA = {"kv_lora_rank": 8, "qk_nope_head_dim": 4, "qk_rope_head_dim": 2, "v_head_dim": 4}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**DENSE, "attention": {"heads": 4, "kv_heads": 3}}, "kv_heads (3) must divide heads (4)"),
        ({**DENSE, "attention": {"heads": 5}}, "heads (5) must divide hidden (64), or give head_dim"),
        ({**DENSE, "attention": {"heads": 4, "head_dim": 5}}, "turns pairs of columns, but head_dim is 5"),
        ({**DENSE, "attention": {"heads": 4, "rotary_dim": 18}}, "rotary_dim (18) exceeds head_dim (16)"),
        ({**DENSE, "attention": {"heads": 4, "full_attention_every": 2}}, "full_attention_every needs a window"),
        ({**DENSE, "attention": {"heads": 4, "kv_heads": 2, "mla": MLA}}, "mla replaces kv_heads: leave it out"),
        ({**DENSE, "attention": {"heads": 4, "qk_norm": True, "mla": MLA}}, "mla replaces qk_norm: leave it out"),
        ({**BASE, "ffn": {"width": 8}}, "family transformer needs attention"),
        ({**BASE, "attention": {"heads": 4}}, "a transformer needs ffn, moe or both"),
        ({**DENSE, "mamba": {"d_inner": 8, "dt_rank": 1}}, "family transformer has no mamba"),
        ({**DENSE, "family": "mamba"}, "family mamba needs mamba"),
        ({**DENSE, "family": "rnn"}, "'transformer', 'retnet' or 'mamba'"),
        ({**DENSE, "moe": {"experts": 2, "top_k": 3, "width": 4}}, "top_k (3) must not exceed experts (2)"),
        ({**DENSE, "moe": {"experts": 2, "top_k": 1, "width": 4, "dense_layers": 2}}, "must be below layers (2)"),
        ({**DENSE, "moe": {"experts": 2, "top_k": 1, "width": 4, "shared_width": 2}}, "needs shared_experts"),
        ({**DENSE, "moe": {"experts": 2, "top_k": 1, "width": 4}, "parallel_blocks": True}, "leave moe out"),
        (
            {**BASE, "attention": {"heads": 4}, "moe": {"experts": 2, "top_k": 1, "width": 4, "dense_layers": 1}},
            "ffn is missing: moe.dense_layers or moe.every leaves layers without experts",
        ),
        ({**DENSE, "position": "learned"}, "position learned needs max_context"),
        ({**DENSE, "position_rows": 9}, "position_rows is the length of a learned table; position is rope"),
        (
            {**DENSE, "position": "learned", "max_context": 10, "position_rows": 9},
            "position_rows (9) is below max_context (10)",
        ),
        ({**DENSE, "layers": 0}, "greater than 0"),
        ({**DENSE, "layers": 10**9}, "less than or equal to 10000"),
        ({**DENSE, "vocab": 10**9}, "less than or equal to 16777216"),
        ({**DENSE, "hidden": float("nan")}, "hidden"),
        ({**DENSE, "heads": 3}, "Extra inputs are not permitted"),
        ({**DENSE, "schema": "cairn.model/2"}, "cairn.model/1"),
        ({**DENSE, "precision": {"weight_bits": 4, "weight_storage_bits": 2}}, "weight_bits (4) does not fit"),
        ({**DENSE, "precision": {"weight_bits": 0}}, "greater than 0"),
    ],
)  # fmt: skip
def test_an_impossible_model_is_refused_with_the_rule(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        ModelSpec.model_validate(values)


def test_a_model_survives_being_written_and_read() -> None:
    spec = ModelSpec.model_validate({**DENSE, "schema": "cairn.model/1"})
    data = spec.model_dump(mode="json", by_alias=True)
    assert data["schema"] == "cairn.model/1"
    assert ModelSpec.model_validate(data) == spec


def test_ternary_weights_are_stored_in_two_bits_unless_said_otherwise() -> None:
    assert PrecisionSpec(weight_bits=1.58).stored_weight_bits == 2
    assert PrecisionSpec(weight_bits=1.58, weight_storage_bits=1.6).stored_weight_bits == 1.6
    assert PrecisionSpec(weight_bits=4, weight_storage_bits=4.25).stored_expert_bits == 4.25
    assert PrecisionSpec(weight_bits=8, expert_weight_bits=1.58).stored_expert_bits == 2
    assert PrecisionSpec().stored_weight_bits == 16


@pytest.mark.parametrize(
    "spec",
    [
        thing
        for module in (architecture, routing, step)
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Spec) and thing is not Spec
    ],
)
def test_every_default_says_where_it_comes_from(spec: type[Spec]) -> None:
    for name in spec.model_fields:
        assert source_of(spec, name), f"{spec.__name__}.{name} has no source"
