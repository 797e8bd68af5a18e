"""Units that look sums up in tables: LUT tensor cores, conventional ones, UNPU's and FIGLUT's kind."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cairn.base.spec import sourced
from cairn.hw_models.compute.lut.precompute import adds_per_table, table_adds
from cairn.hw_models.compute.lut.spec import LutSpec, weight_planes
from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes
from cairn.hw_models.compute.units.anchors import float_unit_gates
from cairn.hw_models.compute.units.blocks import BlockUnit
from cairn.hw_models.compute.units.cells import full_table_add_bits, full_table_adds, half_table_add_bits
from cairn.hw_models.compute.units.contract import FloatArray

_LTC = "LUT Tensor Core (arXiv 2408.06003, ISCA 2025)"


class AdderUnit(BlockUnit):
    """What adds activations or sums of them, plane by plane: integers by counted cells, floats by the anchors' adder.

    The format of tables and sums is that of the activations, as in the published RTL; int16 is built of the cells of
    int8, twice as many.
    """

    @property
    def _is_float(self) -> bool:
        return self.activation in ("fp8", "fp16")

    @property
    def _float_adder(self) -> float:
        return self.anchors.float_adder_gates(self.activation, self.cells)

    @property
    def _sum_gates(self) -> float:
        """Gates that turn the sign of an entry, shift it by its plane and add it up; adders of floats apart."""
        bits = self.activation_bits
        if self._is_float:
            return float_unit_gates(self.activation, bits, self.cells)
        return bits * self.cells.xor + self.cells.accumulator(bits)

    def _adders_pj(self, floats: float, gates: float) -> float:
        """Energy of a cycle of float adders (their gates switch as those of a MAC) and of other gates."""
        energy = gates * self.anchors.pj_per_gate(self.cells)
        if floats:
            energy += floats * self._float_adder * self.anchors.mac_pj_per_gate(self.cells)
        return energy

    def _gates_um2(self, floats: float, gates: float) -> float:
        total = gates + (floats * self._float_adder if floats else 0.0)
        return total * self.anchors.um2_per_gate(self.cells)

    def _planes(self, weight_bits: npt.ArrayLike) -> IntArray:
        return weight_planes(weight_bits)

    @property
    def _accumulate_pj(self) -> float:
        units = self.m * self.n
        return self._adders_pj(units * float(self._is_float), units * self._sum_gates)


class LookUpUnit(AdderUnit):
    """m tables and m x n look-up units an array; weights of 1 to 8 bits, a plane a cycle.

    symmetric  tables of 2^(k-1) entries, the others being their negatives, or of all 2^k
    precompute `vector`: tables come ready made, once for all who read them (their additions are charged as energy);
               `inside`: every array makes its own for each group, with adders of its own, and holds them
    """

    k: int = sourced(4, f"{_LTC}, section 4.2.1", ge=1, le=8)
    symmetric: bool = sourced(True, f"{_LTC}, section 3.1.2")
    precompute: Literal["vector", "inside"] = sourced("vector", f"{_LTC}, section 3.1.1: an operator of its own")

    @property
    def table_entries(self) -> int:
        return 1 << (self.k - 1 if self.symmetric else self.k)

    @property
    def _group_bits(self) -> int:
        if self.precompute == "vector":
            return self.table_entries * self.activation_bits
        return self.k * self.activation_bits

    @property
    def _array_um2(self) -> float:
        units, tables = self.m * self.n, float(self.m if self.precompute == "inside" else 0)
        floats, gates = self._table_adders
        sums = units * (self._selector_gates + self._sum_gates) + tables * (gates + self._table_registers)
        return self._gates_um2(units * float(self._is_float) + tables * floats, sums)

    @property
    def _look_up_pj(self) -> float:
        held = self.m * self._table_registers if self.precompute == "inside" else 0.0
        return self._adders_pj(0.0, self.m * self.n * self._selector_gates + held)

    @property
    def _group_pj(self) -> float:
        if self.precompute == "vector":
            return 0.0
        floats, gates = self._table_adders
        return self._adders_pj(self.m * floats, self.m * gates)

    def _precompute_pj(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> FloatArray:
        """Tables of all groups, once; on adders of the vector unit that cost as much as those of an array."""
        if self.precompute == "inside":
            return super()._precompute_pj(m, n, k)
        rows, columns, depth = tile_sizes(m, n, k)
        floats, gates = self._table_adders
        tables = np.where(columns > 0, table_adds(rows, depth, self.k), 0) / max(adds_per_table(self.k), 1)
        energy: FloatArray = tables * self._adders_pj(floats, gates)
        return energy

    @property
    def _selector_gates(self) -> float:
        return self.cells.selector(self.table_entries, self.activation_bits)

    @property
    def _table_registers(self) -> float:
        """Gates that hold a table; the empty sum of a full one of sums of subsets is not held."""
        entries = self.table_entries - int(not self.symmetric and not self._signed_sums)
        return self.cells.registers(entries * self.activation_bits)

    @property
    def _signed_sums(self) -> bool:
        """Whether a full table has sums of activations and of their negatives, instead of sums of subsets."""
        return False

    @property
    def _table_adders(self) -> tuple[float, float]:
        """Adders of floats, and gates of adders of integers, that make one table."""
        if self._is_float:
            return float(adds_per_table(self.k) if self.symmetric else full_table_adds(self.k)), 0.0
        add_bits = half_table_add_bits if self.symmetric else full_table_add_bits
        return 0.0, self.cells.full_adder * add_bits(self.k, self.activation_bits)


class LutTensorCore(LookUpUnit):
    """The LUT tensor core: half tables that are made once and broadcast."""

    kind: Literal["lut"] = sourced("lut", "names this kind of unit; not a quantity")

    @classmethod
    def of(cls, spec: LutSpec, activation: str, **more: Any) -> LutTensorCore:
        """The unit of a chip's `LutSpec` at a format; its area and energy have tables of the format's width."""
        shape = {name: getattr(spec, name) for name in ("m", "n", "k", "arrays", "fill_cycles", "accumulator_bits")}
        return cls.model_validate({**shape, "activation": activation, **more})


class ConventionalLut(LookUpUnit):
    """A look-up unit without symmetry and without precompute outside: full tables, made for `n` columns alone."""

    kind: Literal["conventional_lut"] = sourced("conventional_lut", "names this kind of unit; not a quantity")
    n: int = sourced(4, "reference/lut/lut_tensor_core.yaml (ltc_area_break_even_bits): shared by 4 columns", ge=1)
    symmetric: bool = sourced(False, f"{_LTC}, Figure 13: what the conventional unit has not")
    precompute: Literal["vector", "inside"] = sourced("inside", f"{_LTC}, section 3.1.1: without sharing")


class UnpuLike(LookUpUnit):
    """UNPU's unit as LUT Tensor Core re-implements it: full tables, made inside, for all columns of an array."""

    kind: Literal["unpu"] = sourced("unpu", "names this kind of unit; not a quantity")
    symmetric: bool = sourced(False, f"{_LTC}, Table 2, first row")
    precompute: Literal["vector", "inside"] = sourced("inside", f"{_LTC}, Table 2: it leaves with the last row")


class Figlut(LookUpUnit):
    """FIGLUT: half tables in flip-flops, each made inside and read by `n` read-accumulate units.

    Driving a table to more readers costs each of them more: energy in proportion to the readers, such that the energy
    of a reader, its share of the table included, is least at `best_readers`. Its variant on integers (FIGLUT-I) brings
    the mantissas of a row to one exponent first, and is `int16` here; that step is not counted.
    """

    kind: Literal["figlut"] = sourced("figlut", "names this kind of unit; not a quantity")
    activation: Literal["int8", "int16", "fp8", "fp16"] = sourced("fp16", "FIGLUT, Table V: FP16 activations")
    m: int = sourced(1, "FIGLUT, section III-C: a processing element has one table", ge=1)
    n: int = sourced(32, "reference/lut/lut_hw_others.yaml (figlut_cfg): 32 readers a table", ge=1)
    arrays: int = sourced(128, "reference/lut/lut_hw_others.yaml (figlut_cfg): 2 x 16 x 4 elements", ge=1)
    precompute: Literal["vector", "inside"] = sourced("inside", "FIGLUT, section III-E: a generator for each table")
    clock_ghz: float = sourced(0.1, "reference/lut/lut_hw_others.yaml (figlut_cfg): 100 MHz", gt=0)
    best_readers: int = sourced(
        32, "reference/lut/lut_hw_others.yaml (figlut_cfg), section III-C: power of a unit is least there", ge=1
    )

    @property
    def _signed_sums(self) -> bool:
        return True  # weights are -1 or 1 in every plane (binary coding): FIGLUT, section II

    @property
    def table_pj(self) -> float:
        """Energy of holding one table for a cycle at 28 nm."""
        return self._adders_pj(0.0, self._table_registers)

    @property
    def reader_pj(self) -> float:
        """Energy of one reader and cycle at 28 nm: its selector and sum, its share of the table, and the fan-out."""
        return (self._look_up_pj + self._accumulate_pj) / (self.m * self.n)

    @property
    def _look_up_pj(self) -> float:
        units = self.m * self.n
        fan_out = units * self.n * self.table_pj / self.best_readers**2  # table / n + c n is least at sqrt(table / c)
        return self._adders_pj(0.0, units * self._selector_gates) + self.m * self.table_pj + fan_out
