"""The closed form of a DRAM channel against its cycle model, on a grid of designs and streams."""

from __future__ import annotations

from itertools import product

import numpy as np

from cairn.hw_models.dram.analytical import ChannelTimes, stream_ps
from cairn.hw_models.dram.cycle import build_dram_server
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.server import IS_WRITE

from .server_contract import Timed, run_requests

# GB/s of a channel (a quarter of Voxel's, Voxel's, four times Voxel's), refresh.
DESIGNS = tuple(
    DramSpec(bandwidth_gb_per_s=bandwidth, refresh=refresh)  # type: ignore[arg-type]
    for bandwidth, refresh in product((12.0, 47.0, 188.0), ("none", "all_bank"))
)
# Bytes of a stream, banks, stripe, streams, whether banks are shared, whether written.
STREAMS = tuple(
    (size, banks, stripe, streams, shared, write)
    for size, banks, stripe, streams, shared, write in product(
        (1024, 8192, 65536, 262144), (1, 4, 16), (256, 1024, 8192), (1, 2, 4), (False, True), (False, True)
    )
    if (streams > 1 if shared else streams * banks <= 16)
)


def _simulated(spec: DramSpec) -> list[int]:
    server = build_dram_server(spec, 1)
    ends = []
    for size, banks, stripe, streams, shared, write in STREAMS:
        timed = [
            Timed(0, n, (IS_WRITE * write, 0, 0 if shared else n * banks, banks, 1000 * n, stripe, 0, size))
            for n in range(streams)
        ]
        ends.append(run_requests(server, timed, leap=True)[-1][0])
    return ends


def _closed_form(specs: tuple[DramSpec, ...]) -> np.ndarray:
    """Picoseconds, of shape (designs, streams)."""
    stacked = ChannelTimes.stack([ChannelTimes.of(spec, 1) for spec in specs])
    columns = {name: value[:, np.newaxis] for name, value in vars(stacked).items()}
    size, banks, stripe, streams, shared, write = zip(*STREAMS, strict=True)
    return stream_ps(ChannelTimes(**columns), size, banks, stripe, streams=streams, shared_banks=shared, write=write)


def test_closed_form_is_within_2_percent_in_the_mean_and_13_at_most_of_the_cycle_model() -> None:
    simulated = np.array([_simulated(spec) for spec in DESIGNS], dtype=np.float64)
    error = np.abs(_closed_form(DESIGNS) / simulated - 1)
    assert error.shape == (len(DESIGNS), len(STREAMS))
    assert error.mean() < 0.02
    assert error.max() < 0.13


def test_closed_form_never_beats_the_bus() -> None:
    size, _, _, streams, _, _ = (np.array(column, dtype=np.float64) for column in zip(*STREAMS, strict=True))
    bandwidth = np.array([[spec.bandwidth_gb_per_s] for spec in DESIGNS])
    assert np.all(_closed_form(DESIGNS) >= size * streams * 1000 / bandwidth)


def test_closed_form_of_many_designs_equals_that_of_each() -> None:
    one_by_one = np.array([_closed_form((spec,))[0] for spec in DESIGNS])
    assert np.array_equal(_closed_form(DESIGNS), one_by_one)
