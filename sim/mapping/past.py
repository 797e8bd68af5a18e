"""Where caches and states of a layer lie in DRAM, which tasks stored them, and what one micro-batch leaves the next."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.attention_work import KeyBlocks
from cairn.sim.mapping.memory import Address
from cairn.workloads.graph import Request

IntArray = npt.NDArray[np.int64]


@dataclass
class Caches:
    """Where the caches of an attention lie, and which of their new rows are there."""

    blocks: KeyBlocks
    local: bool
    """Whether a core works on the keys of its own channel alone, and takes the newest from its SRAM (decoding)."""
    before: IntArray
    """Rows of each request that lay in DRAM before the step."""
    addresses: dict[tuple[str, int], IntArray] = field(default_factory=dict)
    """By cache and first column of an area, the places (blocks, 5) of the n-th block of every home, as the DRAM server
    reads them."""
    stored: dict[str, IntArray] = field(default_factory=dict)
    """By cache, the task after which the new rows of each block may be used."""
    kept: set[str] = field(default_factory=set)
    """Caches whose new rows are not appended: they stay in the SRAM of their home."""


@dataclass(frozen=True)
class StatePlace:
    """Where a recurrent state lies, and the tasks that wrote its parts back."""

    address: Address
    stored: IntArray


@dataclass
class Past:
    """Caches and states of one layer while the new tokens of a request come in several micro-batches.

    Each cache and state is one tensor with one place: a micro-batch reads what those before it have stored there.
    """

    parts: tuple[Request, ...]
    """The request as each micro-batch meets it: its new tokens behind all earlier ones."""
    tensors: dict[str, int] = field(default_factory=dict)
    """The plan's numbers of the caches and states."""
    caches: dict[str, Caches] = field(default_factory=dict)
    """By the name of the keys."""
    states: dict[str, StatePlace] = field(default_factory=dict)

    @property
    def whole(self) -> Request:
        """The request as the step meets it."""
        return Request(sum(part.new for part in self.parts), self.parts[0].cached)
