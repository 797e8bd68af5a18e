"""The console report of products on accelerators: readable at 110 columns."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any, Final

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cairn.sim.layerwise.compare import LayersResult
from cairn.sim.layerwise.spec import AcceleratorSpec, Phase

_Row = Mapping[Hashable, Any]
_PREFIXES: Final = (
    (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"),
    (1e-12, "p"),
)  # fmt: skip

ROUNDS_UP: Final = 1 - 5e-5
"""Of a multiple: what four digits show as one of it."""


def print_layers_report(result: LayersResult, console: Console) -> None:
    """Print headline, totals, cycles beside each other (of several accelerators), a table for each, notes."""
    totals, products = result.totals(), result.products()
    parts: list[RenderableType] = [_headline(result), Text(), _totals(totals), Text()]
    if len(totals) > 1:
        parts += [_beside(products), Text()]
    for spec, total in zip(result.accelerators, totals.to_dict("records"), strict=True):
        own = products[products["accelerator"] == spec.name]
        parts += [_products(spec, total, own, result.phase), Text()]
    parts += [Text(f"note: {note}") for note in result.notes]
    about = result.provenance
    line = f"cairn {about['version']}, run {about['run_hash']}, {about['fidelity']}, {about['wall_s']:.1f} s"
    console.print(Group(*parts, Text(line, "dim")))


def _headline(result: LayersResult) -> RenderableType:
    step = f"a prompt of {result.context:,} tokens"
    if result.phase is Phase.DECODE:
        step = f"one token over {result.context:,} keys"
    return Text.assemble((result.model.name, "bold"), (f"   {result.phase.value}: {step}, one request", "dim"))


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip


def _totals(totals: pd.DataFrame) -> Table:
    table = _table("The step, beside the first accelerator")
    table.add_column("accelerator")
    names = "cycles", "time", "speed-up", "by DRAM", "moved", "DRAM", "array", "buffers", "energy", "ratio"
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for row in totals.to_dict("records"):
        table.add_row(
            row["accelerator"], scaled(row["cycles"]), scaled(row["ms"] / 1e3, "s"), f"{row['speedup']:.2f}x",
            f"{row['dram_bound_share']:.0%}", scaled(row["dram_bytes"], "B"), *_energies(row),
            "-" if math.isnan(row["energy_ratio"]) else f"{row['energy_ratio']:.2f}x",
        )  # fmt: skip
    return table


def _beside(products: pd.DataFrame) -> Table:
    """Cycles of each product, an accelerator a column."""
    table = _table("Cycles by product (D: by DRAM)")
    table.add_column("product", no_wrap=True)
    names = list(products["accelerator"].unique())
    for name in names:
        table.add_column(name, justify="right")
    cells = products.set_index(["product", "accelerator"])
    for product in products["product"].unique():
        rows = (cells.loc[(product, name)] for name in names)
        table.add_row(
            product, *(scaled(row["cycles"]) + (" D" if row["bound_by"] == "DRAM" else "  ") for row in rows)
        )
    return table


def _products(spec: AcceleratorSpec, total: _Row, own: pd.DataFrame, phase: Phase) -> Table:
    shape, dot = spec.phase(phase), spec.element.dot
    of = f"of {dot} products " if dot > 1 else ""
    table = _table(
        f"{spec.name}: {shape.rows} x {shape.columns} elements {of}({total['array_mm2']:.3g} mm2) at "
        f"{spec.clock_ghz:g} GHz, weights of {total['weight_bits']:g} bits"
    )
    table.add_column("product", no_wrap=True)
    for name in ("count", "computing", "of DRAM", "cycles"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("bound by", no_wrap=True)
    for name in ("moved", "DRAM", "array", "buffers", "energy"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in own.to_dict("records"):
        table.add_row(row["product"], f"{row['count']:,}", *_cells(row, row["bound_by"]))
    table.add_section()
    table.add_row("all", "", *_cells(total, f"DRAM {total['dram_bound_share']:.0%}"))
    return table


def _cells(row: _Row, bound: str) -> list[str]:
    cycles = [scaled(row[name]) for name in ("compute_cycles", "dram_cycles", "cycles")]
    return [*cycles, bound, scaled(row["dram_bytes"], "B"), *_energies(row)]


def _energies(row: _Row) -> list[str]:
    return [scaled(row[part] / 1e12, "J") for part in ("dram_pj", "array_pj", "sram_pj", "energy_pj")]


def scaled(value: float, unit: str = "") -> str:
    """`value`, 0 or above, to four digits in the unit's nearest decimal multiple below, such as 1.807 GB; - if NaN."""
    if math.isnan(value):
        return "-"
    factor, prefix = next((each for each in _PREFIXES if value >= each[0] * ROUNDS_UP), (1.0, ""))
    return f"{f'{value / factor:#.4g}'.rstrip('.')} {prefix}{unit}".rstrip()
