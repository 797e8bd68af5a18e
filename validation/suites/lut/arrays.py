"""Areas, densities and efficiencies of arrays: what follows from Table 2 and counted cells, and what goes in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.cycle import table_rounds
from cairn.hw_models.compute.lut.precompute import adds_per_table
from cairn.hw_models.compute.lut.spec import MAX_WEIGHT_BITS, LutSpec
from cairn.hw_models.compute.units.contract import ComputeUnit, density_tops_per_mm2, tops_per_w
from cairn.hw_models.compute.units.look_up import ConventionalLut, Figlut, LookUpUnit, LutTensorCore, UnpuLike
from cairn.hw_models.compute.units.mac import MacTensorCore
from cairn.validation.reference import Entry
from cairn.validation.rows import Row
from cairn.validation.suites.lut.gpus import Gpu, look_up, parse

INPUTS: Final = {
    "a100_fp16": ("area", "density", "eff"), "a100_int8": ("area", "density", "eff"), "h100_fp8": ("area", "density"),
    "h100_lut4x": ("area", "density"),
}  # fmt: skip
"""Figures of Table 1 that the anchors were derived from (an area and its density are one figure): rows that count for
nothing."""
UNITS: Final = {"peak": "TOPS", "area": "mm2", "density": "TOPS/mm2", "eff": "TOPS/W"}
UNPU_BITS: Final = (16, 8, 4, 1)
"""Weights that the reference's savings are of (unpu_lbpe_saving); the unit here takes up to 8 bits."""
_SINGLE = re.compile(r"ltc_dp4_(?P<kind>mac|lut)_w(?P<bits>\d+)a16")
_INPUT = "an input: the anchors were derived from it"


def rows(entries: Mapping[str, Entry], others: Mapping[str, Entry]) -> Iterator[Row]:
    """Rows of Table 1, of Table 2, and of single statements on areas and tables, as far as `entries` has them."""
    for name, entry in entries.items():
        found = parse(name)
        if found is not None and found[1] in UNITS:
            yield _table_1_row(*found, entry)
    yield from _table_2_rows(entries)
    yield from _share_rows(entries)
    yield from _exact_rows(entries, others)
    yield from _figlut_rows(others)
    yield from _unpu_rows(others)


def _table_1_row(gpu: Gpu, quantity: str, entry: Entry) -> Row:
    name = f"{gpu.name}_{gpu.unit_name}"
    given = quantity in INPUTS.get(name, ())
    return Row(
        f"arrays/{name}/{quantity}", f"arrays, {'input' if given else 'Table 1'}", float(entry.value),
        _figure(gpu, quantity), UNITS[quantity], entry.source, () if given else ("arrays",),
        excluded={"arrays": _INPUT} if given else {},
    )  # fmt: skip


def _figure(gpu: Gpu, quantity: str) -> float:
    """Area of an SM's unit; density and efficiency are the same for the SM and the whole GPU."""
    if quantity == "peak":
        return gpu.peak_tops
    if quantity == "area":
        return gpu.unit.area_mm2
    return float((density_tops_per_mm2 if quantity == "density" else tops_per_w)(gpu.unit, gpu.weight_bits))


def _table_2_rows(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """The steps from UNPU's unit to the full array: the last went in, the others follow from the cells."""
    steps = {"unpu": UnpuLike(activation="int8"), "reinterp": UnpuLike(activation="int8", symmetric=True),
             "full": LutTensorCore(activation="int8")}  # fmt: skip
    for step, unit in steps.items():
        for quantity, value, shown in (("area", unit.area_mm2 * 1e6, "um2"), ("power", _power_mw(unit), "mW")):
            entry = entries.get(f"ltc_t2_{step}_{quantity}")
            if entry is not None:
                given = step == "full"
                yield Row(
                    f"cells/{step}/{quantity}", f"arrays, {'input' if given else 'Table 2'}", float(entry.value), value,
                    shown, entry.source, () if given else ("cells",), excluded={"cells": _INPUT} if given else {},
                )  # fmt: skip


def _power_mw(unit: LookUpUnit) -> float:
    """Power at 1 GHz and full use with weights of 2 bits, as in Table 2."""
    return float(unit.mac_pj(2) * unit.peak_macs_per_cycle(2))


def _share_rows(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Ratios to the FP16 tensor core of an A100's SM."""
    mac = MacTensorCore.a100("fp16")
    eight, one = look_up("int8", 8, 2), look_up("fp16", 1, 1)
    density = density_tops_per_mm2(eight, 2) / density_tops_per_mm2(mac, 16)
    shares: dict[str, tuple[float, bool]] = {
        "ltc_area_frac_w1a16_1x": (one.area_mm2 / mac.area_mm2, True),
        "ltc_area_frac_w1a16_4x": (look_up("fp16", 4, 1).area_mm2 / mac.area_mm2, False),
        "ltc_area_frac_w2a8_8x": (eight.area_mm2 / mac.area_mm2, False),
        "ltc_headline_density": (float(density), False),
        "ltc_headline_energy": (float(tops_per_w(eight, 2) / tops_per_w(mac, 16)), False),
    }
    for name, (value, given) in shares.items():
        entry = entries.get(name)
        if entry is not None:
            yield Row(
                f"arrays/{name.removeprefix('ltc_')}", f"arrays, {'input' if given else 'shares'}", float(entry.value),
                value, entry.unit, entry.source, () if given else ("arrays",),
                excluded={"arrays": _INPUT} if given else {},
            )  # fmt: skip
    yield from _single_unit_rows(entries)
    entry = entries.get("ltc_tc_ppa_gain")
    if entry is not None:
        yield from _gain_rows(entry)


def _single_unit_rows(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Densities of units of one product of four, MAC or look-up, with FP16 activations."""
    for name, entry in entries.items():
        found = _SINGLE.fullmatch(name)
        if found is not None:
            kind = LutTensorCore if found["kind"] == "lut" else MacTensorCore
            unit = kind.model_validate({"activation": "fp16", "m": 1, "n": 1, "k": 4})
            yield Row(
                f"arrays/{name.removeprefix('ltc_')}", "arrays, reported", float(entry.value),
                float(density_tops_per_mm2(unit, int(found["bits"]))), "TFLOPS/mm2", entry.source,
                remark="The areas are those of units in an array; the paper's stand alone.",
            )  # fmt: skip


def _gain_rows(entry: Entry) -> Iterator[Row]:
    """Gains over the MAC array at one bit; the paper says 4 to 6 times for both."""
    ends = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", str(entry.value))]
    if len(ends) != 2:
        raise ConfigError(f"a range such as 4 to 6 belongs here, not {entry.value!r}", file=entry.file, key=entry.id)
    least, most = ends
    for activation in ("int8", "fp16"):
        unit: ComputeUnit = LutTensorCore.model_validate({"activation": activation})
        mac = MacTensorCore.model_validate({"activation": activation})
        area = density_tops_per_mm2(unit, 1) / density_tops_per_mm2(mac, 1)
        for quantity, gain in (("area", float(area)), ("power", float(tops_per_w(unit, 1) / tops_per_w(mac, 1)))):
            yield Row(
                f"arrays/gain/{activation}/{quantity}", "arrays, reported", min(max(gain, least), most), gain, "x",
                entry.source, remark=f"The reference is the nearest figure within {least:g} to {most:g}.",
            )  # fmt: skip


def _exact_rows(entries: Mapping[str, Entry], others: Mapping[str, Entry]) -> Iterator[Row]:
    """Numbers that follow by counting."""
    unshared = ConventionalLut(activation="fp16")
    blocks = int(table_rounds(unshared, 4096, 12288, 12288)) // int(table_rounds(unshared, 4096, 1, 12288))
    counted = {
        "ltc_opt_redundancy": float(blocks),
        "ltc_table_entries": float(LutSpec().table_entries),
        "figlut_gen_adds": float(adds_per_table(4)),
    }
    both = {**entries, **others}
    for name, value in counted.items():
        if name in both:
            entry = both[name]
            yield Row(f"count/{name}", "arrays, counts", float(entry.value), value, entry.unit, entry.source,
                      ("counts",))  # fmt: skip


def _figlut_rows(others: Mapping[str, Entry]) -> Iterator[Row]:
    """FIGLUT's tables and readers, and its density as another paper has it."""
    half, readers = others.get("figlut_half_table_power"), others.get("figlut_cfg")
    if half is not None:
        ratio = Figlut().table_pj / Figlut(symmetric=False).table_pj
        yield Row("cells/figlut_half_table", "arrays, tables", float(half.value[1]), ratio, "of a full table",
                  half.source, ("cells",))  # fmt: skip
    if readers is not None:
        best = min(range(1, 257), key=lambda count: Figlut(n=count).reader_pj)
        yield Row("arrays/figlut_readers", "arrays, input", float(readers.value[1]), float(best), "readers",
                  readers.source, excluded={"counts": _INPUT})  # fmt: skip
    density = others.get("axcore_density_w4fp16")
    if density is not None:
        unit, mac = Figlut(activation="int16", clock_ghz=1), MacTensorCore(activation="fp16", clock_ghz=1)
        gain = density_tops_per_mm2(unit, 4) / density_tops_per_mm2(mac, 16)
        yield Row("arrays/figlut_density", "arrays, reported", float(density.value[1]), float(gain), "x",
                  density.source, remark="FIGLUT on integers, over an FP16 MAC of Table 1.")  # fmt: skip


def _unpu_rows(others: Mapping[str, Entry]) -> Iterator[Row]:
    """Energy of UNPU's unit over that of a fixed-point multiplier of the same operands, of its own cells."""
    saving = others.get("unpu_lbpe_saving")
    if saving is None:
        return
    unit = UnpuLike(activation="int16")
    gate = unit.anchors.pj_per_gate(unit.cells)
    for bits, percent in zip(UNPU_BITS, saving.value, strict=True):
        if bits <= MAX_WEIGHT_BITS:
            multiplier = unit.cells.multiply_accumulate(unit.activation_bits, bits) * gate
            yield Row(
                f"arrays/unpu_energy/{bits}_bits", "arrays, reported", 1 - float(percent) / 100,
                float(unit.mac_pj(bits)) / multiplier, "of a MAC", saving.source,
            )  # fmt: skip
