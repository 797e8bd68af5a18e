"""Requests of a channel as arrays, and the patterns that tests, validation and people use.

Each pattern is a pure function of its arguments, so any simulator can rebuild it; they are those of the reference
measurements (validation/reference/dram/README.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.control.build import flat_bank
from cairn.hw_models.dram.device import Device
from cairn.hw_models.dram.mapping import AddressMap
from cairn.hw_models.server import IntArray

Words = npt.NDArray[np.uint64]

MIX_EVERY: Final = 3
GEMV_SHARE: Final = 8
"""One request in eight of a matrix-vector product reads the second stream (vectors beside weights)."""
WRITE_EVERY: Final = 64


@dataclass(frozen=True)
class RequestBlock:
    """Consecutive requests, arrays of one length: earliest tick, whether a write, flat bank of the channel, row."""

    arrive: IntArray
    write: IntArray
    bank: IntArray
    row: IntArray

    def __len__(self) -> int:
        return int(self.arrive.size)

    @classmethod
    def of_fields(
        cls, device: Device, arrive: IntArray, write: IntArray, fields: Mapping[str, IntArray]
    ) -> RequestBlock:
        """Requests from address fields pc, rk, bg, ba and row."""
        bank = flat_bank(device, fields["pc"], fields["rk"], fields["bg"], fields["ba"])
        return cls(*(np.ascontiguousarray(x, dtype=np.int64) for x in (arrive, write, bank, fields["row"])))


def splitmix64(number: Words) -> Words:
    """A stateless mix of 64 bits (Steele, Lea and Flood, OOPSLA 2014); splitmix64(0) = 0xe220a8397b1dcdaf."""
    with np.errstate(over="ignore"):
        z = number + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: Words = z ^ (z >> np.uint64(31))
    return mixed


@dataclass(frozen=True)
class _Asked:
    """What a pattern is given: request numbers, the mapping and the seed."""

    number: IntArray
    mapping: AddressMap
    seed: int

    @property
    def total(self) -> int:
        return self.mapping.device.transactions

    def random(self) -> IntArray:
        mixed = splitmix64(self.number.astype(np.uint64) + np.uint64(self.seed))
        index: IntArray = (mixed % np.uint64(self.total)).astype(np.int64)
        return index

    def fixed(self, **fields: IntArray) -> dict[str, IntArray]:
        zero = np.zeros_like(self.number)
        return {level: fields.get(level, zero) for level in ("pc", "rk", "bg", "ba", "row", "col")}


Drawn = tuple[dict[str, IntArray], IntArray]


def _nothing(asked: _Asked) -> IntArray:
    return np.zeros_like(asked.number)


def _stream(asked: _Asked) -> Drawn:
    return asked.mapping.fields(asked.number), _nothing(asked)


def _stream_write(asked: _Asked) -> Drawn:
    return asked.mapping.fields(asked.number), _nothing(asked) + 1


def _random(asked: _Asked) -> Drawn:
    return asked.mapping.fields(asked.random()), _nothing(asked)


def _random_mix(asked: _Asked) -> Drawn:
    return asked.mapping.fields(asked.random()), (asked.number % MIX_EVERY == MIX_EVERY - 1).astype(np.int64)


def _conflict1(asked: _Asked) -> Drawn:
    rows = asked.mapping.size("row")
    return asked.fixed(row=asked.number % rows, col=asked.number // rows % asked.mapping.size("col")), _nothing(asked)


def _conflict4(asked: _Asked) -> Drawn:
    row, column = asked.number // 4 % asked.mapping.size("row"), asked.number % asked.mapping.size("col")
    return asked.fixed(row=row, col=column), _nothing(asked)


def _pingpong(asked: _Asked) -> Drawn:
    pair, columns = asked.number // 2, asked.mapping.size("col")
    row = (2 * (pair // columns) + asked.number % 2) % asked.mapping.size("row")
    return asked.fixed(row=row, col=pair % columns), _nothing(asked)


def _bank_round(asked: _Asked) -> Drawn:
    rest, fields = asked.number, {}
    for field in ("pc", "bg", "ba", "rk"):
        fields[field] = rest % asked.mapping.size(field)
        rest = rest // asked.mapping.size(field)
    return asked.fixed(**fields, row=rest % asked.mapping.size("row")), _nothing(asked)


def _bank_round_one_group(asked: _Asked) -> Drawn:
    banks = asked.mapping.size("ba")
    return asked.fixed(ba=asked.number % banks, row=asked.number // banks % asked.mapping.size("row")), _nothing(asked)


def _stream_mix(asked: _Asked) -> Drawn:
    turn, place = asked.number // MIX_EVERY, asked.number % MIX_EVERY
    write = (place == MIX_EVERY - 1).astype(np.int64)
    index = np.where(write == 1, asked.total // 2 + turn, 2 * turn + place)
    return asked.mapping.fields(index), write


def _gemv_index(asked: _Asked) -> IntArray:
    turn, place = asked.number // GEMV_SHARE, asked.number % GEMV_SHARE
    first = (GEMV_SHARE - 1) * turn + place
    index: IntArray = np.where(place == GEMV_SHARE - 1, asked.total // 2 + turn, first)
    return index


def _gemv(asked: _Asked) -> Drawn:
    return asked.mapping.fields(_gemv_index(asked)), _nothing(asked)


def _gemv_write(asked: _Asked) -> Drawn:
    write = (asked.number % WRITE_EVERY == WRITE_EVERY - 1).astype(np.int64)
    written = 3 * (asked.total // 4) + asked.number // WRITE_EVERY
    return asked.mapping.fields(np.where(write == 1, written, _gemv_index(asked))), write


PATTERNS: Final[Mapping[str, tuple[Callable[[_Asked], Drawn], str]]] = {
    "stream_rd": (_stream, "reads in address order"),
    "stream_wr": (_stream_write, "writes in address order"),
    "random_rd": (_random, "reads of random transactions"),
    "random_mix21": (_random_mix, "random transactions, two reads and a write"),
    "conflict1": (_conflict1, "one bank, a new row for every request"),
    "conflict4": (_conflict4, "one bank, four requests for each row"),
    "pingpong": (_pingpong, "one bank, two rows in turn"),
    "bank_rr": (_bank_round, "a new row in the next bank for every request"),
    "bank_rr_onebg": (_bank_round_one_group, "the same inside one bank group"),
    "mix21_stream": (_stream_mix, "two reads of one stream, one write of another"),
    "gemv2": (_gemv, "seven reads of a weight stream, one of a second stream"),
    "gemv2w": (_gemv_write, "the same, every 64th request a write of a third stream"),
}
"""Patterns by name, each with what it is."""


def pattern(
    name: str, count: int, mapping: AddressMap, *, seed: int = 1, interval: int = 0, first: int = 0
) -> RequestBlock:
    """Requests `first` .. `first + count - 1` of a pattern; request i may be offered from tick `i * interval` on."""
    if name not in PATTERNS:
        raise ConfigError(f"there is no pattern {name!r}; there are {', '.join(PATTERNS)}", key="pattern")
    number = np.arange(first, first + count, dtype=np.int64)
    fields, write = PATTERNS[name][0](_Asked(number, mapping, seed))
    return RequestBlock.of_fields(mapping.device, number * interval, write, fields)
