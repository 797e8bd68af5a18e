"""All mappings of a product on banks that listen to a buffer, each simulated: placement, accumulators, loop order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

from cairn.base.errors import InfeasibleError
from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.pim.gemv import GemvMapping, lower_gemv
from cairn.hw_models.pim.simulate import simulate_program

PARTS: Final = (1, 2, 4, 8)
ACCUMULATORS: Final = (1, 2, 4, 8, 16, 32)
TOGETHER: Final = (1, 2, 4, 8)


@dataclass(frozen=True)
class Tried:
    """A mapping and what it took: clocks of a channel, additions that it leaves to the host, rows of a bank."""

    mapping: GemvMapping
    cycles: int
    host_adds: int
    rows: int


def candidates(device: PimDevice, vectors: int = 1) -> Iterator[GemvMapping]:
    """Mappings that a device and a batch can have; those of more sums than a bank holds are left out."""
    held = device.unit.accumulators
    inners: tuple[Literal["rounds", "vectors"], ...] = ("rounds", "vectors")
    for parts, sums, together, inner, shared in product(PARTS, ACCUMULATORS, TOGETHER, inners, (False, True)):
        if device.unit.channels % parts or together > min(sums, vectors) or (held is not None and sums > held):
            continue
        if inner == "vectors" and together == 1:
            continue  # the same as the other order
        yield GemvMapping(
            k_parts=parts, accumulators=sums, vectors_together=together, inner=inner, share_rows=shared
        )  # fmt: skip


def sweep_gemv(
    device: PimDevice, outputs: int, inputs: int, *, vectors: int = 1, refresh: str = "none"
) -> list[Tried]:  # fmt: skip
    """Every candidate that fits, the fastest first; at equal clocks the one that leaves least to the host.

    Programs that are equal are simulated once. InfeasibleError when none fits.
    """
    tried: list[Tried] = []
    known: dict[bytes, int] = {}
    trouble: InfeasibleError | None = None
    for mapping in candidates(device, vectors):
        try:
            plan = lower_gemv(device, outputs, inputs, mapping, vectors=vectors)
        except InfeasibleError as infeasible:
            trouble = infeasible
            continue
        if mapping.share_rows and not plan.layout.shared:
            continue  # too many inputs to share rows: the same as without
        key = plan.program.words.tobytes()
        if key not in known:
            known[key] = simulate_program(plan.program, refresh).cycles
        tried.append(Tried(mapping, known[key], plan.host_adds, plan.layout.rows))
    if trouble is not None and not tried:
        raise trouble
    return sorted(tried, key=lambda one: (one.cycles, one.host_adds, one.mapping.accumulators, one.rows))
