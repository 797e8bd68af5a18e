"""The packet model against the flit model: latency of the same packets, by load and by length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cairn.hw_models.noc.flit.measure import SamplingSpec, run_load
from cairn.sim.network.packets import PacketNetwork
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.noc.cases import Case, load_cases

CASES, SUMMARY = "noc/booksim2_cases.yaml", "noc/booksim2_summary.csv"
OBTAIN: Final = "its README says how such rows are made"
SHARES: Final = (0.1, 0.25, 0.5, 0.65, 0.8)
SEED: Final = 1
"""Both models are given the packets of this seed."""


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """A row for each case and share of the load at which it saturates."""
    reference.path(SUMMARY, OBTAIN)
    cases = load_cases(reference, CASES, OBTAIN)
    for record in reference.csv(SUMMARY):
        name = record.text("case_id")
        if not record.text("sat_offered_3x_zero_load") or name not in cases:
            continue
        saturation = record.number("sat_offered_3x_zero_load")
        yield from (_row(cases[name], share, share * saturation) for share in SHARES)


def _row(case: Case, share: float, load: float) -> Row:
    sampling = SamplingSpec()
    flits = run_load(*case.parts, load, packet_flits=case.packet_flits, seed=SEED, sampling=sampling)
    by_packets = PacketNetwork(case.network, case.routes, case.router)
    packets = by_packets.load(case.pattern, load, case.packet_flits, SEED, sampling)
    gates = ("trusted_mean", "trusted_worst") if share <= by_packets.trusted_share else ("beyond_mean",)
    return Row(
        id=f"{case.name}/{share:.0%}", kind=f"packets of {case.packet_flits:2} flits, {share:.0%} of saturation",
        reference=flits.latency.mean, prediction=packets.latency.mean, unit="cycles", source="flit model",
        counts=gates, remark=f"{load:.4f} flits/node/cycle",
    )  # fmt: skip
