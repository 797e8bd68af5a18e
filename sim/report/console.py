"""The console report of a run: readable at 100 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cairn.sim.report.result import Result
from cairn.sim.report.summed import summed_operators
from cairn.sim.report.units import si, si_bytes, si_of, si_time

TOP: Final = 14
"""Operators shown unless told otherwise; the rest is one line."""

REPETITIONS: Final = 3
"""Repeated blocks with a line of their own."""

LIMIT_STYLE: Final = {"matrix": "blue", "lut": "cyan", "vector": "magenta", "dram": "yellow", "noc": "green",
                      "latency": "dim"}  # fmt: skip


def report(result: Result, top: int = TOP) -> RenderableType:
    """The whole report as a rich renderable: headline, operators, limits, bytes, energy, repetition, provenance."""
    parts: list[RenderableType] = [_headline(result), Text(), _operators(result, top), Text()]
    side = Table.grid(padding=(0, 6))
    side.add_row(Group(_limits(result), _bytes(result)), Group(_energy(result), *_dram_energy(result), *_lut(result)))
    parts += [side, Text(), *_notes(result)]
    return Group(*parts)


def print_report(result: Result, console: Console | None = None, top: int = TOP) -> None:
    """Print the report; without a `console`, to standard output at its width."""
    (console or Console(highlight=False)).print(report(result, top))


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
    )


def _headline(result: Result) -> RenderableType:
    summary = result.summary()
    chip = result.record.chip
    title = Text.assemble(
        (summary["name"], "bold"),
        (f"   {summary['model']}, {summary['phase']}, {summary['tokens']:,} tokens, {chip.core_count} cores", "dim"),
    )
    density = summary["power_density"]
    verdict = "within" if density["within_limit"] else "OVER"
    energy = f"{si(summary['energy_per_token_j'], 'J')}/token"
    dram = si_of(summary["dram_gb_per_s"] * 1e9, summary["dram_peak_gb_per_s"] * 1e9, "B/s")
    rate_of_products, peak = summary["matrix_tera_ops_per_s"] * 1e12, summary["matrix_peak_tera_ops_per_s"] * 1e12
    one_unit = result.lut is None  # else the peak depends on the weights
    matrix = si_of(rate_of_products, peak, "op/s") if one_unit else si(rate_of_products, "op/s")
    light = f"{si_time(max(summary['bound_s'].values()))} ({summary['efficiency']:.0%})"
    grid = Table.grid(padding=(0, 2))
    for _ in range(3):
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(no_wrap=True)
    grid.add_row("latency", Text(si_time(summary["latency_s"]), "bold"), "DRAM", dram, "energy", energy)
    rate = Text(f"{summary['tokens_per_s']:,.0f} tokens/s", "bold")
    grid.add_row("throughput", rate, "matrix", matrix, "power", f"{summary['power_w']:,.1f} W")
    per_area = f"{density['w_per_mm2']:.3f} W/mm2, {verdict} {density['limit_w_per_mm2']:g}"
    grid.add_row("speed of light", light, "area", f"{summary['area_mm2']:,.1f} mm2", "density", per_area)
    return Group(title, Text(), grid)


def _operators(result: Result, top: int) -> Table:
    summed = summed_operators(result.operators)
    title = "Operators"
    table = _table(title)
    table.add_column("operator", no_wrap=True, max_width=24)
    table.add_column("x", justify="right")
    for name in ("time", "share", "bound", "eff."):
        table.add_column(name, justify="right", no_wrap=True)
    of_units = "pim_ops" in summed
    table.add_column("limit" if of_units else "limited by", no_wrap=True)
    if of_units:
        table.add_column("PIM", justify="right", no_wrap=True)
    for name in ("DRAM", "NoC", "energy"):
        table.add_column(name, justify="right", no_wrap=True)
    shown = summed.nlargest(top, "time_us").index if len(summed) > top else summed.index
    for _, row in summed.loc[sorted(shown)].iterrows():
        cells = {str(name): value for name, value in row.items()}
        table.add_row(*_operator_cells(cells, str(row["operator"])))
    rest = summed.drop(index=shown)
    if len(rest):
        table.add_row(*_operator_cells(_sum_of(rest), f"{len(rest)} more"), style="dim")
    table.add_section()
    total = _sum_of(summed)
    total["bound_us"] = max(result.bound_s.values()) * 1e6
    table.add_row(*_operator_cells(total, "total"), style="bold")
    return table


def _sum_of(rows: pd.DataFrame) -> dict[str, Any]:
    sums = {str(name): value for name, value in rows.sum(numeric_only=True).items()}
    return {**sums, "limiting": "", "repeat": 0}


def _operator_cells(row: dict[str, Any], name: str) -> list[RenderableType]:
    time_us, bound_us = float(row["time_us"]), float(row["bound_us"])
    limiting = str(row["limiting"])
    return [
        name,
        f"{int(row['repeat'])}" if row["repeat"] else "",
        si_time(time_us * 1e-6),
        f"{row['time_share']:.1%}",
        si_time(bound_us * 1e-6) if bound_us else "-",
        f"{bound_us / time_us:.0%}" if time_us and bound_us else "-",
        Text(limiting, LIMIT_STYLE.get(limiting.split("/")[0], "")),
        *([_on_units(row)] if "pim_ops" in row else []),
        si_bytes(row["dram_read_bytes"] + row["dram_write_bytes"]),
        si_bytes(row["noc_bytes"]),
        si(row["energy_uj"] * 1e-6, "J"),
    ]


def _on_units(row: dict[str, Any]) -> str:
    """How much of an operator's products PIM units do: all, a share, none ("-"), or nothing where it has none."""
    units, every = int(row["pim_ops"]), int(row["pim_ops"] + row["matrix_ops"])
    if units in (0, every):
        return "all" if units else "-" * (every > 0)
    return f"{units / every:.0%}"


def _limits(result: Result) -> Table:
    table = _table("Where the time goes")
    table.add_column("limited by")
    table.add_column("time", justify="right")
    table.add_column("share", justify="right")
    for name, time_us in result.time_by_limiting().items():
        share = time_us * 1e-6 / result.latency_s
        table.add_row(Text(name, LIMIT_STYLE.get(name, "")), si_time(time_us * 1e-6), f"{share:.1%}")
    return table


def _bytes(result: Result) -> Table:
    table = _table("Bytes by cause")
    table.add_column("cause")
    for name in ("DRAM read", "written", "NoC"):
        table.add_column(name, justify="right", no_wrap=True)
    for _, row in result.bytes.iterrows():
        counts = [int(row[name]) for name in ("dram_read_bytes", "dram_write_bytes", "noc_bytes")]
        if any(counts):
            table.add_row(str(row["cause"]), *(si_bytes(count) for count in counts))
    return table


def _energy(result: Result) -> Table:
    table = _table("Energy")
    table.add_column("component", no_wrap=True)
    for name in ("dynamic", "static", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    parts = result.energy.pivot(index="component", columns="nature", values="energy_j").fillna(0.0)
    parts["total"] = parts["dynamic"] + parts["static"]
    for component, row in parts.sort_values("total", ascending=False).iterrows():
        share = float(row["total"]) / max(result.energy_j, 1e-300)
        table.add_row(str(component), si(float(row["dynamic"]), "J"), si(float(row["static"]), "J"), f"{share:.1%}")
    return table


def _dram_energy(result: Result) -> Iterator[Table]:
    """The DRAM by term, where it is charged by command; the last column is for each bit moved."""
    terms = result.dram_energy
    if terms is None:
        return
    table = _table("DRAM by command")
    table.add_column("term", no_wrap=True)
    for name in ("energy", "share", "pJ/bit"):
        table.add_column(name, justify="right", no_wrap=True)
    for _, row in terms.iterrows():
        per_bit = "-" if pd.isna(row["pj_per_bit"]) else f"{row['pj_per_bit']:.3f}"
        table.add_row(str(row["term"]), si(float(row["energy_j"]), "J"), f"{row['share']:.1%}", per_bit)
    yield table


def _lut(result: Result) -> Iterator[Table]:
    """Look-ups and the tables that they need, where cores have LUT units."""
    use = result.lut
    if use is None:
        return
    table = _table("LUT units")
    table.add_column("", no_wrap=True)
    for name in ("energy", "share of all"):
        table.add_column(name, justify="right", no_wrap=True)
    parts = {"look-up": use.look_up_j, "accumulate": use.accumulate_j, "precompute": use.precompute_j}
    for name, energy_j in parts.items():
        table.add_row(name, si(energy_j, "J"), f"{energy_j / max(result.energy_j, 1e-300):.1%}")
    yield table


def _lut_notes(result: Result) -> Iterator[Text]:
    """What making tables takes, what padding wastes, and how area and energy were scaled."""
    use = result.lut
    if use is None:
        return
    yield Text(
        f"LUT units: precompute keeps a vector unit busy for {si_time(use.precompute_s)} "
        f"({use.precompute_time_share:.1%} of the latency), {use.padding_waste:.1%} of look-ups are padding",
        "dim",
    )
    yield Text(f"LUT units: {use.note}", "dim")


def _dram_dies(result: Result) -> Iterator[Text]:
    """How large the DRAM dies are, where that is known."""
    parts = result.dram_area
    if parts.empty:
        return
    each = ", ".join(f"{part} {area:,.1f}" for part, area in zip(parts["part"], parts["area_mm2"], strict=True))
    yield Text(f"DRAM, each of {parts['dies'].iloc[0]} dies: {parts['area_mm2'].sum():,.1f} mm2 ({each})", "dim")


def _notes(result: Result) -> Iterator[Text]:
    yield from _dram_dies(result)
    yield from _lut_notes(result)
    note = result.network.note() if result.network is not None else None
    if note is not None:
        yield Text(note, "yellow")
    shortened = [each for each in result.record.repetitions if each.simulated < each.repeat]
    for each in shortened[:REPETITIONS]:
        yield Text(
            f"{each.block}: {each.simulated} of {each.repeat} simulated, the others at "
            f"{si_time(each.period_ps * 1e-12)} each (change {each.change:.2%}, tolerance {each.tolerance:.2%})",
            "dim",
        )
    if not shortened:
        yield Text("every block simulated", "dim")
    if rest := shortened[REPETITIONS:]:
        yield Text(f"and so {len(rest)} more repetitions, change at most {max(e.change for e in rest):.2%}", "dim")
    yield Text(provenance_line(result), "dim")


def provenance_line(result: Result) -> str:
    """Version, configuration hash, seed, fidelity, tasks and wall time in one line, as far as they are known."""
    known = result.provenance
    parts = [f"cairn {known['version']}"] if "version" in known else ["cairn"]
    if "run_hash" in known:
        parts.append(f"run {str(known['run_hash'])[:12]}")
    parts += [f"seed {known['seed']}"] if "seed" in known else []
    fidelity = known.get("fidelity")
    if isinstance(fidelity, Mapping):
        parts += [f"{component} {level}" for component, level in fidelity.items()]
    elif fidelity is not None:
        parts.append(f"fidelity {fidelity}")
    parts.append(f"{result.record.plan.n_tasks:,} tasks")
    if "wall_s" in known:
        parts.append(f"{float(known['wall_s']):.1f} s")
    return ", ".join(parts)
