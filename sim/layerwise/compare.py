"""One step of a model on several accelerators, beside each other: tables for people and files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from cairn.base.errors import ConfigError
from cairn.base.registry import nearest_hint
from cairn.hw_models.compute.bitserial.cost import area_mm2, energy_pj
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import MODEL, load_document
from cairn.sim.layerwise.run import LayerwiseResult, run_layers
from cairn.sim.layerwise.spec import AcceleratorSpec, Phase
from cairn.sim.report.store import RESULT_FILE, whole_folder
from cairn.sim.run import code_version
from cairn.workloads.architecture import ModelSpec

SCHEMA: Final = "cairn.layers_result/1"
DEFAULT_CONTEXT: Final = 256
"""BitMoD simulator test_bitmod.py: 256 tokens a prompt, and a decode over as many."""


@dataclass(frozen=True)
class LayersResult:
    """What a step takes on each accelerator. `notes` say what is not known, and why."""

    model: ModelSpec
    phase: Phase
    context: int
    accelerators: tuple[AcceleratorSpec, ...]
    results: tuple[LayerwiseResult, ...]
    notes: tuple[str, ...]
    provenance: Mapping[str, Any]

    def products(self) -> pd.DataFrame:
        """A row for each product of each accelerator; all but `count` and `bound_by` are sums over its `count`.

        Columns: accelerator, product, count, macs, compute_cycles, dram_cycles, cycles, bound_by (`computing`, `DRAM`
        or `both`), dram_bytes, dram_pj, array_pj, sram_pj, energy_pj; the last two are NaN where they are not known.
        """
        pairs = zip(self.accelerators, self.results, strict=True)
        return pd.concat([_products(spec, self.phase, found) for spec, found in pairs], ignore_index=True)

    def totals(self) -> pd.DataFrame:
        """A row for each accelerator, the first being what others are compared with.

        Columns: accelerator, elements, array_mm2 (of the elements alone), weight_bits, clock_ghz, macs, compute_cycles,
        dram_cycles, cycles, ms, dram_bound_share (of the cycles), dram_bytes, dram_pj, array_pj, sram_pj, energy_pj,
        speedup, energy_ratio.
        """
        products = self.products()
        rows = []
        for spec, found in zip(self.accelerators, self.results, strict=True):
            own = products[products["accelerator"] == spec.name]
            summed = own[[*_SUMMED]].sum(skipna=False)
            dram_bound = own.loc[own["bound_by"] == "DRAM", "cycles"].sum()
            rows.append({
                "accelerator": spec.name, "elements": spec.array(self.phase).elements,
                "array_mm2": area_mm2(spec.array(self.phase)),
                "weight_bits": found.weight_bits, "clock_ghz": spec.clock_ghz,
                **{name: summed[name] for name in _COUNTS}, "ms": found.seconds * 1e3,
                "dram_bound_share": dram_bound / max(found.cycles, 1),
                **{name: summed[name] for name in _BYTES_AND_ENERGIES},
            })  # fmt: skip
        table = pd.DataFrame(rows).astype(dict.fromkeys((*_COUNTS, "dram_bytes"), np.int64))
        table["speedup"] = table["ms"].iloc[0] / table["ms"]
        table["energy_ratio"] = table["energy_pj"] / table["energy_pj"].iloc[0]
        return table

    def as_dict(self) -> dict[str, Any]:
        """The content of `result.json`; what is not known is null."""
        return {
            "schema": SCHEMA,
            "config": _config(self.accelerators, self.model, self.phase, self.context, self.results),
            "totals": _records(self.totals()),
            "products": _records(self.products()),
            "notes": list(self.notes),
            "provenance": dict(self.provenance),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """The content of `result.json` as text."""
        return json.dumps(self.as_dict(), indent=indent, allow_nan=False)

    def save(self, folder: Path) -> None:
        """Write `result.json`, `totals.csv` and `products.csv`; the folder appears whole or not at all."""
        with whole_folder(folder, SCHEMA.partition("/")[0]) as scratch:
            (scratch / RESULT_FILE).write_text(self.to_json() + "\n", encoding="utf-8")
            self.totals().to_csv(scratch / "totals.csv", index=False)
            self.products().to_csv(scratch / "products.csv", index=False)


_COUNTS: Final = ("macs", "compute_cycles", "dram_cycles", "cycles")
_BYTES_AND_ENERGIES: Final = ("dram_bytes", "dram_pj", "array_pj", "sram_pj", "energy_pj")
_SUMMED: Final = (*_COUNTS, *_BYTES_AND_ENERGIES)


def compare_layers(
    accelerators: Sequence[AcceleratorSpec],
    model: ModelSpec,
    phase: Phase | str = Phase.DECODE,
    context: int = DEFAULT_CONTEXT,
    weight_bits: float | None = None,
) -> LayersResult:
    """One prefill of `context` tokens, or the decode of one token over `context` keys, on each accelerator.

    `weight_bits` replaces, for all, what accelerators say of the model. ConfigError for what `run_layers` refuses, for
    no accelerator, and for two of one name.
    """
    wall = time.perf_counter()
    step = _phase(phase)
    names = [spec.name for spec in accelerators]
    if not names:
        raise ConfigError("name at least one accelerator", key="accelerators")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{', '.join(twice)}: given more than once; names tell the rows apart", key="accelerators")
    results = tuple(run_layers(spec, model, step, context, weight_bits) for spec in accelerators)
    about = json.dumps(_config(accelerators, model, step, context, results), sort_keys=True)
    provenance = {
        "version": code_version(),
        "run_hash": hashlib.sha256(about.encode()).hexdigest()[:12],
        "fidelity": "product by product",
        "wall_s": time.perf_counter() - wall,
    }
    return LayersResult(model, step, context, tuple(accelerators), results, _notes(accelerators, results), provenance)


def load_model(model: ModelSpec | str | Path) -> ModelSpec:
    """The model itself, or that of a shipped name or a path; ConfigError with every mistake in its file."""
    if isinstance(model, ModelSpec):
        return model
    return validate(load_document(model, MODEL), ModelSpec, MODEL.references)


def _phase(phase: Phase | str) -> Phase:
    try:
        return Phase(phase)
    except ValueError:
        hint = nearest_hint(str(phase), [known.value for known in Phase])
        raise ConfigError(f"no phase is called {phase!r}{hint}", key="phase") from None


def _products(spec: AcceleratorSpec, phase: Phase, found: LayerwiseResult) -> pd.DataFrame:
    """The table of one accelerator, as `LayersResult.products` has it."""
    each, count = found.table, found.table["count"]
    dram_pj = each["dram_bits"] * count * spec.dram_pj_per_bit
    array_pj = energy_pj(spec.array(phase), each["compute_cycles"] * count)
    sram_pj = _sram_pj(found)
    ahead = each["dram_cycles"] - each["compute_cycles"]
    bound_by = np.select([ahead > 0, ahead < 0], ["DRAM", "computing"], "both")
    return pd.DataFrame(
        {
            "accelerator": spec.name,
            "product": each.index,
            "count": count,
            **{name: each[name] * count for name in _COUNTS},
            "bound_by": bound_by,
            "dram_bytes": each["dram_bits"] // 8 * count,
            "dram_pj": dram_pj,
            "array_pj": array_pj,
            "sram_pj": sram_pj,
            "energy_pj": dram_pj + array_pj + sram_pj,
        }
    )


def _sram_pj(found: LayerwiseResult) -> np.ndarray:
    """Energy of the buffers for each row, or NaN where it is not known."""
    try:
        return np.asarray(found.sram_pj_each * found.table["count"])
    except ConfigError:
        return np.full(len(found.table), np.nan)


def _notes(accelerators: Sequence[AcceleratorSpec], results: Sequence[LayerwiseResult]) -> tuple[str, ...]:
    """What is not known of whom, and who counts attention as no hardware does it."""
    notes = []
    for spec, found in zip(accelerators, results, strict=True):
        try:
            _ = found.sram_pj
        except ConfigError as trouble:
            notes.append(f"{spec.name}: no energy of the buffers, and none in all: {trouble}")
    if merged := [spec.name for spec in accelerators if spec.attention.heads == "merged"]:
        notes.append(
            f"{', '.join(merged)}: attention as the BitMoD simulator counts it, heads merged into one product; "
            "the setting 'attention={heads: per_head, cached_reads: context}' counts every head and all keys and values"
        )
    return tuple(notes)


def _config(
    accelerators: Sequence[AcceleratorSpec],
    model: ModelSpec,
    phase: Phase,
    context: int,
    results: Sequence[LayerwiseResult],
) -> dict[str, Any]:
    """All that the numbers depend on; `weight_bits` are those of each accelerator."""
    return {
        "accelerators": [spec.model_dump(mode="json", by_alias=True) for spec in accelerators],
        "model": model.model_dump(mode="json", by_alias=True),
        "phase": phase.value,
        "context": context,
        "weight_bits": [found.weight_bits for found in results],
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain data, NaN being null."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows
