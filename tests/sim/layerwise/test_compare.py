"""Accelerators beside each other: what the tables hold, and numbers as the report writes them."""

from __future__ import annotations

import copy
import math

import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.bitserial.spec import FP16
from cairn.sim.config.document import Document
from cairn.sim.config.problems import validate
from cairn.sim.layerwise.compare import compare_layers, load_model
from cairn.sim.layerwise.console import scaled
from cairn.sim.layerwise.run import LARGEST, run_layers
from cairn.sim.layerwise.spec import AcceleratorSpec, Phase, PhaseSpec, load_accelerator
from tests.test_bad_input import VALUES, nodes


def test_energy_of_the_buffers_is_that_of_all_passes_and_words() -> None:
    found = run_layers(load_accelerator("bitmod-lossy"), load_model("phi-2"), Phase.PREFILL)
    table = found.table
    sums = [int((table[name] * table["count"]).sum()) for name in ("passes", "weight_words", "activation_words")]
    assert float(found.buffers.energy_pj(*sums)) == pytest.approx(found.sram_pj, rel=1e-12)
    assert (found.sram_pj_each > 0).all()


def test_products_of_equal_computing_and_dram_are_bound_by_both() -> None:
    # one FP16 element and 16 bits of DRAM a cycle, a token: a product of k inputs and n outputs computes k n cycles and
    # moves k n + k + n times 16 bits; at 48 bits a cycle that is as long where 2 k n = k + n, so for k = n = 1
    shape = PhaseSpec(rows=1, columns=1, weight_bits=16)
    spec = AcceleratorSpec(
        name="one", source="by hand", prefill=shape, decode=shape, element=FP16, dram_bits_per_cycle=48
    )
    model = load_model("gpt-2-small").model_copy(update={"vocab": 1, "layers": 1})
    one = model.model_copy(update={"hidden": 1, "attention": model.attention.model_copy(update={"heads": 1})})  # type: ignore[union-attr]
    table = compare_layers([spec], one, Phase.DECODE, 1).products().set_index("product")
    assert table.loc["lm_head", ["compute_cycles", "dram_cycles", "cycles", "bound_by"]].tolist() == [1, 1, 1, "both"]


def test_accelerators_of_one_name_are_refused() -> None:
    spec = load_accelerator("bitmod-fp16")
    other = spec.model_copy(update={"buffer_kib": 1024})
    with pytest.raises(ConfigError, match=r"^accelerators: bitmod-fp16: given more than once; names tell the rows"):
        compare_layers([spec, other], load_model("phi-2"))
    assert len(compare_layers([spec, other.model_copy(update={"name": "mine"})], load_model("phi-2")).totals()) == 2


@pytest.mark.parametrize("context", [1 << power for power in range(10, 16)])
def test_counts_of_long_steps_are_exact(context: int) -> None:
    found = run_layers(load_accelerator("bitmod-lossy"), load_model("llama-3.1-405b"), Phase.PREFILL, context)
    table, heads = found.table, 128
    assert table.loc["qk", "macs"] == heads * context * context * (heads * 128)  # merged: over all queries' width
    assert table.loc["pv", "macs"] == context * (heads * context) * context
    for name in ("macs", "cycles", "dram_bits", "compute_cycles"):
        total = sum(int(each) * int(count) for each, count in zip(table[name], table["count"], strict=True))
        assert total == getattr(found, name) < LARGEST
    assert (table.drop(columns="count") >= 0).all().all()


@pytest.mark.parametrize("context", [1 << power for power in range(17, 21)])
def test_steps_beyond_what_64_bits_count_are_refused(context: int) -> None:
    with pytest.raises(ConfigError, match=r"^context: the step takes more operations, cycles or bits than 64 bits"):
        run_layers(load_accelerator("bitmod-lossy"), load_model("llama-3.1-405b"), Phase.PREFILL, context)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "", "0.000"),
        (0.00002999, "J", "29.99 uJ"),
        (999.94, "", "999.9"),
        (999.96, "", "1.000 k"),
        (1234567, "B", "1.235 MB"),
        (413_518_656, "", "413.5 M"),
        (1.807e12, "", "1.807 T"),
        (2_000_000, "s", "2.000 Ms"),
        (math.nan, "J", "-"),
    ],
)
def test_numbers_have_four_digits_and_a_multiple(value: float, unit: str, text: str) -> None:
    assert scaled(value, unit) == text


def test_whatever_stands_in_an_accelerator_file_is_worked_out_or_refused() -> None:
    whole = load_accelerator("bitmod-lossy").model_dump(mode="json", by_alias=True)
    del whole["schema"]
    model, outcomes = load_model("phi-2"), {"refused": 0, "worked out": 0}
    for number, _ in enumerate(nodes(whole)):
        for value in VALUES:
            content = copy.deepcopy(whole)
            inside, key = list(nodes(content))[number]
            inside[key] = value
            try:
                found = compare_layers([validate(Document("a.yaml", content), AcceleratorSpec)], model)
            except ConfigError:
                outcomes["refused"] += 1
            else:
                assert (found.products()[["compute_cycles", "dram_cycles", "cycles", "dram_bytes"]] >= 0).all().all()
                assert found.to_json()
                outcomes["worked out"] += 1
    assert min(outcomes.values()) > 50
