"""A model on one array, product by product: products of a step, traffic, the switches of attention, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cairn.base.errors import ConfigError
from cairn.base.spec import source_of
from cairn.hw_models.compute.bitserial.cycle import bound_cycles
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import ACCELERATOR, MODEL, load_document, shipped
from cairn.sim.layerwise.products import model_products
from cairn.sim.layerwise.run import run_layers, traffic
from cairn.sim.layerwise.spec import AcceleratorSpec, AttentionSpec, Phase, PhaseSpec, load_accelerator
from cairn.workloads.architecture import ModelSpec

APART = AttentionSpec(heads="per_head", cached_reads="context")


def model(name: str) -> ModelSpec:
    return validate(load_document(name, MODEL), ModelSpec, MODEL.references)


def small(attention: AttentionSpec | None = None) -> AcceleratorSpec:
    """2 x 2 bit-serial elements, 1 KiB of buffer, 8 bits of DRAM a cycle."""
    shape = PhaseSpec(rows=2, columns=2, weight_bits=4)
    content = {"name": "small", "source": "by hand", "prefill": shape, "decode": shape, "buffer_kib": 1}
    return AcceleratorSpec(**content, dram_bits_per_cycle=8, attention=attention or AttentionSpec())


def test_every_shipped_accelerator_runs_the_models_that_it_was_published_with() -> None:
    for name in shipped(ACCELERATOR):
        for phase in Phase:
            assert run_layers(load_accelerator(name), model("yi-6b"), phase).cycles > 0


def test_a_step_takes_for_each_product_the_longer_of_computing_and_dram() -> None:
    found = run_layers(load_accelerator("bitmod-lossy"), model("llama-2-7b"), Phase.DECODE)
    longer = found.table[["compute_cycles", "dram_cycles"]].max(axis=1)
    assert found.cycles == (longer * found.table["count"]).sum()
    row_bytes = 1568  # 4096 weights of 3.0625 bits
    assert found.table.loc["q", "dram_cycles"] == (4096 * row_bytes * 8 + 2 * 4096 * 16) // 256


def test_no_product_is_faster_than_its_peaks() -> None:
    for name in shipped(ACCELERATOR):
        spec = load_accelerator(name)
        for phase in Phase:
            found = run_layers(spec, model("phi-2"), phase)
            table, bits = found.table, spec.bits(model("phi-2"), phase)
            macs = table["macs"].to_numpy()
            bound = bound_cycles(spec.array(phase), macs, np.ones_like(macs), np.ones_like(macs), bits)
            assert (table["cycles"] >= bound).all()
            assert (table["cycles"] >= table["dram_bits"] // spec.dram_bits_per_cycle).all()


def test_linear_products_have_the_operations_of_the_model() -> None:
    one = model_products(model("llama-3-8b"), 1, 256, APART)
    linear = ~one.attention
    hidden, width, layers = 4096, 14336, 32
    expected = layers * (2 * hidden * hidden + 2 * hidden * 1024 + 3 * hidden * width) + 128256 * hidden
    assert int((one.m * one.n * one.k * one.count)[linear].sum()) == expected


def test_attention_apart_has_all_operations_of_scores_and_values() -> None:
    products = model_products(model("llama-3-8b"), 64, 256, APART)
    macs = int((products.m * products.n * products.k * products.count)[products.attention].sum())
    assert macs == 2 * 32 * 64 * 256 * 4096


def test_merged_attention_does_not_tell_a_head_from_another() -> None:
    merged = model_products(model("llama-3-8b"), 256, 256, AttentionSpec())
    scores, values = np.flatnonzero(merged.attention)
    assert (merged.m[scores], merged.n[scores], merged.k[scores]) == (32 * 256, 256, 4096)
    assert (merged.m[values], merged.n[values], merged.k[values]) == (256, 32 * 256, 256)
    assert merged.read_columns[scores] == 8 * 128 and merged.read_rows[scores] == 32 * 256


def test_reads_of_a_decode_count_one_row_of_values_unless_the_whole_context_is_asked_for() -> None:
    by_rows = model_products(model("llama-2-7b"), 1, 256, AttentionSpec())
    whole = model_products(model("llama-2-7b"), 1, 256, AttentionSpec(cached_reads="context"))
    assert by_rows.read_rows[by_rows.attention].tolist() == [32, 1]
    assert whole.read_rows[whole.attention].tolist() == [256, 256]


def test_attention_passes_as_its_own_bits_take_longer_than_as_those_of_weights() -> None:
    spec = load_accelerator("bitmod-lossy", ["activation_bits=8"])
    own = load_accelerator("bitmod-lossy", ["activation_bits=8", "attention.passes=activations"])
    wide, narrow = (run_layers(one, model("phi-2"), Phase.PREFILL).table for one in (own, spec))
    assert wide.loc["qk", "compute_cycles"] == 2 * narrow.loc["qk", "compute_cycles"]  # 8 bits against 4
    assert wide.loc["up", "compute_cycles"] == narrow.loc["up", "compute_cycles"]


def test_what_fits_one_buffer_is_fetched_once_and_else_the_cheaper_is_fetched_again() -> None:
    products = model_products(model("opt-1.3b"), 256, 256, AttentionSpec())
    moved = traffic(load_accelerator("bitmod-fp16"), products, 16)
    index = products.names.index("up")  # 32 MiB of weights, 1 MiB of inputs, 512 KiB of room for each
    assert (moved.weights[index], moved.inputs[index]) == (8192 * 4096, 256 * 4096)
    assert (moved.weight_fetches[index], moved.input_fetches[index]) == (2, 1)  # 64 + 1 MiB; the other way 32 + 64
    index = products.names.index("pv")  # 4 MiB of scores, 1 MiB of values: 8 + 1 against 4 + 8
    assert (moved.weight_fetches[index], moved.input_fetches[index]) == (2, 1)
    index = products.names.index("qk")  # 1 MiB of queries, 32 MiB of keys as they are counted: 64 + 32 against 1 + 64
    assert (moved.weight_fetches[index], moved.input_fetches[index]) == (1, 2)
    index = products.names.index("lm_head")
    narrow = traffic(load_accelerator("bitmod-fp16", ["buffer_kib=1048576"]), products, 16)
    assert (narrow.weight_fetches[index], narrow.input_fetches[index]) == (1, 1)


def test_bytes_by_hand() -> None:
    content = {"name": "t", "source": "by hand", "layers": 1, "hidden": 8, "vocab": 8}
    tiny = ModelSpec(**content, attention={"heads": 2}, ffn={"width": 8, "gated": False})
    found = run_layers(small(APART), tiny, Phase.DECODE, context=4)
    # 8 x 8 weights of 4 bits, 8 inputs and 8 outputs of 16; 4 tiles of 2 rows, each as long as the scaling of a group
    assert found.table.loc["q", "dram_bits"] == 8 * (32 + 16 + 16)
    assert found.table.loc["q", "compute_cycles"] == 4 * 8
    assert found.table.loc["qk", "dram_bits"] == 8 * (4 * 4 * 2 + 4 * 2 + 4 * 2)  # keys, query, scores of one head
    assert found.table.loc["qk", "count"] == 2


def test_energy_is_of_all_bits_and_cycles() -> None:
    spec = load_accelerator("bitmod-olive")
    found = run_layers(spec, model("opt-1.3b"), Phase.DECODE)
    assert found.dram_pj == found.dram_bits * 18.75
    assert found.core_pj == pytest.approx(found.compute_cycles * 0.613 * 1.5 * 72 * 16)
    assert found.total_pj == found.on_chip_pj + found.dram_pj and found.sram_pj > 0


def test_cycles_are_known_and_energies_refused_for_a_buffer_that_is_not_tabled() -> None:
    found = run_layers(load_accelerator("bitmod-fp16", ["buffer_kib=256"]), model("opt-1.3b"), Phase.DECODE)
    assert found.cycles > 0 and found.dram_pj > 0
    with pytest.raises(ConfigError, match="buffer_kib: energies are tabled for 512 KiB only, got 256"):
        _ = found.total_pj


def test_longer_contexts_and_wider_weights_take_no_less() -> None:
    spec, llama = load_accelerator("bitmod-lossless"), model("llama-3.2-1b")
    cycles = [run_layers(spec, llama, Phase.PREFILL, context=size).cycles for size in (16, 64, 256, 1024)]
    assert cycles == sorted(cycles)
    narrow, wide = (run_layers(spec, llama, Phase.DECODE, weight_bits=bits) for bits in (3, 8))
    assert narrow.cycles < wide.cycles and narrow.dram_bits < wide.dram_bits


def test_a_model_whose_bits_are_not_known_is_refused_with_those_that_are() -> None:
    begins = r"decode.bits_of: bitmod-ant has no bits for weights of 'Llama-3.2-1B'"
    with pytest.raises(ConfigError, match=begins) as told:
        run_layers(load_accelerator("bitmod-ant"), model("llama-3.2-1b"), Phase.DECODE)
    assert "give weight_bits (it has OPT-1.3B, phi-2, Yi-6B" in str(told.value)
    assert run_layers(load_accelerator("bitmod-ant"), model("llama-3.2-1b"), Phase.DECODE, weight_bits=5).cycles > 0


@pytest.mark.parametrize("name", ["mixtral-8x7b", "deepseek-v2-lite-16b", "mamba-2.8b", "retnet-1.3b"])
def test_models_without_whole_heads_or_with_experts_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="must be a dense transformer with whole heads"):
        run_layers(load_accelerator("bitmod-lossy"), model(name), Phase.PREFILL)


@pytest.mark.parametrize(
    ("tokens", "context", "message"),
    [
        (0, 8, "tokens: must be 1 to 1048576, got 0"),
        (1, 0, "context: must be 1 to 1048576, got 0"),
        (9, 8, r"tokens: tokens \(9\) must not exceed context \(8\), which holds their keys"),
    ],
)
def test_steps_out_of_range_are_refused(tokens: int, context: int, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        model_products(model("phi-2"), tokens, context, AttentionSpec())


def test_mistakes_of_a_file_are_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "schema: cairn.accelerator/1\nname: mine\nsource: me\nprefill: {rows: 0, columns: 1, weight_bits: 4}\n"
        "decode: {rows: 1, columns: 1, bits_of: {phi-2: 64}}\nattention: {heads: per_head}\n"
    )
    with pytest.raises(ConfigError) as told:
        load_accelerator(file)
    text = str(told.value)
    assert "prefill.rows" in text and "bits_of must be 1 to 32 bits each, got phi-2: 64" in text
    assert "cached_reads must be context when heads are per_head" in text


def test_weights_that_an_element_does_not_take_are_refused_with_what_it_takes() -> None:
    with pytest.raises(ConfigError) as told:
        load_accelerator("bitmod-lossy", ["decode.weight_bits=12", "attention.passes=activations"])
    assert (
        "an element takes 1 to 8 bits beside scales (element.max_weight_bits), got decode.weight_bits: 12, "
        "activation_bits (attention.passes: activations): 16"
    ) in str(told.value)
    assert load_accelerator("bitmod-lossy", ["decode.weight_bits=8.0625"]).decode.weight_bits == 8.0625


def test_settings_lie_over_a_shipped_accelerator() -> None:
    spec = load_accelerator("bitmod-fp16", ["dram_bits_per_cycle=512"])
    base = run_layers(load_accelerator("bitmod-fp16"), model("opt-1.3b"), Phase.DECODE)
    assert run_layers(spec, model("opt-1.3b"), Phase.DECODE).cycles < base.cycles


@pytest.mark.parametrize("spec", [AcceleratorSpec, AttentionSpec, PhaseSpec])
def test_every_parameter_names_its_source(spec: type[AcceleratorSpec]) -> None:
    assert [name for name in spec.model_fields if not source_of(spec, name)] == []
