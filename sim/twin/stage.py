"""A stage of a step: what one operator does between the moment its inputs are there and the moment its result is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Counts:
    """Events of a stage, all cores together: what energy is counted on. Numbers or arrays (designs,)."""

    macs: Any = 0.0
    vector_ops: Any = 0.0
    sram_bytes: Any = 0.0
    noc_bytes: Any = 0.0
    dram_bytes: Any = 0.0


@dataclass(frozen=True)
class Stage:
    """An operator on the busiest core, in core cycles; numbers or arrays (designs,).

    `lead` passes before the stage uses what streams from DRAM; during `work` it uses `streamed_bytes` at an even pace,
    if they are there; `tail` passes after that.
    """

    name: str
    lead: Any = 0.0
    work: Any = 0.0
    tail: Any = 0.0
    streamed_bytes: Any = 0.0
    counts: Counts = field(default_factory=Counts)
    made_here: bool = False
    """Whether what streams is written within the stage's lead (keys of a prefill), so that it cannot come earlier."""
