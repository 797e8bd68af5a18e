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
    when as many are held as there are accumulators."""
    program, rows = ProgramBuilder(device), device.dram.organisation.row
    for _ in range(shape.shared):
        for row in range(shape.key_rows):
            program.add("WRGB", shape.key_columns(row))
            heads = shape.key_columns(row) // shape.head_columns
            for token in range(shape.tokens):
                for first in range(0, heads, held):
                    group = range(first, min(first + held, heads))
                    for number in range(len(group)):
                        program.add("WRMAC16", accumulator=number)
                    for number, head in enumerate(group):
                        at = {"row": (token * shape.key_rows + row) % rows, "column": head * shape.head_columns}
                        program.add("MAC16", shape.head_columns, accumulator=number, **at)
                    for number in range(len(group)):
                        program.add("RDMAC16", accumulator=number)
    return program.build()


def context(device: PimDevice, shape: HeadLayout, held: int) -> Program:
    """For each head of a channel and each row of its tokens, the probabilities once, then all its elements."""
    program, rows = ProgramBuilder(device), device.dram.organisation.row
    for head in range(shape.heads_of_channel * shape.shared):
        for segment in range(shape.segments):
            columns = shape.context_columns(segment)
            program.add("WRGB", columns)
            for first in range(0, shape.rounds, held):
                group = range(first, min(first + held, shape.rounds))
                for number in range(len(group)):
                    program.add("WRMAC16", accumulator=number)
                for number, round_ in enumerate(group):
                    row = (head // shape.shared * shape.rounds + round_) * shape.segments + segment
                    program.add("MAC16", columns, row=row % rows, accumulator=number)
                for number in range(len(group)):
                    program.add("RDMAC16", accumulator=number)
    return program.build()
