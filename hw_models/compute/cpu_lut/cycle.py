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
WORD_BYTES: Final = 2
"""T-MAC sec. 3.3: sums are kept in 16 bits."""


def lookups(
    kernel: KernelSpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike
) -> IntArray:
    """Look-ups (for I2_S products) of m rows by n outputs by k inputs, weights of `weight_bits` planes (C1).

    ConfigError for bits that are no whole numbers of 1 to 8, and for inputs that the group does not divide: pad them.
    """
    m, n, k = tile_sizes(m, n, k)
    bits = np.asarray(weight_bits)
    if bits.size and (bits.dtype.kind not in "iu" or bits.min() < 1 or bits.max() > MAX_BITS):
        raise ConfigError(f"weights have whole numbers of 1 to {MAX_BITS} bits, got {weight_bits!r}", key="weight_bits")
    return np.asarray(m * n * -(-k // kernel.group) * (bits if kernel.planes else 1), dtype=np.int64)


def table_additions(kernel: KernelSpec, m: npt.ArrayLike, k: npt.ArrayLike) -> IntArray:
    """Additions that build the tables of m rows of k inputs, one for each entry that is held (C4); none for I2_S."""
    m, _, k = tile_sizes(m, 1, k)
    return np.asarray(m * -(-k // kernel.group) * (kernel.table_bytes if kernel.kind == "table" else 0))


def weight_bytes(kernel: KernelSpec, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> FloatArray:
    """Bytes of n x k weights as the kernel stores them, without scales."""
    stored = np.asarray(weight_bits, dtype=np.float64) if kernel.stored_bits is None else kernel.stored_bits
    return np.asarray(np.asarray(n, dtype=np.float64) * np.asarray(k) * stored / 8)


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
    registers = lookups(kernel, m, n, k, weight_bits) / cpu.vector_bytes
    additions = table_additions(kernel, m, k) * WORD_BYTES / cpu.vector_bytes
    rate = threads * cpu.vector_pipes * cpu.clock_ghz * 1e3  # vector instructions in a microsecond
    widening = cpu.widening_instructions if kernel.kind == "table" else 0
    working = (registers * (kernel.instructions + widening) + additions) / rate
    reading = weight_bytes(kernel, n, k, weight_bits) / cpu.bandwidth_gb_per_s / 1e3
    return np.asarray(np.maximum(working, reading))
