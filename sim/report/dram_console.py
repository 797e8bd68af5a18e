"""The console report of a DRAM channel: readable at 100 columns."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cairn.hw_models.dram.cost import ChannelEnergy
from cairn.hw_models.dram.simulate import PERCENTILES, Latencies
from cairn.sim.report.dram_causes import CAUSES, verdict
from cairn.sim.report.dram_record import ChannelRun
from cairn.sim.report.units import si, si_bytes, si_of, si_time

ENERGY_TERMS: Final = {
    "activate": "rows opened and closed, whole rows",
    "cell": "cells to column decoders",
    "column": "wires inside the die",
    "interface": "vias, and interposer where there is one",
    "refresh": "rows restored",
    "standby": "drawn all the time",
}
"""Terms of hw_models/dram/cost.py for people."""

LEAST_SHARE = 0.0005
"""Shares that would be printed as 0.0 % are left out."""


def print_channel_report(run: ChannelRun, console: Console) -> None:
    """Print headline, outcomes and latencies, where the time goes, what would help, provenance."""
    result = run.result
    parts: list[RenderableType] = [_headline(run), Text(), _requests(run), Text(), _causes(run), Text()]
    if run.energy is not None:
        parts += [_energy(run.energy), Text()]
    parts.append(Text(verdict(result.lost_to, float(result.shares[result.lost_to]))))
    parts += [Text(), Text(_provenance(run), "dim")]
    console.print(Group(*parts))


def _headline(run: ChannelRun) -> RenderableType:
    result = run.result
    device, controller = result.device, result.controller
    organisation = device.organisation
    about = f"   one channel: {organisation.pc} pseudo-channels, " if organisation.pc > 1 else "   one channel: "
    about += f"{device.banks} banks, {si_bytes(device.capacity_bytes)}; {controller.scheduler}, "
    about += f"{controller.page} page, {controller.refresh.replace('_', '-')} refresh"
    grid = Table.grid(padding=(0, 2))
    for _ in range(2):
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(no_wrap=True)
    speed = si_of(result.bandwidth_gb_per_s * 1e9, device.peak_gb_per_s * 1e9, "B/s")
    grid.add_row("bandwidth", Text(speed, "bold"), "requests", f"{result.requests:,} of {run.source_name}")
    time = f"{si_time(result.time_ns * 1e-9)} ({result.cycles:,} ticks)"
    grid.add_row("time", time, "moved", si_bytes(result.bytes_moved))
    if run.energy is not None:
        per_bit = "-" if run.energy.pj_per_bit is None else f"{run.energy.pj_per_bit:,.2f} pJ/bit"
        grid.add_row("energy", f"{per_bit} ({run.interface})", "average power", si(run.energy.power_w, "W"))
    return Group(Text.assemble((device.name, "bold"), (about, "dim")), Text(), grid)


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
    )


def _requests(run: ChannelRun) -> Table:
    result = run.result
    table = _table("Requests, and their latency in ns")
    table.add_column("", no_wrap=True)
    spread = ("mean", "median", *(f"p{percent}" for percent in PERCENTILES[1:]), "max")
    for name in ("count", "row hits", "misses", "conflicts", *spread):
        table.add_column(name, justify="right", no_wrap=True)
    rows = (("reads", result.reads, result.read_outcomes), ("writes", result.writes, result.write_outcomes))
    for name, latencies, outcomes in rows:
        if latencies.count:
            shares = [f"{count / latencies.count:.1%}" for count in outcomes]
            table.add_row(name, f"{latencies.count:,}", *shares, *_latency(latencies, result.device.tick_ps))
    return table


def _latency(latencies: Latencies, tick_ps: float) -> list[str]:
    ticks = [latencies.mean, *(latencies.percentile(percent) for percent in PERCENTILES), latencies.maximum]
    return [f"{tick * tick_ps / 1000:,.1f}" for tick in ticks]


def _causes(run: ChannelRun) -> Table:
    table = _table("Where the time of the data bus goes")
    table.add_column("cause", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("what it is", no_wrap=True, style="dim")
    for cause, share in run.result.shares.sort_values(ascending=False, kind="stable").items():
        if share >= LEAST_SHARE:
            table.add_row(str(cause), f"{share:.1%}", CAUSES[str(cause)].meaning)
    return table


def _energy(energy: ChannelEnergy) -> Table:
    table = _table("Where the energy goes")
    table.add_column("part", no_wrap=True)
    for name in ("pJ/bit", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what it is", no_wrap=True, style="dim")
    for term, picojoules in energy.terms.items():
        per_bit = f"{picojoules / energy.moved_bits:,.2f}" if energy.moved_bits else "-"
        share = picojoules / energy.total_pj if energy.total_pj else 0.0
        table.add_row(term, per_bit, f"{share:.1%}", ENERGY_TERMS[term])
    return table


def _provenance(run: ChannelRun) -> str:
    known = run.provenance
    parts = [f"cairn {known['version']}", f"run {known['run_hash']}", f"requests {known['requests_hash']}"]
    parts += [f"seed {run.source['seed']}"] if "seed" in run.source else []
    parts += [f"mapping {run.mapping}", "cycle model", f"{known['wall_s']:.1f} s"]
    return ", ".join(parts)
