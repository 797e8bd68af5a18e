"""Published areas and energies at 28 nm that the units are built from: inputs of the model, none of them a prediction.

The size and power of a gate follow from one synthesised array (LUT Tensor Core, Table 2, last row) and the cells that
it is made of; how large a floating-point adder is follows from arrays of these formats. Everything else (other shapes,
full tables, tables made inside, adders alone, other numbers of bits) is counted from cells.
"""

from __future__ import annotations

from typing import Final

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, sourced
from cairn.hw_models.compute.units.cells import CellSpec

REFERENCE_SHAPE: Final = (2, 64, 4)
"""Rows, columns and activations of the arrays whose areas are given: reference/lut/lut_tensor_core.yaml
(ltc_best_tile)."""
EXPONENT_BITS: Final[dict[str, int]] = {"fp8": 4, "fp16": 5}
"""OCP 8-bit floating point specification 1.0 (E4M3); IEEE 754-2019 (binary16)."""
LANES: Final = 512

_LTC = "reference/lut/lut_tensor_core.yaml"


class AnchorSpec(Spec):
    """Areas in um2, powers in mW at 1 GHz and energies in pJ, TSMC 28 nm at 0.9 V."""

    lut_int8_um2: float = sourced(11991.29, f"{_LTC} (ltc_t2_full_area): 512 lanes, tables of 8 bits", gt=0)
    lut_int8_mw: float = sourced(16.22, f"{_LTC} (ltc_t2_full_power)", gt=0)
    lut_fp16_um2: float = sourced(
        0.143 * 0.975e6 / 2, f"{_LTC}: 14.3 % (ltc_area_frac_w1a16_1x) of 0.975 mm2 (ltc_t1_a100_fp16_area), 2 arrays",
        gt=0,
    )  # fmt: skip
    lut_fp8_um2: float = sourced(
        0.488e6 / 16, f"{_LTC} (ltc_t1_h100_lut4x_area): 0.488 mm2 an SM, 4 x 1024 x 2 bits / 512 arrays", gt=0
    )
    mac_fp16_um2: float = sourced(0.975e6 / 1024, f"{_LTC} (ltc_t1_a100_fp16_area): 1024 an SM", gt=0)
    mac_int8_um2: float = sourced(0.312e6 / 2048, f"{_LTC} (ltc_t1_a100_int8_area): 2048 an SM", gt=0)
    mac_fp8_um2: float = sourced(0.918e6 / 4096, f"{_LTC} (ltc_t1_h100_fp8_area): 4096 an SM", gt=0)
    mac_fp16_pj: float = sourced(2 / 2.98, f"{_LTC} (ltc_t1_a100_fp16_eff): 2.98 TFLOPS/W", gt=0)
    mac_int8_pj: float = sourced(2 / 19.94, f"{_LTC} (ltc_t1_a100_int8_eff): 19.94 TOPS/W", gt=0)
    sram_pj_per_bit_45nm: float = sourced(
        20 / 64, "Horowitz, Computing's energy problem, ISSCC 2014: 64 bits of a 32 KB memory take 20 pJ at 45 nm", gt=0
    )

    def um2_per_gate(self, cells: CellSpec) -> float:
        """Area of a gate: that of the integer array over the cells in it."""
        return self.lut_int8_um2 / _integer_array_gates(cells)

    def pj_per_gate(self, cells: CellSpec) -> float:
        """Energy of a gate of a look-up array in a cycle: 1 mW at 1 GHz is 1 pJ a cycle."""
        return self.lut_int8_mw / _integer_array_gates(cells)

    def mac_um2(self, activation: str) -> float:
        """Area of one multiply-accumulate of this format; ConfigError where none is published."""
        areas = {"fp16": self.mac_fp16_um2, "int8": self.mac_int8_um2, "fp8": self.mac_fp8_um2}
        return areas[_known(activation, areas)]

    def mac_pj(self, activation: str, cells: CellSpec) -> float:
        """Energy of one multiply-accumulate. fp8 is assumed: its area times the mean energy of an area of the other
        two, which differ by 7 %."""
        energies = {"fp16": self.mac_fp16_pj, "int8": self.mac_int8_pj}
        energies["fp8"] = self.mac_pj_per_gate(cells) * self.mac_fp8_um2 / self.um2_per_gate(cells)
        return energies[_known(activation, energies)]

    def mac_pj_per_gate(self, cells: CellSpec) -> float:
        """Energy of a gate of a multiply-accumulate unit in a cycle, the mean of fp16 and int8."""
        per_um2 = (self.mac_fp16_pj / self.mac_fp16_um2 + self.mac_int8_pj / self.mac_int8_um2) / 2
        return per_um2 * self.um2_per_gate(cells)

    def float_adder_gates(self, activation: str, cells: CellSpec) -> float:
        """Gates of an adder of this format: what an array's look-up unit has beside its counted cells."""
        arrays = {"fp16": self.lut_fp16_um2, "fp8": self.lut_fp8_um2}
        bits = {"fp16": 16, "fp8": 8}
        name = _known(activation, arrays)
        rows, columns, group = REFERENCE_SHAPE
        unit = arrays[name] / (rows * columns) / self.um2_per_gate(cells)
        return unit - cells.selector(1 << (group - 1), bits[name]) - float_unit_gates(name, bits[name], cells)


def float_unit_gates(activation: str, bits: int, cells: CellSpec) -> float:
    """Gates of a floating-point look-up unit beside selector and adder: sign, exponent plus plane, sum, its choice.

    As in the published RTL (Hamerlate/lut_tensor_core, fp_lut_array_b_cycle_stage1.sv): the plane is added to the
    exponent, one gate turns the sign, the sum has the format of the entries.
    """
    return cells.xor + cells.full_adder * EXPONENT_BITS[activation] + (cells.mux + cells.flip_flop) * bits


def _integer_array_gates(cells: CellSpec) -> float:
    rows, columns, group = REFERENCE_SHAPE
    return rows * columns * (cells.selector(1 << (group - 1), 8) + 8 * cells.xor + cells.accumulator(8))


def _known(activation: str, published: dict[str, float]) -> str:
    if activation not in published:
        raise ConfigError(
            f"no area or energy is published for {activation}; there are {', '.join(sorted(published))}",
            key="activation",
        )
    return activation
