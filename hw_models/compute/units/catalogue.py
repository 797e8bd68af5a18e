"""Units by name, each as large as an area allows: what `cairn units` and the comparison of units draw from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from cairn.base.errors import ConfigError
from cairn.base.registry import Registry
from cairn.hw_models.compute.bitserial.spec import ANT, BITMOD, OLIVE, DotArraySpec, ElementSpec
from cairn.hw_models.compute.bitserial.unit import DotArrayUnit
from cairn.hw_models.compute.fusion.designs import MIXPE_DESIGNS
from cairn.hw_models.compute.fusion.spec import FusedArraySpec
from cairn.hw_models.compute.fusion.unit import FusedUnit
from cairn.hw_models.compute.systolic.spec import SystolicSpec
from cairn.hw_models.compute.units.add_only import AddOnly
from cairn.hw_models.compute.units.blocks import BITS
from cairn.hw_models.compute.units.contract import ComputeUnit
from cairn.hw_models.compute.units.look_up import ConventionalLut, Figlut, LutTensorCore, UnpuLike
from cairn.hw_models.compute.units.mac import MacTensorCore
from cairn.hw_models.compute.units.systolic import SystolicUnit

MULTIPLIED: Final = ("int8", "fp8", "fp16")
OfArrays = MacTensorCore | LutTensorCore | ConventionalLut | UnpuLike | Figlut | AddOnly
NODES: Final = (28, 16, 7, 5)
LOOKED_UP: Final = ("int8", "int16", "fp8", "fp16")


class Wanted(NamedTuple):
    """What a unit is built for.

    area_mm2      what it may take
    clock_ghz     None: its own
    least_planes  fewest planes of the weights that it will meet, 1 to 8
    """

    activation: str
    node_nm: int = 28
    area_mm2: float = 1.0
    clock_ghz: float | None = None
    least_planes: int = 1

    @property
    def fields(self) -> dict[str, Any]:
        """What every unit is told."""
        clock = {} if self.clock_ghz is None else {"clock_ghz": self.clock_ghz}
        return {"activation": self.activation, "node_nm": self.node_nm, **clock}


@dataclass(frozen=True)
class Listed:
    """A kind of unit: what it is in a line, the formats it takes, and how one is built that fits an area."""

    about: str
    formats: tuple[str, ...]
    build: Callable[[Wanted], ComputeUnit]


def unit(name: str, wanted: Wanted) -> ComputeUnit:
    """The unit called `name`, as large as `wanted.area_mm2` allows; its area is at most that.

    CairnError for a name that is not there; ConfigError for a format that the unit does not take, an area that holds
    none of it, a clock or a node that there is not.
    """
    listed = unit_kinds.get(name)
    if wanted.activation not in BITS:
        raise ConfigError(f"must be one of {', '.join(BITS)}, got {wanted.activation!r}", key="activation")
    if wanted.activation not in listed.formats:
        raise ConfigError(f"{name} takes {', '.join(listed.formats)}, not {wanted.activation}", key="activation")
    if not (wanted.area_mm2 > 0 and math.isfinite(wanted.area_mm2)):
        raise ConfigError(f"must be a number of mm2 above 0, got {wanted.area_mm2}", key="area")
    if wanted.clock_ghz is not None and not 0 < wanted.clock_ghz <= 100:
        raise ConfigError(f"must be above 0 and at most 100 GHz, got {wanted.clock_ghz}", key="clock")
    if wanted.node_nm not in NODES:
        raise ConfigError(f"must be one of {', '.join(map(str, NODES))} nm, got {wanted.node_nm}", key="node")
    return listed.build(wanted)


def _of_arrays(kind: type[OfArrays], **fields: Any) -> Callable[[Wanted], ComputeUnit]:
    """Builds units of as many whole arrays as fit."""

    def build(wanted: Wanted) -> ComputeUnit:
        given = {**fields, **wanted.fields}
        one = kind.model_validate({**given, "arrays": 1})
        return kind.model_validate({**given, "arrays": _how_many(one.area_mm2, wanted, "array")})

    return build


def _quantised(wanted: Wanted) -> ComputeUnit:
    """Tables of INT8 with a scale each, and scale units for weights of the fewest planes that are asked for."""
    return _of_arrays(LutTensorCore, table="int8", least_planes=wanted.least_planes)(wanted)


def _mac(wanted: Wanted) -> ComputeUnit:
    a100 = MacTensorCore.a100(wanted.activation)  # type: ignore[arg-type]
    return _of_arrays(MacTensorCore, m=a100.m, n=a100.n, k=a100.k)(wanted)


def _systolic(wanted: Wanted) -> ComputeUnit:
    """A square array of as many cells as fit."""

    def sized(side: int) -> SystolicUnit:
        return SystolicUnit.model_validate({**wanted.fields, "array": SystolicSpec(rows=side, columns=side)})

    return sized(math.isqrt(_how_many(sized(1).area_mm2, wanted, "cell")))


def _dot_array(element: ElementSpec, rows: int) -> Callable[[Wanted], ComputeUnit]:
    """Builds arrays of the published rows and as many columns as fit."""

    def build(wanted: Wanted) -> ComputeUnit:
        def sized(columns: int) -> DotArrayUnit:
            array = DotArraySpec(rows=rows, columns=columns, element=element)
            return DotArrayUnit.model_validate({**wanted.fields, "array": array})

        return sized(_how_many(sized(1).area_mm2, wanted, "column"))

    return build


def _fused(design: FusedArraySpec) -> Callable[[Wanted], ComputeUnit]:
    """Builds arrays of the published rows and as many columns as fit. MixPE's own arrays are not listed: its equal
    areas count an FP16 element as 1.14 INT8 ones, where Table 1 of LUT Tensor Core has 6.25."""

    def build(wanted: Wanted) -> ComputeUnit:
        published = FusedUnit.model_validate({**wanted.fields, "array": design})
        column_mm2 = published.area_mm2 / design.columns
        columns = _how_many(column_mm2, wanted, "column")
        macs = max(columns * published.int8_macs // design.columns, 1)
        sized = design.model_copy(update={"columns": columns})
        return FusedUnit.model_validate({**wanted.fields, "array": sized, "int8_macs": macs})

    return build


def _ant(wanted: Wanted) -> ComputeUnit:
    """ANT as BitMoD has it for FP16 activations, as MixPE has it for INT8."""
    return _dot_array(ANT, 32)(wanted) if wanted.activation == "fp16" else _fused(MIXPE_DESIGNS[1])(wanted)


def _how_many(one_mm2: float, wanted: Wanted, what: str) -> int:
    count = int(wanted.area_mm2 / one_mm2 * (1 + 1e-12))
    if count < 1:
        raise ConfigError(f"{wanted.area_mm2:g} mm2 hold no {what}, which takes {one_mm2:.3g} mm2", key="area")
    return count


unit_kinds: Registry[Listed] = Registry("unit")
"""Kinds of units by name; an installed package adds one as the entry point `unit:<name>`."""

for _name, _listed in {
    "mac": Listed("tensor cores that multiply in one format", MULTIPLIED, _mac),
    "systolic": Listed("a square systolic array of such cells", MULTIPLIED, _systolic),
    "lut": Listed("LUT tensor cores, tables in the activations' format", LOOKED_UP, _of_arrays(LutTensorCore)),
    "lut-int8": Listed("LUT tensor cores, tables of INT8 with a scale each", ("int16", "fp8", "fp16"), _quantised),
    "conventional-lut": Listed("full tables, made inside for 4 columns", LOOKED_UP, _of_arrays(ConventionalLut)),
    "unpu": Listed("UNPU's: full tables, made inside for 64 columns", LOOKED_UP, _of_arrays(UnpuLike)),
    "figlut": Listed("FIGLUT's: half tables in flip-flops, 32 readers, 100 MHz", LOOKED_UP, _of_arrays(Figlut)),
    "bitmod": Listed("BitMoD's elements, two bits of a weight a cycle, its own synthesis", ("fp16",),
                     _dot_array(BITMOD, 32)),
    "olive": Listed("OliVe's elements, as BitMoD has them", ("fp16",), _dot_array(OLIVE, 36)),
    "ant": Listed("ANT's elements, as BitMoD (fp16) and MixPE (int8) have them", ("int8", "fp16"), _ant),
    "bitfusion": Listed("BitFusion's elements that split, as MixPE has them", ("int8",), _fused(MIXPE_DESIGNS[2])),
    "add": Listed("bit-serial adders without tables", LOOKED_UP, _of_arrays(AddOnly)),
}.items():  # fmt: skip
    unit_kinds.add(_name, _listed)
