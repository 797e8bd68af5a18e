"""Products on an array of the BitFusion family: cycles against DRAM with blocked reads, and energy by part.

Rules: a product is done in blocks of outputs that stay in half the output buffer, so its inputs are read once for every
column of blocks and its weights once for every row; whichever of them fits half its buffer is read once. The blocks are
the powers of two (or all) that read least. Computing and DRAM overlap; first and last block are not counted.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cairn.base.spec import Spec, sourced
from cairn.hw_models.compute.fusion.cycle import array_cycles
from cairn.hw_models.compute.fusion.spec import FusedArraySpec
from cairn.hw_models.compute.matrix_unit import IntArray

FloatArray = npt.NDArray[np.float64]
_CONF: Final = "BitFusion family conf_*.ini, ANT and MixPE alike"
_SWEEP: Final = "mixpe_simulator bitfusion/sram/cacti_sweep.csv: CACTI 7, 28 nm"
_STATS: Final = "BitFusion family stats.py: get_energy_breakdown"


class BlockedSpec(Spec):
    """Buffers, DRAM and energies around an array; energies per bit, static energy per cycle."""

    weight_kib: int = sourced(128, _CONF, ge=1, le=1 << 20)
    activation_kib: int = sourced(256, _CONF, ge=1, le=1 << 20)
    output_kib: int = sourced(128, _CONF, ge=1, le=1 << 20)
    output_bits: int = sourced(16, "BitFusion family optimizer.py: oprec", ge=1, le=64)
    dram_bits_per_cycle: int = sourced(1024, _CONF, ge=1, le=1 << 20)
    weight_read_pj: float = sourced(16.8924 / 512, _SWEEP + ", 4 KiB of 512 bits", ge=0)
    weight_write_pj: float = sourced(20.3422 / 512, _SWEEP + ", 4 KiB of 512 bits", ge=0)
    activation_read_pj: float = sourced(17.7688 / 512, _SWEEP + ", 8 KiB of 512 bits", ge=0)
    activation_write_pj: float = sourced(24.8866 / 512, _SWEEP + ", 8 KiB of 512 bits", ge=0)
    output_read_pj: float = sourced(0.294945 / 32, _SWEEP + ", 128 bytes of 32 bits", ge=0)
    output_write_pj: float = sourced(0.415925 / 32, _SWEEP + ", 128 bytes of 32 bits", ge=0)
    dram_read_pj: float = sourced(644.304 / 1024, _STATS, ge=0)
    dram_write_pj: float = sourced(784.104 / 1024, _STATS, ge=0)
    dram_static_pj: float = sourced(484615 / 500, _STATS + ", a cycle", ge=0)


class Layers(NamedTuple):
    """Products of m tokens, n outputs, k inputs, `times` each, both operands of `bits`; columns of one length."""

    m: IntArray
    n: IntArray
    k: IntArray
    times: IntArray
    bits: IntArray


class BlockedResult(NamedTuple):
    """Totals of a network: cycles with and without DRAM, bits, and energies in pJ."""

    cycles: int
    compute_cycles: int
    dram_bits: int
    static_pj: float
    dram_pj: float
    buffer_pj: float
    core_pj: float


def run_blocked(array: FusedArraySpec, layers: Layers, around: BlockedSpec | None = None) -> BlockedResult:
    """All `layers` on `array`; ConfigError for bits that it does not take."""
    around = around or BlockedSpec()
    m, n, k, count, bits = layers
    compute = array_cycles(array, m, n, k, bits, bits)
    inputs, weights = read_bits(around, m, n, k, bits)
    outputs = m * n * around.output_bits
    cycles = np.maximum(compute, -(-(inputs + weights + outputs) // around.dram_bits_per_cycle))
    operands = m * n * k * bits  # each element reads both operands of each product from the buffers (optimizer.py)
    buffers = (
        operands * (around.weight_read_pj + around.activation_read_pj)
        + weights * around.weight_write_pj
        + inputs * around.activation_write_pj
        + outputs * (around.output_write_pj + 2 * around.output_read_pj)
    )
    dram = (inputs + weights) * around.dram_read_pj + outputs * around.dram_write_pj
    total_cycles, total_compute = int((cycles * count).sum()), int((compute * count).sum())
    return BlockedResult(
        cycles=total_cycles,
        compute_cycles=total_compute,
        dram_bits=int(((inputs + weights + outputs) * count).sum()),
        static_pj=total_cycles * around.dram_static_pj,
        dram_pj=float((dram * count).sum()),
        buffer_pj=float((buffers * count).sum()),
        core_pj=total_cycles * array.leakage_pj + total_compute * array.dynamic_pj,
    )


def read_bits(around: BlockedSpec, m: IntArray, n: IntArray, k: IntArray, bits: IntArray) -> tuple[IntArray, IntArray]:
    """Bits of inputs and of weights that come from DRAM for each product, in the blocks that read least."""
    room = 4 * 1024 * np.array([around.activation_kib, around.weight_kib, around.output_kib])  # half of each, in bits
    inputs, weights = m * k * bits, n * k * bits
    sides = 1 << np.arange(int(np.log2(max(m.max(), n.max()))) + 2, dtype=np.int64)
    best = [inputs * n, weights * m]  # one output at a time: an upper bound
    for rows in sides:
        high = np.minimum(rows, m)
        wide = np.maximum(np.minimum(room[2] // around.output_bits // high, n), 1)
        x = np.where(inputs <= room[0], inputs, inputs * -(-n // wide))
        w = np.where(weights <= room[1], weights, weights * -(-m // high))
        better = x + w < best[0] + best[1]
        best = [np.where(better, x, best[0]), np.where(better, w, best[1])]
    return best[0], best[1]
