"""BitMoD's simulator: cycles and energy of five accelerators on six models, equal; its published means, reported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from statistics import fmean
from typing import Final

from cairn.base.errors import CairnError
from cairn.hw_models.compute.bitserial import cost
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import MODEL, load_document
from cairn.sim.layerwise.run import LayerwiseResult, run_layers
from cairn.sim.layerwise.spec import Phase, load_accelerator
from cairn.validation.reference import Entry
from cairn.validation.rows import Row
from cairn.validation.shipped import shipped_model_name
from cairn.workloads.architecture import ModelSpec

FILE: Final = "lut/bitmod_sim.yaml"
MODELS: Final = ("opt-1.3b", "phi-2", "yi-6b", "llama-2-7b", "llama-2-13b", "llama-3-8b")
ACCELERATORS: Final = {
    "fp16": "bitmod-fp16",
    "ant": "bitmod-ant",
    "olive": "bitmod-olive",
    "bitmod_lossless": "bitmod-lossless",
    "bitmod_lossy": "bitmod-lossy",
}
GENERATED: Final = 20
"""Tokens of a generative task beside its prefill of 256: speedup_plot.ipynb, as the reference row says."""
_POINT: Final = re.compile(rf"bitmod_(cycles|energy)_({'|'.join(ACCELERATORS)})_({'|'.join(Phase)})_(.+)")


def rows(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """A row for each total of cycles, three for each pair of energies, then tiles and published means."""
    for entry in entries.values():
        if (point := _POINT.fullmatch(entry.id)) is not None:
            yield from _point(entry, *point.groups())
    yield from _tiles(entries)
    yield from _means(entries)


def _point(entry: Entry, what: str, accelerator: str, phase: str, model: str) -> Iterator[Row]:
    place = f"{accelerator}/{phase}/{model}"
    remark, found = "", None
    try:
        found = simulated(accelerator, phase, model)
    except CairnError as refused:
        remark = f"Refused: {refused}"
    if what == "cycles":
        cycles = None if found is None else float(found.cycles)
        yield Row(
            f"bitmod/cycles/{place}",
            f"BitMoD cycles, {phase}",
            float(entry.value),
            cycles,
            entry.unit,
            entry.source,
            ("bitmod_cycles",),
            remark=remark,
        )
        return
    on_chip, total = (float(value) for value in entry.value)
    parts = (
        ("dram", total - on_chip, 1.0, None if found is None else found.dram_pj),  # two figures rounded to 1 uJ
        ("on_chip", on_chip, 0.5, None if found is None else found.on_chip_pj),
    )
    for part, reference, resolution, energy in parts:
        yield Row(
            f"bitmod/{part}_energy/{place}",
            f"BitMoD {part} energy, {phase}",
            reference,
            None if energy is None else energy / 1e6,
            "uJ",
            entry.source,
            (f"bitmod_{part}_energy",),
            resolution=resolution,
            remark=remark,
        )


def _tiles(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Tiles of table X from single elements: areas and powers as synthesised. Encoders are not in the elements."""
    for key, accelerator in (("bitmod_tile_base", "fp16"), ("bitmod_tile_bitmod", "bitmod_lossless")):
        if key not in entries:
            continue
        entry = entries[key]
        elements, area, *_, power = entry.value
        spec = load_accelerator(ACCELERATORS[accelerator])
        array = spec.array(Phase.PREFILL).model_copy(update={"rows": int(elements), "columns": 1})
        for what, reference, found, unit in (
            ("area", area, cost.area_mm2(array) * 1e6, "um2"),
            ("power", power, cost.power_mw(array, spec.clock_ghz), "mW"),
        ):
            yield Row(f"bitmod/tile_{what}/{accelerator}", "BitMoD tiles", float(reference), found, unit, entry.source)


def _means(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Speed and energy of BitMoD over others, means over the six models."""
    speeds = (
        ("bitmod_speedup_lossless", "fp16", "bitmod_lossless"),
        ("bitmod_speedup_lossy_vs_olive", "olive", "bitmod_lossy"),
    )
    for key, slow, fast in speeds:
        if key in entries:
            for task, reference in zip(("discriminative", "generative"), entries[key].value, strict=True):
                found = fmean(_ratio(slow, fast, model, GENERATED * (task == "generative")) for model in MODELS)
                yield _mean_row(entries[key], f"{key.removeprefix('bitmod_')}/{task}", float(reference), found)
    if "bitmod_energy_lossless" in entries:
        entry = entries["bitmod_energy_lossless"]
        tasks = [(model, tokens) for model in MODELS for tokens in (0, GENERATED)]
        ratios = [_ratio("fp16", "bitmod_lossless", model, tokens, True) for model, tokens in tasks]
        yield _mean_row(entry, "energy_lossless", float(entry.value), fmean(ratios))


def _mean_row(entry: Entry, name: str, reference: float, found: float) -> Row:
    return Row(f"bitmod/{name}", "BitMoD means", reference, found, entry.unit, entry.source, resolution=0.005)


def _ratio(slow: str, fast: str, model: str, generated: int, energy: bool = False) -> float:
    """Cycles (or energy) of `slow` over those of `fast` for a prefill and `generated` tokens after it."""
    total = []
    for accelerator in (slow, fast):
        prefill, decode = (simulated(accelerator, phase, model) for phase in Phase)
        first, each = (prefill.total_pj, decode.total_pj) if energy else (prefill.cycles, decode.cycles)
        total.append(first + generated * each)
    return total[0] / total[1]


@lru_cache(maxsize=256)
def simulated(accelerator: str, phase: str, model: str) -> LayerwiseResult:
    """`model`, as a reference file calls it, on one of the five; CairnError when Cairn has no such model."""
    name = shipped_model_name(model)
    if name is None:
        raise CairnError(f"no shipped model is called {model!r}")
    spec = validate(load_document(name, MODEL), ModelSpec, MODEL.references)
    return run_layers(load_accelerator(ACCELERATORS[accelerator]), spec, Phase(phase))
