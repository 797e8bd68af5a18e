"""What is published of MixPE, ANT, BitNet on GPUs, UNPU and FIGLUT: reported with the error, no gate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cairn.hw_models.compute.fusion.designs import ANT_DESIGNS, MIXPE_DESIGNS
from cairn.sim.layerwise.fused import FusedResult, run_network
from cairn.sim.layerwise.gpu import A100_40, H100_PCIE, decode_tflops
from cairn.sim.layerwise.tilings import Layer, SurroundingsSpec, choose_tiling
from cairn.validation.reference import Entry
from cairn.validation.rows import Row
from cairn.validation.suites.lut.networks import ANT_NETWORKS, BATCH, DECODERS, ant_layers, mixpe_layers

MIXPE_FILE: Final = "lut/mixpe_ant.yaml"

PARTS: Final = ("static", "dram", "buffer", "core")
PRINTED: Final = 0.005
"""Half a unit of the two digits that the tables print."""


def rows(simulators: Mapping[str, Entry], others: Mapping[str, Entry]) -> Iterator[Row]:
    """Rows of the simulators' tables, then what formulas say of other units' figures."""
    yield from _mixpe_times(simulators)
    yield from _mixpe_energy(simulators)
    yield from _int8_layer(simulators)
    yield from _ant_times(simulators)
    yield from _unpu(others)
    yield from _figlut_gpus(others)


def _network(name: str) -> str | None:
    """The network of MixPE's list that a reference row calls `name`."""
    found = [known for known in sorted(DECODERS, key=len, reverse=True) if name.startswith(known)]
    return found[0] if found else None


def _mixpe(network: str) -> list[FusedResult]:
    return [run_network(design, mixpe_layers(network, design.name)) for design in MIXPE_DESIGNS]


def _over_last(results: Sequence[FusedResult]) -> list[float]:
    return [result.cycles / results[-1].cycles for result in results]


def _mixpe_times(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Times over FP16; the row called geomean is the arithmetic mean over the four networks (run_mix.py)."""
    names = [design.name for design in MIXPE_DESIGNS]
    for entry in entries.values():
        if not (match := re.fullmatch(r"mixpe_time_(.+)", entry.id)):
            continue
        network = _network(match[1])
        if match[1] == "geomean":
            columns = zip(*(_over_last(_mixpe(known)) for known in DECODERS), strict=True)
            found = [sum(column) / len(DECODERS) for column in columns]
        elif network is not None:
            found = _over_last(_mixpe(network))
        else:
            continue
        yield from _ratios(entry, f"mixpe_time/{match[1]}", "MixPE times", names, found)


def _mixpe_energy(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Parts of the energy over all of FP16's."""
    for entry in entries.values():
        match = re.fullmatch(r"mixpe_energy_(.+)", entry.id)
        network = _network(match[1]) if match else None
        if network is None:
            continue
        results = _mixpe(network)
        whole = sum(_energies(results[-1]))
        for part, values in enumerate(entry.value):
            found = [_energies(result)[part] / whole for result in results]
            names = [design.name for design in MIXPE_DESIGNS]
            yield from _ratios(entry, f"mixpe_{PARTS[part]}/{network}", "MixPE energies", names, found, values)


def _energies(result: FusedResult) -> tuple[float, float, float, float]:
    return result.static_pj, result.dram_pj, result.buffer_pj, result.core_pj


def _int8_layer(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Products of which MixPE's files print cycles of computing and of waiting."""
    for entry in entries.values():
        if match := re.fullmatch(r"mixpe_layer_int8_(\d+)x(\d+)", entry.id):
            layer = Layer(BATCH, int(match[1]), int(match[2]), 8)
            found = choose_tiling(MIXPE_DESIGNS[3], layer, SurroundingsSpec())
            parts = (found.compute_cycles, found.cycles - found.compute_cycles)
            for what, reference, prediction in zip(("computing", "waiting"), entry.value, parts, strict=True):
                name = f"published/mixpe_layer/{match[1]}x{match[2]}/{what}"
                yield Row(name, "MixPE cycles", float(reference), float(prediction), "cycles", entry.source)


def _ant_times(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Times over AdaFloat. Their means are over one more network, Inception v3, whose layers are not repeated here."""
    names = [design.name for design in ANT_DESIGNS]
    networks = {network.replace("_", ""): network for network in ANT_NETWORKS}
    for entry in entries.values():
        network = networks.get(entry.id.removeprefix("ant_time_").replace("_", ""))
        if network is not None:
            found = _over_last([run_network(design, ant_layers(network, design.name)) for design in ANT_DESIGNS])
            yield from _ratios(entry, f"ant_time/{network}", "ANT times", names, found)


def _ratios(
    entry: Entry,
    name: str,
    kind: str,
    columns: Sequence[str],
    found: Sequence[float],
    values: Sequence[float] | None = None,
) -> Iterator[Row]:
    """A row for each column; the column that all are divided by is left out of the times."""
    for column, prediction, reference in zip(columns, found, values or entry.value, strict=True):
        if reference != 1.0:
            yield Row(
                f"published/{name}/{column}",
                kind,
                float(reference),
                prediction,
                entry.unit,
                entry.source,
                ("fused_simulators",),
                resolution=PRINTED,
            )


def _figlut_gpus(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """FIGLUT's GPUs on OPT-6.7B at batch 32; which A100 and H100 is not said, and 279 W suggest the H100 of 350 W."""
    if "figlut_t5_gpu" in entries:
        entry = entries["figlut_t5_gpu"]
        for gpu, values in ((A100_40, entry.value[0]), (H100_PCIE, entry.value[2])):
            found = decode_tflops(gpu, 32)
            name = f"published/figlut_gpu/{gpu.name}"
            yield Row(name, "GPUs, batch 32", float(values[0]), found, "TFLOPS", entry.source)


def _unpu(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """A bit-serial unit does 16 products of one bit in the time of one of 16: its peak at 1 bit from that at 16."""
    if "unpu_peak" in entries:
        entry = entries["unpu_peak"]
        wide, narrow = entry.value
        yield Row("published/unpu_peak_1_bit", "bit-serial peaks", float(narrow), 16.0 * wide, entry.unit, entry.source)
