"""A GPU as a roof line with a launch: single-token products of low-bit weights, steps of decode, prompts.

A kernel takes its launch, and the longer of its bytes at the memory's bandwidth and its operations at the peak rate.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.spec import Spec, required, sourced
from cairn.workloads.architecture import ModelSpec
from cairn.workloads.parameters import count_parameters, kv_bytes_per_token, weight_bytes

FloatArray = npt.NDArray[np.float64]


class GpuSpec(Spec):
    """A GPU: memory bandwidth and capacity, dense peak of 16-bit products, and what a kernel costs beside its work."""

    name: str = required(min_length=1)
    bandwidth_gb_per_s: float = required(gt=0, le=1e5)
    memory_gb: float = required(gt=0, le=1e4)
    peak_tflops: float = sourced(312.0, "NVIDIA A100 datasheet: FP16 and BF16 tensor cores, dense", gt=0, le=1e5)
    launch_us: float = sourced(
        13.0, "assumed: reference/lut, small products on an A100 take 13 to 15 us whatever their size", ge=0, le=1e4
    )


A100_40: Final = GpuSpec(name="A100-40GB", bandwidth_gb_per_s=1555, memory_gb=40)
"""NVIDIA A100 datasheet: 1,555 GB/s of HBM2."""
A100_80: Final = GpuSpec(name="A100-80GB", bandwidth_gb_per_s=2039, memory_gb=80)
"""NVIDIA A100 datasheet, SXM: 2,039 GB/s of HBM2e."""

H100_PCIE: Final = GpuSpec(name="H100-PCIe", bandwidth_gb_per_s=2000, memory_gb=80, peak_tflops=756)
"""NVIDIA H100 datasheet, PCIe: 2 TB/s, 756 TFLOPS of FP16 without sparsity."""

KERNELS_PER_LAYER: Final = 8
"""assumed: two norms, two roundings of activations, and QKV, attention, output, gate-up and down with fusions."""


def gemv_us(gpu: GpuSpec, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> FloatArray:
    """Time of one token's product with n x k weights: a launch, and the weights at full bandwidth; shapes broadcast."""
    weights = np.asarray(n, dtype=np.float64) * np.asarray(k) * np.asarray(weight_bits) / 8
    return np.asarray(gpu.launch_us + weights / gpu.bandwidth_gb_per_s / 1e3)


def decode_tflops(gpu: GpuSpec, batch: int, weight_bits: float = 16) -> float:
    """Rate of a decode step of `batch` requests, weights read once: 2 batch operations for each weight, or the peak."""
    return min(gpu.peak_tflops, 2 * batch * 8 / weight_bits * gpu.bandwidth_gb_per_s / 1e3)


def decode_bytes(model: ModelSpec, context: int = 0) -> int:
    """Bytes that a decode step of one request reads: all matrices but the embedding, and keys and values."""
    table = model.vocab * math.ceil(model.hidden * model.precision.embedding_bits / 8)
    embedding = 0 if model.tied_embeddings else table
    return weight_bytes(model) - embedding + context * kv_bytes_per_token(model)


def decode_ms(gpu: GpuSpec, model: ModelSpec, context: int = 0, kernels_per_layer: int = 0) -> float:
    """Time of a decode step of one request at full bandwidth, and `kernels_per_layer` launches (0: what bytes take)."""
    launches = model.layers * kernels_per_layer * gpu.launch_us / 1e3
    return launches + decode_bytes(model, context) / gpu.bandwidth_gb_per_s / 1e6


def prompt_ms(gpu: GpuSpec, model: ModelSpec, tokens: int) -> float:
    """Time of a prompt of `tokens`: its launches, and the longer of its operations at peak and its bytes."""
    active = count_parameters(model).active - model.vocab * model.hidden * (1 if model.tied_embeddings else 2)
    compute = 2 * active * tokens / gpu.peak_tflops / 1e9
    launches = model.layers * KERNELS_PER_LAYER * gpu.launch_us / 1e3
    return launches + max(compute, decode_ms(gpu, model, tokens))


def largest_batch(gpu: GpuSpec, model: ModelSpec, context: int, gpus: int = 1) -> int:
    """Requests of `context` tokens whose keys and values fit beside the weights, in `gpus` together."""
    free = gpus * gpu.memory_gb * 1e9 - weight_bytes(model)
    return max(0, int(free // (context * kv_bytes_per_token(model))))
