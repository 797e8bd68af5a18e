"""Attention of one new token on PIM-GPT's banks (arXiv 2310.09385): where keys and values lie, and the programs.

Keys lie token by token over the banks of all channels, the heads of a token side by side in a row. Values lie element
by element of the head dimension over the banks of a channel, the tokens side by side in a row, heads over channels (the
paper has keys row-major, values column-major, heads beside each other to fill rows). How many sums a unit holds,
`held`, was never published.
"""

from __future__ import annotations

from dataclasses import dataclass

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.pim.program import Program, ProgramBuilder


@dataclass(frozen=True)
class HeadLayout:
    """Where the keys and values of a request lie; counts of one channel or bank."""

    heads: int
    kv_heads: int
    head_dim: int
    context: int
    channels: int
    units: int
    lanes: int
    row_columns: int

    @classmethod
    def of(cls, device: PimDevice, heads: int, kv_heads: int, dim: int, context: int) -> HeadLayout:
        """ConfigError for a head that does not divide a row, or is no multiple of what a unit takes."""
        unit, columns = device.unit, device.dram.organisation.col
        if dim % unit.lanes or columns * unit.lanes % dim:
            message = f"a head of {dim} must be a multiple of {unit.lanes} and divide a row of {columns * unit.lanes}"
            raise ConfigError(message, key="model")
        return cls(heads, kv_heads, dim, context, unit.channels, unit.units, unit.lanes, columns)

    @property
    def shared(self) -> int:
        """Query heads of a key head."""
        return self.heads // self.kv_heads

    @property
    def head_columns(self) -> int:
        """Columns of a key."""
        return self.head_dim // self.lanes

    @property
    def key_rows(self) -> int:
        """Rows of a token's keys."""
        return -(-self.kv_heads * self.head_columns // self.row_columns)

    def key_columns(self, row: int) -> int:
        """Columns that keys take of one of these rows."""
        return min(self.row_columns, self.kv_heads * self.head_columns - row * self.row_columns)

    @property
    def tokens(self) -> int:
        """Tokens of a bank."""
        return -(-self.context // (self.channels * self.units))

    @property
    def segments(self) -> int:
        """Rows of one element's values over all tokens."""
        return -(-self.context // (self.row_columns * self.lanes))

    def context_columns(self, segment: int) -> int:
        """Columns that tokens take of one of these rows."""
        left = self.context - segment * self.row_columns * self.lanes
        return min(self.row_columns, -(-left // self.lanes))

    @property
    def rounds(self) -> int:
        """Elements of a head in a bank."""
        return -(-self.head_dim // self.units)

    @property
    def heads_of_channel(self) -> int:
        return -(-self.kv_heads // self.channels)

    @property
    def value_rounds(self) -> int:
        return self.heads_of_channel * self.rounds

    @property
    def rows(self) -> int:
        """Rows of a bank that keys and values take."""
        return self.tokens * self.key_rows + self.value_rounds * self.segments


def new_key(device: PimDevice, shape: HeadLayout) -> Program:
    """The new key into the row of its token, in one bank of one channel."""
    program = ProgramBuilder(device)
    for row in range(shape.key_rows):
        for column in range(shape.key_columns(row)):
            program.add("WR", row=row, column=column)
    return program.build()


def new_value(device: PimDevice, shape: HeadLayout) -> Program:
    """The new value, an element of every bank at a time."""
    program = ProgramBuilder(device)
    for number in range(shape.value_rounds):
        program.add("WRA16", row=number % device.dram.organisation.row)
    return program.build()


def scores(device: PimDevice, shape: HeadLayout, held: int) -> Program:
    """For each row of heads, the queries once, then the tokens of a bank: sums of all heads of the row, read out
    when as many are held as there are accumulators.

    The host's columns are the queries, of those that share a key head the first of all heads, then the second. Its
    results are by query head (in that order) and number of the token in its bank.
    """
    program, rows = ProgramBuilder(device), device.dram.organisation.row
    width = shape.kv_heads * shape.head_columns
    for query in range(shape.shared):
        for row in range(shape.key_rows):
            before = row * shape.row_columns
            program.add("WRGB", shape.key_columns(row), host=query * width + before)
            for token in range(shape.tokens):
                at = (token * shape.key_rows + row) % rows
                first = query * shape.kv_heads + before // shape.head_columns
                macs = [
                    _Mac(shape.head_columns, at, head * shape.head_columns, (first + head) * shape.tokens + token)
                    for head in range(shape.key_columns(row) // shape.head_columns)
                ]
                _add_sums(program, macs, held)
    return program.build()


def context(device: PimDevice, shape: HeadLayout, held: int) -> Program:
    """For each head of a channel and each row of its tokens, the probabilities once, then all its elements.

    The host's columns are the probabilities of a channel's query heads, those that share a key head together, each
    filled up to whole columns. Its results are by head, element of the bank and row of tokens, which it adds up.
    """
    program, rows = ProgramBuilder(device), device.dram.organisation.row
    width = sum(shape.context_columns(segment) for segment in range(shape.segments))
    for head in range(shape.heads_of_channel * shape.shared):
        for segment in range(shape.segments):
            columns = shape.context_columns(segment)
            program.add("WRGB", columns, host=head * width + segment * shape.row_columns)
            first = head // shape.shared * shape.rounds
            macs = [
                _Mac(
                    columns, ((first + round_) * shape.segments + segment) % rows, 0,
                    (head * shape.rounds + round_) * shape.segments + segment,
                )
                for round_ in range(shape.rounds)
            ]  # fmt: skip
            _add_sums(program, macs, held)
    return program.build()


@dataclass(frozen=True)
class _Mac:
    """A sum: columns of a row times those of the buffer from the same column on; its number among the results."""

    columns: int
    row: int
    column: int
    result: int


def _add_sums(program: ProgramBuilder, macs: list[_Mac], held: int) -> None:
    """Sums, `held` at a time: cleared, made, read out."""
    for first in range(0, len(macs), held):
        group = macs[first : first + held]
        for number in range(len(group)):
            program.add("WRMAC16", accumulator=number)
        for number, mac in enumerate(group):
            program.add("MAC16", mac.columns, row=mac.row, column=mac.column, buffer=mac.column, accumulator=number)
        for number, mac in enumerate(group):
            program.add("RDMAC16", accumulator=number, host=mac.result)
