"""Parameters of the routers of a flit network, and the pipelines that the reference names."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from pydantic import model_validator

from cairn.base.errors import ConfigError
from cairn.base.registry import nearest_hint
from cairn.base.spec import Spec, sourced

_BASE = "reference/noc/booksim2_cases.yaml (pipelines, std4)"


class RouterSpec(Spec):
    """Buffers and pipeline of every router. Delays are cycles; what they mean is in the rules F3 to F8 of the package.

    `routing_delay` 0 is look-ahead routing; `speculative` asks for the switch while it still asks for a virtual
    channel. `input_speedup` inputs of the switch serve the virtual channels of one input port (those beyond the number
    of virtual channels are never used), `internal_speedup` rounds of allocation are done in a cycle.
    """

    virtual_channels: int = sourced(2, "reference/noc/booksim2_cases.yaml (the base case)", ge=1, le=32)
    buffer_flits: int = sourced(4, "reference/noc/booksim2_cases.yaml (the base case)", ge=1, le=1 << 12)
    routing_delay: int = sourced(1, _BASE, ge=0, le=64)
    vc_alloc_delay: int = sourced(1, _BASE, ge=1, le=64)
    sw_alloc_delay: int = sourced(1, _BASE, ge=1, le=64)
    st_final_delay: int = sourced(1, _BASE, ge=1, le=64)
    credit_delay: int = sourced(1, _BASE, ge=0, le=64)
    speculative: bool = sourced(False, _BASE)
    input_speedup: int = sourced(1, _BASE, ge=1, le=32)
    internal_speedup: int = sourced(1, _BASE, ge=1, le=8)

    @model_validator(mode="after")
    def _fits(self) -> RouterSpec:
        if self.speculative and (self.vc_alloc_delay, self.sw_alloc_delay) != (1, 1):
            raise ValueError(
                "speculative needs vc_alloc_delay and sw_alloc_delay of 1: both allocations are of one cycle, got "
                f"{self.vc_alloc_delay} and {self.sw_alloc_delay}"
            )
        return self


PIPELINES: Final = MappingProxyType({
    "std4": MappingProxyType({}),
    "la3": MappingProxyType({"routing_delay": 0}),
    "spec2": MappingProxyType({"routing_delay": 0, "speculative": True}),
    "isp2": MappingProxyType({"input_speedup": 2}),
    "int2": MappingProxyType({"internal_speedup": 2}),
    "cr3": MappingProxyType({"credit_delay": 3}),
})
"""What differs from the defaults in each pipeline: reference/noc/booksim2_cases.yaml (pipelines)."""


def pipeline(name: str, **changes: object) -> RouterSpec:
    """The router with the pipeline `name` of PIPELINES and `changes`. Raises ConfigError for an unknown name."""
    if name not in PIPELINES:
        raise ConfigError(f"no pipeline is called {name!r}{nearest_hint(name, list(PIPELINES))}")
    return RouterSpec.model_validate({**PIPELINES[name], **changes})
