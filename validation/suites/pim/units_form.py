"""Closed form of PIM units of a chip's channel against the channel simulated, on random designs and requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from cairn.base.streams import stream
from cairn.hw_models.dram.pim_analytical import PimTimes
from cairn.hw_models.dram.pim_spec import PimSpec
from cairn.hw_models.dram.request import IS_PIM, TURNS
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.server import build_stack_server
from cairn.validation.rows import Row

DESIGNS: Final = 120
SEED: Final = 7
LEAST_ROWS: Final = 4


def rows() -> Iterator[Row]:
    """A row for each design: the time from the arrival of a request to its last column."""
    for index in range(DESIGNS):
        yield _row(index)


def _row(index: int) -> Row:
    draw = stream(SEED, "pim units", index)
    spec = DramSpec(
        bandwidth_gb_per_s=float(draw.choice([16.0, 25.6, 64.0])), channels=1, capacity_gb=1.0, burst_bytes=32,
        banks_per_channel=int(draw.choice([8, 16, 32])), row_bytes=int(draw.choice([1024, 2048])),
        clock_ghz=float(draw.choice([1.0, 1.3, 1.6])), t_rcd=int(draw.integers(12, 40)),
        t_rp=int(draw.integers(12, 34)), t_ras=int(draw.integers(40, 60)), t_rtp=int(draw.integers(4, 13)),
        refresh="all_bank" if draw.random() < 0.5 else "none", t_refi=6240, t_rfc=int(draw.integers(200, 600)),
    )  # fmt: skip
    mixed = bool(draw.random() < 0.5)
    pim = PimSpec(
        kind="logic" if mixed else "bank", banks_together=8 if mixed else None, mixed_access=mixed,
        mode_change_cycles=0 if mixed else int(draw.integers(0, 40)), spacing_cycles=int(draw.integers(2, 9)),
        activate="each" if mixed and draw.random() < 0.3 else "together",
    )  # fmt: skip
    times = PimTimes.of(spec, 1, pim)
    columns = int(draw.integers(LEAST_ROWS, 200)) * times.columns - int(draw.integers(0, times.columns))
    turns = int(draw.choice([1, 2, 8]))
    size = columns * times.banks * pim.column_bytes
    request = (IS_PIM + TURNS * turns, 0, 0, times.banks, 0, pim.column_bytes, 0, size)
    found = _simulated(spec, pim, request) / 1e6
    kind = f"units form, {pim.kind}, {pim.activate}"
    counts = ("units_form_median", "units_form_tau", "units_form_largest")
    formed = float(times.work_ps(columns, turns)) / 1e6
    return Row(f"units_form/{index}", kind, found, formed, "us", "the channel simulated", counts)


def _simulated(spec: DramSpec, pim: PimSpec, request: tuple[int, ...]) -> int:
    """Picoseconds until the request is done, alone in its channel."""
    server = build_stack_server(spec, 1, pim=pim)
    state = server.fresh()
    server.kind.enqueue(state, 0, np.array(request, dtype=np.int64))
    while int(server.kind.advance(state, int(server.kind.next_event(state)))) == 0:
        pass
    return int(state[0])
