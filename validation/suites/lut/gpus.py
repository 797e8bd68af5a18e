"""The GPUs of LUT Tensor Core's Table 1: streaming multiprocessors (SMs) with one of several units in each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, cast

from cairn.hw_models.compute.units.contract import ComputeUnit, peak_tops
from cairn.hw_models.compute.units.look_up import LutTensorCore
from cairn.hw_models.compute.units.mac import Format, MacTensorCore

FILE: Final = "lut/lut_tensor_core.yaml"
SMS: Final = {"a100": 108, "h100": 132}
"""NVIDIA A100 and H100 (SXM) whitepapers, 2020 and 2022."""
DRAM_GB_PER_S: Final = {"a100": 1555.0, "h100": 3350.0}
"""The same whitepapers: A100 with 40 GB of HBM2, H100 SXM with HBM3."""
LUT_ACTIVATION: Final = {"a100": "int8", "h100": "fp8"}
"""Activations of the rows with look-up units: what the table says of each (W2A8(INT8), W2A8(FP8))."""
LUT_WEIGHT_BITS: Final = 2
"""BitNet b1.58 runs as two bits in these rows."""
FP16_MACS_PER_SM: Final = 1024
"""What an 'X' of the paper's units is a multiple of: the multiply-accumulates of an A100's SM (whitepaper)."""
_ROW = re.compile(r"ltc_t1_(?P<gpu>[a-z0-9]+?)_(?P<unit>lut\d+x|fp16|int8|fp8)_(?P<quantity>\w+)")


@dataclass(frozen=True)
class Gpu:
    """A GPU with `unit` in each of its SMs, at weights of `weight_bits`."""

    name: str
    unit_name: str
    sms: int
    unit: ComputeUnit
    weight_bits: int

    @property
    def peak_tops(self) -> float:
        return self.sms * float(peak_tops(self.unit, self.weight_bits))


def parse(entry: str) -> tuple[Gpu, str] | None:
    """The GPU and the quantity that the id of an entry of Table 1 names; None for other entries and unknown GPUs."""
    found = _ROW.fullmatch(entry)
    if found is None or found["gpu"] not in SMS:
        return None
    return gpu(found["gpu"], found["unit"]), found["quantity"]


def gpu(name: str, unit: str) -> Gpu:
    """A GPU by the names that the reference uses: `fp16`, `int8`, `fp8`, or `lutNx`, N times FP16's rate at 2 bits."""
    if unit.startswith("lut"):
        times = int(unit[3:-1])
        return Gpu(name, unit, SMS[name], look_up(LUT_ACTIVATION[name], times, LUT_WEIGHT_BITS), LUT_WEIGHT_BITS)
    core = MacTensorCore.a100(cast(Format, unit))
    return Gpu(name, unit, SMS[name], core, core.activation_bits)


def look_up(activation: str, times: int, weight_bits: int) -> LutTensorCore:
    """An SM's look-up unit of `times` the rate of FP16: as many arrays as that takes at this number of planes."""
    one = LutTensorCore.model_validate({"activation": activation})
    arrays = times * FP16_MACS_PER_SM * weight_bits // (one.m * one.n * one.k)
    return one.model_copy(update={"arrays": arrays})
