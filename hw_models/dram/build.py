"""The DRAM server of a chip: the model that its spec names."""

from __future__ import annotations

from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.server import Server


def build_dram(spec: DramSpec, channels: int, cores: int, max_requests: int) -> Server:
    """The server of `channels` channels of `spec` over `cores` cores, each `max_requests` requests at once at most."""
    # Imported here because each compiles its kernels, and a chip needs those of one model only.
    if spec.model == "voxel_estimator":
        from cairn.hw_models.dram.voxel_server import build_voxel_server

        return build_voxel_server(spec, channels, cores, max_requests)
    from cairn.hw_models.dram.stack.server import build_stack_server

    return build_stack_server(spec, channels, max_requests)
