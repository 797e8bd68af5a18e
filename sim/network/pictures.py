"""The pictures of a network result: which of them, and what is written over them."""

from __future__ import annotations

from pathlib import Path

from cairn.sim.network.plots import CurvePoint, plot_curve, plot_links
from cairn.sim.network.runs import NetworkResult, Point


def draw(result: NetworkResult, folder: Path) -> None:
    """`curve.png` of a curve and `links.png` of a network with links."""
    traffic = traffic_of(result)
    if result.points:
        found = result.saturation
        where = f"; saturates at {found.load:.3g}" if found is not None else ""
        plot_curve(
            [_curve_point(point) for point in result.points], f"{result.network.name}: latency over load",
            f"{traffic}; {result.points[0].row()['seeds']} seeds{where}", found.load if found else None,
            folder / "curve.png",
        )  # fmt: skip
    if result.network.links:
        load = f", {result.shown.offered:g} flits/node/cycle" if result.points else ""
        plot_links(
            result.network, result.link_share, f"{result.network.name}: load of the links", f"{traffic}{load}",
            folder / "links.png",
        )  # fmt: skip


def traffic_of(result: NetworkResult) -> str:
    """The traffic and routers of a run in a few words."""
    spec = result.spec
    if spec.measure.kind == "trace":
        what = Path(spec.measure.file).name
    else:
        what = f"{spec.traffic.kind.replace('_', ' ')}, packets of {spec.packet_flits} flits"
    if spec.model.value == "packet":
        return f"{what}; packet model"
    return f"{what}; {spec.router.virtual_channels} virtual channels of {spec.router.buffer_flits} flits"


def _curve_point(point: Point) -> CurvePoint:
    latencies = point.latencies
    mean, low, high = float(latencies.mean()), float(latencies.min()), float(latencies.max())
    return CurvePoint(point.offered, point.accepted, mean, low, high, point.saturated)
