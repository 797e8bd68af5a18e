"""Which unit of a core does a product, and what it takes there: the one place that everything else asks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.spec import ACTIVATION_BITS, MAX_WEIGHT_BITS, LutSpec, weight_planes
from cairn.hw_models.compute.lut.sram import sram_traffic
from cairn.hw_models.compute.matrix_unit import IntArray
from cairn.hw_models.compute.systolic.spec import SystolicSpec
from cairn.hw_models.sram.spec import SramSpec


class ProductUnits:
    """The part of a chip that multiplies matrices: a matrix unit, a LUT unit or both in each core, beside its SRAM.

    A LUT unit does products of activations of 8 bits (or 16, where its `activation` has as many) with `weights`,
    operands known before the step, of 1 to 8 whole bits or ternary (two planes). All else, attention above all, is the
    matrix unit's: its operands are made during the step, so their bits cannot be laid out beforehand.
    """

    matrix_unit: SystolicSpec | None
    lut_unit: LutSpec | None
    sram: SramSpec

    @property
    def mac(self) -> SystolicSpec:
        """The matrix unit; ConfigError where there is none."""
        if self.matrix_unit is None:
            raise ConfigError(
                f"cores have no matrix unit, and the LUT unit multiplies activations of 8 or 16 bits "
                f"({', '.join(ACTIVATION_BITS)}) by weights of 1 to {MAX_WEIGHT_BITS} whole bits or ternary ones, no "
                "other operands, those of attention among them: a matrix unit beside it does these",
                key="chip.matrix_unit",
            )
        return self.matrix_unit

    def lut_for(self, input_bits: float, weight_bits: float) -> LutSpec | None:
        """The LUT unit where it does products of inputs and weights of so many bits; None where it does not."""
        if self.lut_unit is None or not self.lut_unit.takes(input_bits):
            return None
        try:
            weight_planes(weight_bits)
        except ConfigError:
            return None
        return self.lut_unit

    def matrix_cycles(
        self,
        m: npt.ArrayLike,
        n: npt.ArrayLike,
        k: npt.ArrayLike,
        input_bits: npt.ArrayLike = 16,
        weight_bits: npt.ArrayLike = 16,
        output_bits: npt.ArrayLike = 16,
        *,
        weights: bool = False,
    ) -> IntArray:
        """Cycles of m x n x k tiles on one core: the unit's own, or longer where SRAM cannot feed it.

        Sizes and bits (1.6 for five ternary weights in a byte) are broadcast. All operands of a tile share the read
        port and all results the write port; a tile takes as long as the slowest of unit and ports. With `weights` the
        second operand is known before the step, so that a LUT unit may do it; its bits are numbers then.
        """
        read_bits, written_bits = self.matrix_bits(m, n, k, input_bits, weight_bits, output_bits, weights=weights)
        reading = np.ceil(read_bits / (8 * self.sram.read_bytes_per_cycle)).astype(np.int64)
        writing = np.ceil(written_bits / (8 * self.sram.write_bytes_per_cycle)).astype(np.int64)
        lut = self._lut(input_bits, weight_bits, weights)
        own = self.mac.tile_cycles(m, n, k) if lut is None else lut.tile_cycles(m, n, k, weight_bits, input_bits)
        cycles: IntArray = np.maximum(own, np.maximum(reading, writing))
        return cycles

    def matrix_bits(
        self,
        m: npt.ArrayLike,
        n: npt.ArrayLike,
        k: npt.ArrayLike,
        input_bits: npt.ArrayLike,
        weight_bits: npt.ArrayLike,
        output_bits: npt.ArrayLike,
        *,
        weights: bool = False,
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Bits that the unit of m x n x k tiles reads from and writes to SRAM; arguments as in `matrix_cycles`."""
        lut = self._lut(input_bits, weight_bits, weights)
        if lut is not None:
            looked_up = sram_traffic(lut, m, n, k, weight_bits)
            written = looked_up.output_bits / lut.accumulator_bits * np.asarray(output_bits)
            return np.asarray(looked_up.table_bits + looked_up.weight_bits, dtype=np.float64), np.asarray(written)
        traffic = self.mac.tile_traffic(m, n, k)
        read = traffic.inputs * np.asarray(input_bits) + traffic.weights * np.asarray(weight_bits)
        read = read + traffic.outputs_read * np.asarray(output_bits)
        return np.asarray(read, dtype=np.float64), np.asarray(traffic.outputs_written * np.asarray(output_bits))

    def _lut(self, input_bits: npt.ArrayLike, weight_bits: npt.ArrayLike, weights: bool) -> LutSpec | None:
        if not weights or self.lut_unit is None:
            return None
        return self.lut_for(float(np.asarray(input_bits)), float(np.asarray(weight_bits)))
