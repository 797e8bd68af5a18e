"""The attention of attention.py as the commands of one channel, at bank level; the closed form is held against it.

The channel serves commands in order (P1 to P7 of the package), so the order decides what overlaps. It is that of
AttAcc: waves in pairs; while one wave multiplies, the moves of the other are dealt between its multiplies, so many for
each that they fit between two, and what is left of them follows, group after group of banks in turn. The first row of a
pair of waves opens after their query has come, and a row closes after the sums of its scores have moved; a controller
with a queue does both meanwhile: 28 to 46 clocks a pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.pim.program import Program, ProgramBuilder

Move = tuple[str, int]
"""A command that moves data, and the bank whose group it reaches."""
KEYS_PER_MOVE: Final = 16
"""Keys of a unit whose scores move together (scale-snu/attacc_simulator @c600051, pim_ramulator_src/trace_gen)."""
PSEUDO_CHANNELS: Final = 2
"""Pseudo-channels in step, over which keys go round too."""


class AttentionStream:
    """Writes the commands of `waves` heads of a channel, one after the other, over `context` keys of `head_dim`.

    ConfigError for a device that does not multiply in all banks at once as AttAcc does, or for sizes below 1.
    """

    def __init__(self, device: PimDevice, waves: int, context: int, head_dim: int) -> None:
        if missing := {"MACAB", "WRGB", "MVSB", "MVGB", "SFM"} - set(device.commands):
            message = f"{device.name} lacks {', '.join(sorted(missing))}; choose HBM3_AttAcc"
            raise ConfigError(message, key="device")
        for name, value in (("waves", waves), ("context", context), ("head_dim", head_dim)):
            if value < 1:
                raise ConfigError(f"at least 1 belongs here, not {value}", key=name)
        o, lanes = device.dram.organisation, device.unit.lanes
        self.program = ProgramBuilder(device)
        self.groups, self.banks, self.columns = o.bg, o.ba, o.col
        self.waves = waves
        self.keys = -(-context // (PSEUDO_CHANNELS * self.groups))
        self.key_columns = -(-head_dim // (self.banks * lanes))
        self.moved = -(-context // (PSEUDO_CHANNELS * self.groups * lanes))
        spacing, move = device.dram.clocks["nCCDAB"], device.dram.clocks["nCCDL"]
        self.between = max(1, spacing // move)
        self.row = 0

    def build(self) -> Program:
        """The program of the channel."""
        pairs, odd = divmod(self.waves, 2)
        for _ in range(pairs):
            self._moves(self._query())
            self._scores(list(self._query()))
            self._scores([*self._softmax(), *self._probabilities()], late=True)
            self._context([*self._softmax(), *self._probabilities()])
            self._context([])
            self._moves(self._sums())
        if odd:
            self._moves(self._query())
            self._scores([])
            self._moves([*self._softmax(), *self._probabilities()])
            self._context([])
            self._moves(self._sums())
        return self.program.build()

    def _query(self) -> Iterator[Move]:
        """Parts of the query: of one bank group, whose buffers pass them on."""
        for _ in range(self.banks * self.key_columns):
            yield "WRGB", 0

    def _softmax(self) -> Iterator[Move]:
        yield "SFM", 0

    def _probabilities(self) -> Iterator[Move]:
        """To all bank groups in turn, so that they follow each other closely."""
        for _ in range(self.moved):
            for group in range(self.groups):
                yield "MVGB", group * self.banks

    def _sums(self) -> Iterator[Move]:
        """Of every bank group once: scores of some keys, or parts of the context (ranks in turn)."""
        for group in range(self.groups):
            yield "MVSB", group * self.banks

    def _moves(self, moves: Iterable[Move]) -> None:
        for command, bank in moves:
            self.program.add(command, bank=bank)

    def _multiplies(self, columns: int, moves: list[Move], first: int) -> None:
        """Columns `first` onwards of rows from `row` on, with `moves` between."""
        between = [moves[at : at + self.between] for at in range(0, len(moves), self.between)]
        for number in range(columns):
            row, column = divmod(first + number, self.columns)
            self.program.add("MACAB", row=self.row + row, column=column)
            if number < len(between):
                self._moves(between[number])
        self._moves(move for left in between[columns:] for move in left)

    def _scores(self, moves: list[Move], *, late: bool = False) -> None:
        """Blocks of keys; `moves` go beside them, or the later half of them, and their own sums beside the next."""
        blocks = -(-self.keys // KEYS_PER_MOVE)
        begin = blocks // 2 if late else 0
        each = -(-len(moves) // (blocks - begin))
        sums: list[Move] = []
        for block in range(blocks):
            keys = min(KEYS_PER_MOVE, self.keys - block * KEYS_PER_MOVE)
            at = (block - begin) * each
            beside = moves[at : at + each] if block >= begin else []
            self._multiplies(keys * self.key_columns, [*sums, *beside], block * KEYS_PER_MOVE * self.key_columns)
            sums = list(self._sums())
        self._moves(sums)
        self.row += -(-self.keys * self.key_columns // self.columns)

    def _context(self, moves: list[Move]) -> None:
        """Sweeps over the values, one for each column of the head dimension; `moves` go beside the later half."""
        begin = self.key_columns // 2
        each = -(-len(moves) // (self.key_columns - begin))
        for sweep in range(self.key_columns):
            at = (sweep - begin) * each
            beside = moves[at : at + each] if sweep >= begin else []
            self._multiplies(self.keys, beside, sweep * self.keys)
        self.row += -(-self.keys * self.key_columns // self.columns)


def attention_program(device: PimDevice, waves: int, context: int, head_dim: int) -> Program:
    """The commands of one channel for `waves` heads, one after the other: see `AttentionStream`."""
    return AttentionStream(device, waves, context, head_dim).build()
