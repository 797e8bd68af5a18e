"""A CPU that looks up under the contract of units. Area and power of a core are the caller's: none is published."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from cairn.base.spec import Spec, required, sourced
from cairn.hw_models.compute.cpu_lut.cycle import instructions, known_bits, per_register, weight_bytes
from cairn.hw_models.compute.cpu_lut.spec import T_MAC, CpuSpec, KernelSpec
from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes
from cairn.hw_models.compute.units.anchors import AnchorSpec
from cairn.hw_models.compute.units.contract import Energy, FloatArray, Traffic
from cairn.hw_models.compute.units.technology import Node, scaling


class CpuLutUnit(Spec):
    """`threads` cores of `cpu` that run `kernel` on operands in their caches; `core_mm2` and `core_w` of each.

    Cycles leave the memory out (C5 is `product_us`). All look-ups and additions of tables are instructions of the
    cores, whose power is their energy, precompute not told apart; caches beyond the cores are those of `node_nm`.
    """

    kind: Literal["cpu_lut"] = sourced("cpu_lut", "names this kind of unit; not a quantity")
    activation: Literal["int8"] = sourced("int8", "T-MAC sec. 3: tables of INT8 are made of activations of 8 bits")
    cpu: CpuSpec = required()
    kernel: KernelSpec = sourced(T_MAC, "T-MAC, see there")
    threads: int = sourced(1, "assumed: one core unless more are given", ge=1)
    node_nm: Node = sourced(7, "assumed: of the nodes that are scaled to, the nearest to most of these CPUs")
    core_mm2: float = required(gt=0, le=1e4)
    core_w: float = required(gt=0, le=1e4)

    @model_validator(mode="after")
    def _has_the_cores(self) -> CpuLutUnit:
        if self.threads > self.cpu.cores:
            raise ValueError(f"{self.cpu.name} has 1 to {self.cpu.cores} threads, got {self.threads}")
        return self

    @property
    def clock_ghz(self) -> float:
        return self.cpu.clock_ghz

    @property
    def area_mm2(self) -> float:
        return self.threads * self.core_mm2

    @property
    def provenance(self) -> str:
        return f"area and power of a core of {self.cpu.name} as given; traffic {scaling(45, self.node_nm).note}"

    def peak_macs_per_cycle(self, weight_bits: npt.ArrayLike) -> FloatArray:
        bits = known_bits(self.kernel, weight_bits)
        planes = bits if self.kernel.planes else np.ones(bits.shape)
        found = self.threads * self.cpu.vector_pipes * self.cpu.vector_bytes / per_register(self.cpu, self.kernel)
        return np.asarray(found * self.kernel.group / planes)

    def mac_pj(self, weight_bits: npt.ArrayLike) -> FloatArray:
        return self._cycle_pj / self.peak_macs_per_cycle(weight_bits)

    def cycles(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> IntArray:
        work = instructions(self.cpu, self.kernel, m, n, k, weight_bits)
        return np.asarray(np.ceil(work / (self.threads * self.cpu.vector_pipes)), dtype=np.int64)

    def traffic(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> Traffic:
        """Activations and weights enter once, sums of 32 bits leave."""
        rows, columns, depth = tile_sizes(m, n, k)
        inputs = np.where(columns > 0, rows * depth, 0) * 8.0
        weights = np.where(rows > 0, 8.0, 0.0) * weight_bytes(self.kernel, columns, depth, weight_bits)
        outputs = np.where(depth > 0, rows * columns, 0) * 32.0
        return Traffic(*np.broadcast_arrays(inputs, weights, outputs))

    def energy_pj(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> Energy:
        """The power of all cores over the cycles, under `accumulate`."""
        work = self.cycles(m, n, k, weight_bits).astype(np.float64) * self._cycle_pj
        nothing, moved = np.zeros(work.shape), self.traffic(m, n, k, weight_bits)
        per_bit = AnchorSpec().sram_pj_per_bit_45nm * scaling(45, self.node_nm).energy
        return Energy(nothing, nothing, work, (moved.activation_bits + moved.weight_bits + moved.output_bits) * per_bit)

    @property
    def _cycle_pj(self) -> float:
        return self.threads * self.core_w * 1e3 / self.clock_ghz
