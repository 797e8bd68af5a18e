"""A GPU as a roof line: products, steps, prompts, batches, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.base.spec import source_of
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import MODEL, load_document
from cairn.sim.layerwise.gpu import GpuSpec, decode_bytes, decode_ms, decode_tflops, gemv_us, largest_batch, prompt_ms
from cairn.workloads.architecture import ModelSpec
from cairn.workloads.parameters import weight_bytes

GPU = GpuSpec(name="g", bandwidth_gb_per_s=1000, memory_gb=16, peak_tflops=100, launch_us=10)


def model(name: str) -> ModelSpec:
    return validate(load_document(name, MODEL), ModelSpec, MODEL.references)


def test_a_product_of_one_token_takes_its_launch_and_its_weights() -> None:
    found = gemv_us(GPU, np.array([1000, 4000]), 4000, np.array([[2], [16]]))
    assert found.tolist() == [[11, 14], [18, 42]]


def test_a_step_reads_all_matrices_but_an_embedding_that_is_not_the_head() -> None:
    llama, tied = model("llama-2-7b"), model("bitnet-b1.58-2b4t")
    assert decode_bytes(llama) == weight_bytes(llama) - 32000 * 4096 * 2
    assert decode_bytes(tied) == weight_bytes(tied)
    assert decode_bytes(llama, 100) - decode_bytes(llama) == 100 * 2 * 32 * 4096 * 2


def test_launches_come_on_top_of_bytes() -> None:
    llama = model("llama-2-7b")
    assert decode_ms(GPU, llama, 0, 8) - decode_ms(GPU, llama) == pytest.approx(32 * 8 * 0.01)
    assert decode_ms(GPU, llama) == pytest.approx(decode_bytes(llama) / 1e9)


def test_a_long_prompt_takes_its_operations_at_peak() -> None:
    llama = model("llama-2-7b")
    matrices = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    assert prompt_ms(GPU, llama, 2000) == pytest.approx(2 * matrices * 2000 / 1e11 + 32 * 8 * 0.01)


def test_as_many_requests_fit_as_their_keys_leave_room_for() -> None:
    llama = model("llama-2-7b")
    each = 1000 * 2 * 32 * 4096 * 2
    assert largest_batch(GPU, llama, 1000) == (16_000_000_000 - weight_bytes(llama)) // each
    assert largest_batch(GPU, model("llama-2-70b"), 1000) == 0


def test_every_parameter_names_its_source() -> None:
    assert [name for name in GpuSpec.model_fields if not source_of(GpuSpec, name)] == []


def test_a_step_of_many_requests_has_two_operations_a_request_for_each_weight_that_is_read_up_to_the_peak() -> None:
    assert decode_tflops(GPU, 32) == pytest.approx(32.0)
    assert decode_tflops(GPU, 32, 4) == pytest.approx(100.0)
