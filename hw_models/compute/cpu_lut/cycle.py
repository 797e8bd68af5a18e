"""Look-ups, bytes and time of products on a CPU; vectorised. Rules C1 to C5 of the package."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.cpu_lut.spec import CpuSpec, KernelSpec
from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes

FloatArray = npt.NDArray[np.float64]

MAX_BITS: Final = 8
"""assumed: beyond 8 bits of weights nobody looks up plane by plane."""
TERNARY_BITS: Final = 2
"""bitnet.cpp report: TL1, TL2 and I2_S take weights of three values."""
WORD_BYTES: Final = 2
"""T-MAC sec. 3.3: sums are kept in 16 bits."""


def lookups(
    kernel: KernelSpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike
) -> IntArray:
    """Look-ups (for I2_S products) of m rows by n outputs by k inputs, weights of `weight_bits` (C1); k is padded.

    Kernels that go plane by plane take whole bits of 1 to 8, the others ternary weights, 1 to 2 bits; ConfigError else.
    """
    m, n, k = tile_sizes(m, n, k)
    bits = known_bits(kernel, weight_bits)
    planes = bits if kernel.planes else np.ones(bits.shape)
    return np.asarray(m * n * -(-k // kernel.group) * planes, dtype=np.int64)


def known_bits(kernel: KernelSpec, weight_bits: npt.ArrayLike) -> FloatArray:
    """`weight_bits` as numbers, all of which the kernel takes; ConfigError otherwise."""
    bits = np.asarray(weight_bits, dtype=np.float64)
    most = MAX_BITS if kernel.planes else TERNARY_BITS
    whole = (bits == np.floor(bits)) | (not kernel.planes)
    if bits.size and not (whole & (bits >= 1) & (bits <= most)).all():
        takes = f"whole numbers of 1 to {most} bits" if kernel.planes else f"ternary weights, 1 to {most} bits"
        raise ConfigError(f"{kernel.name} takes {takes}; got {bits.tolist()}", key="weight_bits")
    return bits


def table_additions(kernel: KernelSpec, m: npt.ArrayLike, k: npt.ArrayLike) -> IntArray:
    """Additions that build the tables of m rows of k inputs, one for each entry that is held (C4); none for I2_S."""
    m, _, k = tile_sizes(m, 1, k)
    return np.asarray(m * -(-k // kernel.group) * (kernel.table_bytes if kernel.kind == "table" else 0))


def weight_bytes(kernel: KernelSpec, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> FloatArray:
    """Bytes of n x k weights as the kernel stores them, without scales."""
    bits = known_bits(kernel, weight_bits)
    stored = bits if kernel.stored_bits is None else np.full(bits.shape, kernel.stored_bits)
    return np.asarray(np.asarray(n, dtype=np.float64) * np.asarray(k) * stored / 8)


def instructions(
    cpu: CpuSpec,
    kernel: KernelSpec,
    m: npt.ArrayLike,
    n: npt.ArrayLike,
    k: npt.ArrayLike,
    weight_bits: npt.ArrayLike,
) -> FloatArray:
    """Vector instructions of each product: look-ups with what goes with them, and additions of tables (C3, C4)."""
    registers = lookups(kernel, m, n, k, weight_bits) / cpu.vector_bytes
    work = table_additions(kernel, m, k) * np.where(np.asarray(n) > 0, 1.0, 0.0)
    return registers * per_register(cpu, kernel) + work * (WORD_BYTES / cpu.vector_bytes)


def per_register(cpu: CpuSpec, kernel: KernelSpec) -> float:
    """Instructions for a register of look-ups (or products) on this CPU (C3)."""
    return kernel.instructions + (cpu.widening_instructions if kernel.kind == "table" else 0)


def product_us(
    cpu: CpuSpec,
    kernel: KernelSpec,
    m: npt.ArrayLike,
    n: npt.ArrayLike,
    k: npt.ArrayLike,
    weight_bits: npt.ArrayLike,
    threads: int = 1,
) -> FloatArray:
    """Time of each product on `threads` cores (C3, C4, C5); shapes broadcast.

    Additions of tables take as many vector instructions as their results in 16 bits fill. ConfigError for more threads
    than cores, and as `lookups`.
    """
    if not 1 <= threads <= cpu.cores:
        raise ConfigError(f"{cpu.name} has 1 to {cpu.cores} threads, got {threads}", key="threads")
    rate = threads * cpu.vector_pipes * cpu.clock_ghz * 1e3  # vector instructions in a microsecond
    working = instructions(cpu, kernel, m, n, k, weight_bits) / rate
    reading = weight_bytes(kernel, n, k, weight_bits) / cpu.bandwidth_gb_per_s / 1e3
    return np.asarray(np.maximum(working, reading))
