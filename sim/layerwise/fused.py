"""A network on an array of the BitFusion family, layer by layer: cycles, and energy by part as its simulator does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cairn.hw_models.compute.fusion.spec import FusedArraySpec
from cairn.sim.layerwise.tilings import Layer, SurroundingsSpec, Tiled, choose_tiling


class FusedResult(NamedTuple):
    """Totals of a network: cycles with and without DRAM, bits from and to DRAM, energies in pJ."""

    cycles: int
    compute_cycles: int
    dram_bits: int
    static_pj: float
    dram_pj: float
    buffer_pj: float
    core_pj: float


def run_network(
    array: FusedArraySpec, layers: Iterable[tuple[Layer, int]], around: SurroundingsSpec | None = None
) -> FusedResult:
    """All `layers`, each so many times, on `array`; ConfigError for bits and tiles that it does not take.

    Static energy is that of DRAM; the array leaks in every cycle and works in those of computing; buffers do not leak.
    """
    around = around or SurroundingsSpec()
    parts = [(choose_tiling(array, layer, around), times) for layer, times in layers]
    cycles = sum(part.cycles * times for part, times in parts)
    compute = sum(part.compute_cycles * times for part, times in parts)
    return FusedResult(
        cycles=cycles,
        compute_cycles=compute,
        dram_bits=sum(part.dram_bits * times for part, times in parts),
        static_pj=cycles * around.dram_static_pj,
        dram_pj=sum(_dram_pj(part, around) * times for part, times in parts),
        buffer_pj=sum(_buffer_pj(part, around) * times for part, times in parts),
        core_pj=cycles * array.leakage_pj + compute * array.dynamic_pj,
    )


def _dram_pj(part: Tiled, around: SurroundingsSpec) -> float:
    read = part.written_weights + part.written_activations
    return read * around.dram_read_pj + part.stored * around.dram_write_pj


def _buffer_pj(part: Tiled, around: SurroundingsSpec) -> float:
    """What the array reads, what DRAM brings, and outputs on their way to the buffer, back, and to DRAM."""
    return (
        part.weights * around.weight_read_pj
        + part.written_weights * around.weight_write_pj
        + part.activations * around.activation_read_pj
        + part.written_activations * around.activation_write_pj
        + part.outputs * around.output_write_pj
        + (part.outputs + part.stored) * around.output_read_pj
    )
