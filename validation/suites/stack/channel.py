"""One channel of a chip that streams tiles: the time it takes, and what its bus did meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.base.errors import CairnError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.control.layout import CAUSES, DATA_BUS
from cairn.hw_models.dram.stack.server import build_stack_server
from cairn.hw_models.server import COUNT, ERROR, NOW, Server

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tiles:
    """What is streamed: `count` tiles of `tile_bytes`, `in_flight` at a time, one after the other in each of `sets`
    sets of banks, a row in each bank of the set in turn."""

    count: int
    tile_bytes: int
    sets: int = 1
    in_flight: int = 1

    @property
    def bytes(self) -> int:
        """Of all tiles."""
        return self.count * self.tile_bytes


@dataclass(frozen=True)
class Streamed:
    """A stream that is over: picoseconds to its last data, and the share of that time by cause (CAUSES of control)."""

    tiles: Tiles
    ps: int
    shares: Mapping[str, float]

    @property
    def gb_per_s(self) -> float:
        """What the channel moved, in 1e9 bytes/s."""
        return 1000 * self.tiles.bytes / self.ps


def stream(chip: ChipSpec, tiles: Tiles) -> Streamed:
    """Read `tiles` over one of the channels of `chip`, the next one as soon as one is done.

    CairnError when the channel refuses them: the suite asked for what is not there.
    """
    server = build_stack_server(chip.dram, chip.channels, max_requests=tiles.in_flight)
    state, done, begun = server.fresh(), 0, 0
    while done < tiles.count:
        for _ in range(min(tiles.in_flight - (begun - done), tiles.count - begun)):
            row = _request(chip, tiles, begun)
            server.kind.enqueue(state, begun, row)
            begun += 1
        if state[ERROR]:
            raise CairnError(f"a channel of {chip.name} refuses {tiles}")
        server.kind.advance(state, int(server.kind.next_event(state)))
        done += int(state[COUNT])
    return Streamed(tiles, int(state[NOW]), _shares(server, state))


def _request(chip: ChipSpec, tiles: Tiles, number: int) -> IntArray:
    """The row of the request table of one tile."""
    banks = chip.dram.banks_per_channel // tiles.sets
    bank_set, turn = number % tiles.sets, number // tiles.sets
    rows = -(-tiles.tile_bytes // (chip.dram.row_bytes * banks))
    columns = (0, 0, bank_set * banks, banks, turn * rows, chip.dram.row_bytes, 0, tiles.tile_bytes)
    return np.array(columns, dtype=np.int64)


def _shares(server: Server, state: IntArray) -> dict[str, float]:
    return shares_of(server.kind.counters(state)["charged_ps"][:1])


def shares_of(charged_ps: IntArray) -> dict[str, float]:
    """Shares of the time of the bus by cause, of channels together: `charged_ps` has shape (channels, causes)."""
    total = charged_ps.sum(axis=0)
    return {name: float(part) / int(total.sum()) for name, part in zip(CAUSES, total, strict=False)}


def in_words(shares: Mapping[str, float], least: float = 0.001) -> str:
    """What the bus lost its time to, greatest first; parts below `least` are left out."""
    lost = sorted(((share, name) for name, share in shares.items() if name != CAUSES[DATA_BUS]), reverse=True)
    told = [f"{name} {100 * share:.2g} %" for share, name in lost if share >= least]
    return "lost to " + ", ".join(told) if told else "no cause takes 0.1 %"
