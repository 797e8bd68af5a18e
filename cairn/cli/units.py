"""`cairn units`: units for low-bit weights side by side, at one format and for one product."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from cairn.base.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from cairn.hw_models.compute.units.comparison import Figures
    from cairn.hw_models.compute.units.contract import ComputeUnit

SCHEMA: Final = "cairn.units/1"
SRAM_NOTE: Final = "SRAM: weights are read again for each block of an array's rows, without registers in between"
COLUMNS: Final = (
    "unit", "mm2", "GHz", "TOPS", "TOPS/mm2", "TOPS/W", "cycles", "waste", "us", "arrays uJ", "SRAM uJ",
)  # fmt: skip
LARGEST: Final = 1_000_000
"""Sizes up to here have cycles and traffic that 64-bit integers hold."""
Shape = tuple[int, int, int]


def units(arguments: Namespace) -> int:
    """Print the comparison, or as JSON; or list the units."""
    if arguments.list:
        _list()
        return 0
    shape, bits = parse_shape(arguments.shape), parse_bits(arguments.bits)
    chosen, left_out = _chosen(arguments, bits)
    from cairn.hw_models.compute.units.comparison import compare

    figures = compare(chosen, bits, *shape)
    notes = [next(iter(chosen.values())).provenance, SRAM_NOTE, *left_out]
    if arguments.json:
        about = {"activation": arguments.activation, "node_nm": arguments.node, "shape": list(shape), "notes": notes}
        print(json.dumps({"schema": SCHEMA, **about, "units": [one._asdict() for one in figures]}, indent=1))
        return 0
    _print(arguments, figures, shape, notes)
    return 0


def parse_shape(text: str) -> Shape:
    """M, N and K of a text such as 2048x4096x4096; ConfigError otherwise."""
    found = re.fullmatch(r"(\d+)x(\d+)x(\d+)", text)
    if found is None:
        raise ConfigError(f"--shape {text}: three sizes M x N x K belong here, such as 2048x4096x4096")
    m, n, k = (int(size) for size in found.groups())
    if min(m, n, k) < 1 or max(m, n, k) > LARGEST:
        raise ConfigError(f"--shape {text}: rows, columns and elements are from 1 to {LARGEST:,}")
    return m, n, k


def parse_bits(text: str) -> list[float]:
    """Numbers of bits of a text such as 1,1.6,4; ConfigError for what no unit takes."""
    from cairn.hw_models.compute.lut.spec import weight_planes

    try:
        bits = [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--bits {text}: numbers with commas between belong here, such as 1,2,4") from None
    try:
        weight_planes(bits)
    except ConfigError as trouble:
        raise ConfigError(f"--bits {text}: {trouble.message}") from None
    return list(dict.fromkeys(bits))


def _chosen(arguments: Namespace, bits: Sequence[float]) -> tuple[dict[str, ComputeUnit], list[str]]:
    """The units asked for, or all that take the format, and what is said of the others."""
    from cairn.hw_models.compute.lut.spec import weight_planes
    from cairn.hw_models.compute.units.blocks import BITS
    from cairn.hw_models.compute.units.catalogue import Wanted, unit, unit_kinds

    least = int(weight_planes(bits).min())
    wanted = Wanted(arguments.activation, arguments.node, arguments.area, arguments.clock, least)
    if arguments.unit:
        return {name: unit(name, wanted) for name in dict.fromkeys(arguments.unit)}, []
    if arguments.activation not in BITS:
        raise ConfigError(f"must be one of {', '.join(BITS)}, got {arguments.activation!r}", key="activation")
    names = [name for name in unit_kinds if arguments.activation in unit_kinds.get(name).formats]
    others = [
        f"{name} takes {', '.join(unit_kinds.get(name).formats)}" for name in unit_kinds if name not in names
    ]
    return {name: unit(name, wanted) for name in names}, others


def _list() -> None:
    """Names, formats and what each unit is."""
    from cairn.hw_models.compute.units.catalogue import unit_kinds

    for name in unit_kinds:
        listed = unit_kinds.get(name)
        print(f"{name:<18}{', '.join(listed.formats):<26}{listed.about}")


def _print(arguments: Namespace, figures: Sequence[Figures], shape: Shape, notes: Sequence[str]) -> None:
    from rich.console import Console
    from rich.text import Text

    from cairn.cli.run import REPORT_COLUMNS

    console = Console(highlight=False, width=None if sys.stdout.isatty() else REPORT_COLUMNS)
    size = " x ".join(f"{one:,}" for one in shape)
    console.print(Text.assemble(
        (f"{arguments.activation} activations", "bold"),
        (f"   units of up to {arguments.area:g} mm2; a product of {size} (M x N x K)", "dim"),
    ))  # fmt: skip
    for bits in dict.fromkeys(one.weight_bits for one in figures):
        title = f"Weights of {bits:g} bit{'s' * (bits != 1)}"
        console.print(_table(title, [one for one in figures if one.weight_bits == bits]))
        console.print()
    for note in notes:
        console.print(Text(f"note: {note}"))


def _table(title: str, figures: Sequence[Figures]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False,
        collapse_padding=True,
    )  # fmt: skip
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "unit" else "right", no_wrap=True)
    for one in figures:
        rates = (one.area_mm2, one.clock_ghz, one.peak_tops, one.tops_per_mm2, one.tops_per_w)
        product = (f"{one.cycles:,}", f"{one.waste:.1%}", *map(_short, (one.time_us, one.arrays_uj, one.sram_uj)))
        table.add_row(one.unit, *map(_short, rates), *product)
    return table


def _short(number: float) -> str:
    """Three digits, or all before the point where there are more."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"
