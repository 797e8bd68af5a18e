"""What every DRAM server of a chip refuses, whatever its model."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.hw_models.dram.build import build_dram
from cairn.hw_models.dram.request import BAD_REQUEST, OVERFLOW
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.server import ERROR

models = pytest.mark.parametrize("model", ["controller", "voxel_estimator"])


def _enqueue(model: str, max_requests: int, *requests: tuple[int, ...]) -> int:
    """The error that requests to two channels of the default DRAM leave."""
    server = build_dram(DramSpec.model_validate({"model": model}), 2, 2, max_requests)
    state = server.fresh()
    size = state.size
    for task, row in enumerate(requests):
        server.kind.enqueue(state, task, np.array(row, dtype=np.int64))
    assert state.size == size
    return int(state[ERROR])


@models
def test_more_requests_than_a_channel_was_built_for_are_refused_by_an_error(model: str) -> None:
    row, other_channel = (0, 0, 0, 16, 0, 8192, 0, 4096), (0, 1, 0, 16, 0, 8192, 0, 4096)
    assert _enqueue(model, 2, row, row, other_channel) == 0
    assert _enqueue(model, 2, row, row, row) == OVERFLOW


@models
@pytest.mark.parametrize(
    "row",
    [
        (0, 2, 0, 16, 0, 8192, 0, 1),
        (0, -1, 0, 16, 0, 8192, 0, 1),
        (0, 0, 1, 16, 0, 8192, 0, 1),
        (0, 0, 0, 0, 0, 8192, 0, 1),
        (0, 0, 0, 16, -1, 8192, 0, 1),
        (0, 0, 0, 16, 0, 3000, 0, 1),
        (0, 0, 0, 16, 0, 0, 0, 1),
        (0, 0, 0, 16, 0, 8192, -1, 1),
        (0, 0, 0, 16, 0, 8192, 0, 0),
    ],
)
def test_a_request_outside_the_geometry_is_refused_by_an_error(model: str, row: tuple[int, ...]) -> None:
    assert _enqueue(model, 4, row) == BAD_REQUEST
