"""The console report of a network alone: readable at 100 columns."""

from __future__ import annotations

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cairn.sim.network.pictures import traffic_of
from cairn.sim.network.runs import NetworkResult


def print_network_report(result: NetworkResult, console: Console) -> None:
    """Print headline, curve or batch, the busiest links, notes, provenance."""
    parts: list[RenderableType] = [_headline(result), Text()]
    if result.points:
        parts += [_curve(result), Text()]
    if result.batch is not None:
        parts += [_batch(result), Text()]
    if result.network.links:
        parts += [_links(result), Text()]
    parts += [Text(f"note: {note}") for note in result.notes]
    about = result.provenance
    parts.append(Text(
        f"cairn {about['version']}, run {about['run_hash']}, seed {about['seed']}, {about['fidelity']} model, "
        f"{about['wall_s']:.1f} s", "dim",
    ))  # fmt: skip
    console.print(Group(*parts))


def _headline(result: NetworkResult) -> RenderableType:
    network = result.network
    size = f"   {network.nodes} nodes, {network.routers} routers, {network.links} links; {traffic_of(result)}"
    lines = [Text.assemble((network.name, "bold"), (size, "dim"))]
    if result.saturation is not None:
        found = result.saturation
        lines.append(Text(
            f"saturates at {found.load:.4f} flits/node/cycle: there latency is 3 times the "
            f"{found.low_load_latency:.1f} cycles at {found.low_load:.3g}"
        ))  # fmt: skip
    return Group(*lines)


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
    )


def _curve(result: NetworkResult) -> Table:
    table = _table("Loads in flits per node and cycle, latencies in cycles")
    columns = "offered", "accepted", "least node", "latency", "seeds from", "to", "queueing", "longest", "busiest link"
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for point in result.points:
        row = point.row()
        queueing = row["queueing_cycles"]
        table.add_row(
            f"{row['offered']:.4g}", f"{row['accepted']:.4f}", f"{row['accepted_lowest_node']:.4f}",
            f"{row['latency_cycles']:.1f}", f"{row['latency_lowest_seed']:.1f}", f"{row['latency_highest_seed']:.1f}",
            "-" if queueing != queueing else f"{queueing:.1f}", f"{row['longest_cycles']:,}",
            f"{row['busiest_link_share']:.1%}", "saturated" if point.saturated else "",
        )  # fmt: skip
    return table


def _batch(result: NetworkResult) -> RenderableType:
    batch = result.batch
    if batch is None:
        return Text()
    grid = Table.grid(padding=(0, 2))
    for _ in range(2):
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(no_wrap=True)
    latency = batch.latency
    grid.add_row("cycles", Text(f"{batch.cycles:,}", "bold"), "packets", f"{latency.packets:,}")
    grid.add_row("mean latency", f"{latency.mean:,.1f} cycles", "longest", f"{latency.longest:,} cycles")
    rate = float(batch.ejected_flits.sum()) / max(batch.cycles, 1) / result.network.nodes
    grid.add_row("mean hops", f"{batch.hops:.2f}", "accepted", f"{rate:.4f} flits/node/cycle")
    return grid


def _links(result: NetworkResult) -> Table:
    where = f" at {result.shown.offered:g}" if result.points else ""
    table = _table(f"Busiest links{where}")
    for name in ("link", "from router", "to router", "busy"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in result.links().nlargest(5, "busy_share").itertuples():
        table.add_row(str(row.link), str(row.from_router), str(row.to_router), f"{row.busy_share:.1%}")
    return table
