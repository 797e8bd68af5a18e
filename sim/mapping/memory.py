"""Which bytes lie in which bank: tiles are placed in the channel above the core that reads them.

SOFTWARE_AWARE  tiles that are in flight together lie on disjoint banks: the banks form as many sets as a core has loads
                in flight, and successive tiles take successive sets, page by page.
INTERLEAVED     one linear address space a channel; its pages go round all banks, a tile begins where the last ended.
UNIFORM         every tile is spread over all banks in equal shares, so tiles in flight together meet in every bank.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cairn.hw_models.chip import ChipSpec
from cairn.sim.mapping.options import BankPlacement


@dataclass(frozen=True)
class Address:
    """Where a tile begins, as the DRAM server reads it; the same in every channel that holds a tile of this number."""

    bank_base: int
    bank_count: int
    row_base: int
    stripe_bytes: int
    offset_bytes: int = 0

    def at(self, offset: int) -> tuple[int, int, int, int, int]:
        """The address `offset` bytes into the tile."""
        return self.bank_base, self.bank_count, self.row_base, self.stripe_bytes, self.offset_bytes + offset


@dataclass
class Memory:
    """Hands out places for tiles, one number of tile at a time for all channels alike."""

    chip: ChipSpec
    placement: BankPlacement
    _sets: int = field(init=False)
    _next_set: int = field(default=0, init=False)
    _next_row: list[int] = field(init=False)
    _pointer: int = field(default=0, init=False)
    _next_bundle: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        banks = self.chip.dram.banks_per_channel
        self._sets = 1 if self.placement is not BankPlacement.SOFTWARE_AWARE else min(banks, self.chip.dma.load_depth)
        self._next_row = [0] * self._sets

    def place_together(self, tile_bytes: int, banks: int, stripe_bytes: int) -> Address:
        """A place of whole rows for a tile of PIM units in the next set of `banks` banks, dealt in stripes of
        `stripe_bytes`. Tiles that cores load lie in other rows."""
        dram = self.chip.dram
        base = self._next_bundle % (dram.banks_per_channel // banks) * banks
        self._next_bundle += 1
        each = dram.banks_per_channel // self._sets
        sets = range(base // each, -(-(base + banks) // each))
        first = max(self._next_row[number] for number in sets if number < self._sets)
        for number in sets:
            if number < self._sets:
                self._next_row[number] = first + -(-tile_bytes // (banks * dram.row_bytes))
        return Address(base, banks, first, stripe_bytes)

    def place(self, tile_bytes: int) -> Address:
        """A place for a tile of `tile_bytes`."""
        dram = self.chip.dram
        banks, row = dram.banks_per_channel, dram.row_bytes
        if self.placement is BankPlacement.INTERLEAVED:
            address = Address(0, banks, 0, row, self._pointer)
            self._pointer += tile_bytes
            return address
        bank_set = self._next_set
        self._next_set = (bank_set + 1) % self._sets
        count = banks // self._sets
        stripe = row
        if self.placement is BankPlacement.UNIFORM:
            share = -(-tile_bytes // (banks * dram.burst_bytes)) * dram.burst_bytes
            stripe = next((s for s in _divisors(row, dram.burst_bytes) if s >= share), row)
        rows = -(-tile_bytes // (count * row))
        address = Address(bank_set * count, count, self._next_row[bank_set], stripe)
        self._next_row[bank_set] += rows
        return address


def _divisors(row_bytes: int, burst_bytes: int) -> list[int]:
    """Stripes that divide a row and hold whole bursts, ascending."""
    return [s for s in range(burst_bytes, row_bytes + 1, burst_bytes) if row_bytes % s == 0]
