"""Effective bandwidth of a die of fixed area over the depth of its stack: an inverted U, and what bends it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Final

from cairn.base.errors import ConfigError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.effective import EffectiveBandwidth, core_mm2, effective_bandwidth
from cairn.sim.config.resolve import SWEEP, load_document
from cairn.sim.config.run_config import load
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.stack.channel import Tiles, in_words, stream

SWEPT: Final = "stack-depth"
DEPTHS: Final = tuple(range(1, 13))
SRAM_KIB: Final = (256, 512)
TWO_BANKS, ONE_BANK = 2, 1
"""Banks of each layer over each core; two hide the recharge of one another, one alone hides nothing."""
TURN_BYTES: Final = 4096
"""As `DramSpec.turn_bytes` (AMBA AXI, IHI 0022): turns of the largest power of two of bursts within it."""
INTERVALS: Final = 20
"""assumed: refresh intervals that a simulated read lasts, so that a part of one hardly counts."""
FIGURES, ENTRY = "stacked3d/deepstack.yaml", "ds.bw_peak"
OBTAIN = "reference/stacked3d/README.md says where its figures are from"


@dataclass(frozen=True)
class Point:
    """A depth: the chip that fills the die, and its closed form."""

    layers: int
    chip: ChipSpec
    found: EffectiveBandwidth


def rows(reference: ReferenceDir) -> Iterator[Row]:
    """Every depth in closed form against a simulated channel, the shape of each curve, DeepStack's figures."""
    entry = reference.entries(FIGURES, OBTAIN).get(ENTRY)
    if entry is None:
        raise ConfigError("this entry is missing", file=FIGURES, key=ENTRY)
    peak_layers, drop_percent = entry.value
    for sram_kib in SRAM_KIB:
        for banks in (TWO_BANKS, ONE_BANK):
            points = [point(sram_kib, banks, layers) for layers in DEPTHS]
            name = f"{sram_kib}_kib/{'two_banks' if banks == TWO_BANKS else 'one_bank'}"
            if banks == TWO_BANKS or sram_kib == SRAM_KIB[0]:
                yield from (_point_row(name, each) for each in points)
            if banks == TWO_BANKS:
                yield from shape_rows(name, [each.found.gb_per_s for each in points])
                yield from _deepstack_rows(name, points, entry.source, peak_layers, drop_percent / 100)


def point(sram_kib: int, banks: int, layers: int) -> Point:
    """The die of the sweep `stack-depth` with all of `layers` connected, filled with cores that are counted singly."""
    bare = _chip(sram_kib, banks, layers, cores=1)
    chip = _chip(sram_kib, banks, layers, cores=int(bare.die_limit_mm2 / core_mm2(bare)))
    return Point(layers, chip, effective_bandwidth(chip))


@cache
def _settings() -> tuple[str, ...]:
    """What the sweep lays over its run."""
    content: dict[str, Any] = load_document(SWEPT, SWEEP).data["set"]
    return tuple(f"{key}={json.dumps(value)}" for key, value in content.items())


@cache
def _chip(sram_kib: int, banks: int, layers: int, cores: int) -> ChipSpec:
    """Ports and banks of the SRAM go with its size, as in the sweep.

    Requests take turns of whole bursts: a turn that ends inside a burst reads it twice (S2), up to 6 % more with bursts
    of 32 bytes a layer and turns of 4096.
    """
    plain = load("demo", [*_settings(), *_laid(sram_kib, banks, layers, cores)]).chip.dram
    turn = plain.burst_bytes << (TURN_BYTES // plain.burst_bytes).bit_length() - 1
    return load("demo", [*_settings(), *_laid(sram_kib, banks, layers, cores), f"chip.dram.turn_bytes={turn}"]).chip


def _laid(sram_kib: int, banks: int, layers: int, cores: int) -> list[str]:
    settings = {
        "sram.capacity_kib": sram_kib, "sram.banks": sram_kib // 8,
        "sram.read_bytes_per_cycle": sram_kib, "sram.write_bytes_per_cycle": sram_kib // 2,
        "cores": {"rows": 1, "columns": cores},
        "dram.stack.layers": layers, "dram.stack.connected_layers": layers,
        "dram.stack.banks_per_core_and_layer": banks,
    }  # fmt: skip
    return [f"chip.{key}={json.dumps(value)}" for key, value in settings.items()]


def _point_row(name: str, each: Point) -> Row:
    """The closed form of a depth against a long read of whole rows in the simulator, its terms beside it."""
    chip, dram = each.chip, each.chip.dram
    rows_read = INTERVALS * dram.t_refi / dram.clock_ghz * dram.bandwidth_gb_per_s / chip.channels / dram.row_bytes
    read = stream(chip, Tiles(1, int(rows_read) * dram.row_bytes))
    return Row(
        id=f"depth/{name}/{each.layers}_layers", kind=f"effective bandwidth limited by {each.found.limited_by}",
        reference=read.gb_per_s * chip.channels, prediction=each.found.gb_per_s, unit="GB/s",
        source="a channel of the chip in the simulator, times the number of channels", counts=("closed_form",),
        baselines={term: gb_per_s * (1 - each.found.refresh) for term, gb_per_s in each.found.terms.items()},
        remark=f"{chip.core_count} cores, limited by {each.found.limited_by}; simulated: {in_words(read.shares)}",
    )  # fmt: skip


def shape_rows(name: str, gb_per_s: Sequence[float]) -> Iterator[Row]:
    """The greatest bandwidth over that of the first and of the last depth, and how often the curve turns."""
    peak, source = max(gb_per_s), "closed form at all depths (effective.py)"
    for what, end in (("rise", gb_per_s[0]), ("fall", gb_per_s[-1])):
        yield Row(f"shape/{name}/{what}", "peak over an end of the curve", end, peak, "GB/s", source, ("inverted_u",))
    ups = [after > before for before, after in pairwise(gb_per_s)]
    turns = sum(after != before for before, after in pairwise(ups))
    yield Row(f"shape/{name}/turns", "turns of the curve", 1, turns, "turns", source, ("one_peak",))


def _deepstack_rows(name: str, points: Sequence[Point], source: str, layers: int, drop: float) -> Iterator[Row]:
    """Where the peak lies and how far the curve has fallen at twelve layers."""
    best = max(points, key=lambda each: each.found.gb_per_s)
    fallen = 1 - points[-1].found.gb_per_s / best.found.gb_per_s
    kind = "against DeepStack"
    yield Row(f"deepstack/{name}/peak", kind, layers, best.layers, "layers", source)
    yield Row(f"deepstack/{name}/drop_at_12_layers", kind, drop, fallen, "share", source)
