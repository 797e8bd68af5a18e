"""Units that look sums up in tables: LUT tensor cores, conventional ones, UNPU's and FIGLUT's kind."""

from __future__ import annotations

from typing import Any, Final, Literal, cast

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from cairn.base.errors import ConfigError
from cairn.base.spec import sourced
from cairn.hw_models.compute.lut.precompute import adds_per_table
from cairn.hw_models.compute.lut.spec import MAX_WEIGHT_BITS, SCALE_BITS, LutSpec, check_scales, weight_planes
from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes
from cairn.hw_models.compute.units.anchors import float_unit_gates
from cairn.hw_models.compute.units.blocks import BITS, Activation, BlockUnit
from cairn.hw_models.compute.units.cells import full_table_add_bits, full_table_adds, half_table_add_bits
from cairn.hw_models.compute.units.contract import FloatArray

FLOATS: Final = ("fp8", "fp16")
TABLES: Final[dict[str, tuple[Activation, ...]]] = {
    "int8": ("int8", "int16"), "int16": ("int16", "int8"), "fp8": ("fp8", "fp16", "int8"), "fp16": ("fp16", "int8"),
}  # fmt: skip
"""Formats of tables by activations: the same, wider ones of the same sort, INT8 with scales."""
SCALE_FORMAT: Final = "fp16"
"""assumed: sums of quantised tables are multiplied and added as an FP16 tensor core does it, see SCALE_BITS."""

_LTC = "LUT Tensor Core (arXiv 2408.06003, ISCA 2025)"


class AdderUnit(BlockUnit):
    """What adds activations or sums of them, plane by plane: integers by counted cells, floats by the anchors' adder.

    The format of tables and sums is that of the activations, as in the published RTL, unless a kind says otherwise;
    int16 is built of the cells of int8, twice as many.
    """

    @property
    def entry_format(self) -> Activation:
        """Format of what is added: that of the activations."""
        return self.activation

    @property
    def _is_float(self) -> bool:
        return self.entry_format in FLOATS

    @property
    def _entry_bits(self) -> int:
        return BITS[self.entry_format]

    @property
    def _sum_gates(self) -> float:
        """Gates that turn the sign of an entry, shift it by its plane and add it up; adders of floats apart."""
        bits = self._entry_bits
        if self._is_float:
            return float_unit_gates(self.entry_format, bits, self.cells)
        return bits * self.cells.xor + self.cells.accumulator(bits)

    def _adders_pj(self, floats: float, gates: float, of: Activation | None = None) -> float:
        """Energy of a cycle of float adders (their gates switch as those of a MAC) and of other gates.

        `of` is the adders' format, that of the entries unless stated.
        """
        energy = gates * self.anchors.pj_per_gate(self.cells)
        if floats:
            adder = self.anchors.float_adder_gates(of or self.entry_format, self.cells)
            energy += floats * adder * self.anchors.mac_pj_per_gate(self.cells)
        return energy

    def _gates_um2(self, floats: float, gates: float) -> float:
        adder = self.anchors.float_adder_gates(self.entry_format, self.cells) if floats else 0.0
        return (gates + floats * adder) * self.anchors.um2_per_gate(self.cells)

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
    def _group_bits(self) -> float:
        if self.precompute == "vector":
            return self.table_entries * self._entry_bits
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
        tables = np.where((columns > 0) & (depth > 0), rows * -(-depth // self.k), 0)
        energy: FloatArray = tables * self._table_pj
        return energy

    @property
    def _table_pj(self) -> float:
        """Energy at 28 nm of making one table."""
        return self._adders_pj(*self._table_adders)

    @property
    def _selector_gates(self) -> float:
        return self.cells.selector(self.table_entries, self._entry_bits)

    @property
    def _table_registers(self) -> float:
        """Gates that hold a table; the empty sum of a full one of sums of subsets is not held."""
        entries = self.table_entries - int(not self.symmetric and not self._signed_sums)
        return self.cells.registers(entries * self._entry_bits)

    @property
    def _signed_sums(self) -> bool:
        """Whether a full table has sums of activations and of their negatives, instead of sums of subsets."""
        return False

    @property
    def _table_adders(self) -> tuple[float, float]:
        """Adders of floats, and gates of adders of integers, that make one table."""
        return self._adders_of(self._is_float)

    def _adders_of(self, floats: bool) -> tuple[float, float]:
        if floats:
            return float(adds_per_table(self.k) if self.symmetric else full_table_adds(self.k)), 0.0
        add_bits = half_table_add_bits if self.symmetric else full_table_add_bits
        return 0.0, self.cells.full_adder * add_bits(self.k, self.activation_bits)


class LutTensorCore(LookUpUnit):
    """The LUT tensor core: half tables that are made once and broadcast.

    `table` is the format of their entries. Entries of int8 under activations of floats or of 16 bits are quantised
    (section 3.2.3): integers are selected and added over the planes of a group, in the cells of an int8 array, and
    `m n / (tables_per_scale least_planes)` multiply-accumulates of FP16 bring these sums to floats and add them up, a
    look-up after the other. The paper does not say what does this; assumed are the area and energy of one of the FP16
    tensor core's: sums of up to 4 planes of one table fit the 11 bits of its factors, larger ones want a somewhat wider
    multiplier, which is not counted. Weights of fewer than `least_planes` planes wait for them.
    """

    kind: Literal["lut"] = sourced("lut", "names this kind of unit; not a quantity")
    table: Activation | None = sourced(None, "the RTL published with the paper: tables in the activations' format")
    tables_per_scale: int = sourced(1, f"{_LTC}, section 3.2.3: every table has a scale of its own", ge=1, le=64)
    least_planes: int = sourced(
        1, "assumed: every look-up can be scaled in every cycle", ge=1, le=MAX_WEIGHT_BITS
    )

    @model_validator(mode="after")
    def _tables_suit_the_activations(self) -> LutTensorCore:
        allowed = TABLES[self.activation]
        if self.entry_format not in allowed:
            raise ValueError(f"tables of {self.activation} are {' or '.join(allowed)}, not {self.table}")
        if self.entry_format != self.activation and self.precompute == "inside":
            raise ValueError(f"table ({self.table}): made inside, it has the activations' format, {self.activation}")
        check_scales(self.tables_per_scale, self.least_planes, self.quantised)
        return self

    @classmethod
    def of(cls, spec: LutSpec, activation: str | None = None, **more: Any) -> LutTensorCore:
        """The unit of a chip's `LutSpec`, at the format and node that it states unless others are given.

        Entries of `table_bits` are the activations' own format where they are as wide, else the narrower INT8 with
        scales, or wider sums of the same sort. ConfigError or ValueError as for the unit itself.
        """
        names = (
            "m", "n", "k", "arrays", "fill_cycles", "accumulator_bits", "tables_per_scale", "least_planes", "node_nm"
        )  # fmt: skip
        chosen = spec.activation if activation is None else activation
        fields = {name: getattr(spec, name) for name in names}
        table = table_format(chosen, spec.table_bits)
        return cls.model_validate({**fields, "activation": chosen, "table": table, **more})

    @property
    def entry_format(self) -> Activation:
        return self.activation if self.table is None else self.table

    @property
    def quantised(self) -> bool:
        """Whether entries are rounded to INT8 with a scale."""
        return self.entry_format == "int8" and self.activation != "int8"

    @property
    def scale_units(self) -> int:
        """Multiply-accumulates of floats in an array that bring sums of quantised entries to floats."""
        if not self.quantised:
            return 0
        return -(-self.m * self.n // (self.tables_per_scale * self.least_planes))

    @property
    def _array_um2(self) -> float:
        return super()._array_um2 + self.scale_units * self.anchors.mac_um2(SCALE_FORMAT)

    @property
    def scale_pj(self) -> float:
        """Energy, at the unit's node, of scaling what one look-up unit has added up over the planes of one group."""
        return self._scale_pj / (self.m * self.n) * self._scaling.energy

    @property
    def _scale_pj(self) -> float:
        if not self.quantised:
            return 0.0
        return self.m * self.n / self.tables_per_scale * self.anchors.mac_pj(SCALE_FORMAT, self.cells)

    @property
    def _group_bits(self) -> float:
        scale = SCALE_BITS / self.tables_per_scale if self.quantised and self.precompute == "vector" else 0.0
        return super()._group_bits + scale

    @property
    def _table_pj(self) -> float:
        """Sums in the wider of the two formats; to quantise, each is compared and multiplied by the scale's inverse."""
        of = self.activation if self.quantised else self.entry_format
        made = self._adders_pj(*self._table_adders, of=of)
        if not self.quantised:
            return made
        compare = self._adders_pj(1.0, 0.0, of) if self.activation in FLOATS else self._adders_pj(
            0.0, self.cells.full_adder * self.activation_bits
        )  # fmt: skip
        return made + self.table_entries * (compare + self.anchors.mac_pj(SCALE_FORMAT, self.cells))

    @property
    def _table_adders(self) -> tuple[float, float]:
        return self._adders_of(self.activation in FLOATS)

    def _step_cycles(self, weight_bits: npt.ArrayLike) -> IntArray:
        cycles: IntArray = np.maximum(self._planes(weight_bits), self.least_planes)
        return cycles


def table_format(activation: str, table_bits: int) -> Activation:
    """Format of entries of `table_bits` under activations of a format; ConfigError for a format that is not known."""
    if activation not in BITS:
        raise ConfigError(f"must be one of {', '.join(BITS)}, got {activation!r}", key="activation")
    if BITS[activation] == table_bits:
        return cast(Activation, activation)
    wider: dict[str, Activation] = {"int8": "int16", "fp8": "fp16"}
    return wider.get(activation, "int8")


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
