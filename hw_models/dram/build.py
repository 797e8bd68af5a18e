"""The DRAM server of a chip: the model that its spec names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cairn.hw_models.dram.pim_spec import PimSpec
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.server import IntArray, Server, ServerKind


def build_dram(
    spec: DramSpec, channels: int, cores: int, max_requests: int, pim: PimSpec | None = None
) -> Server:  # fmt: skip
    """The server of `channels` channels of `spec` over `cores` cores, each `max_requests` requests at once at most.

    The channels have PIM units where `pim` describes them; the model `controller` alone serves these."""
    # Imported here because each compiles its kernels, and a chip needs those of one model only.
    if spec.model == "voxel_estimator":
        from cairn.hw_models.dram.voxel_server import build_voxel_server

        return build_voxel_server(spec, channels, cores, max_requests)
    from cairn.hw_models.dram.stack.server import build_stack_server

    return build_stack_server(spec, channels, max_requests, pim=pim)


def dram_counters(spec: DramSpec, state: IntArray) -> Mapping[str, Any]:
    """What a server that `build_dram` made has counted by now: arrays over channels, see `counters` of each model."""
    return _kind(spec).counters(state)


def _kind(spec: DramSpec) -> ServerKind:
    if spec.model == "voxel_estimator":
        from cairn.hw_models.dram.voxel_server import VOXEL_SERVER

        return VOXEL_SERVER
    from cairn.hw_models.dram.stack.server import STACK_SERVER

    return STACK_SERVER
