"""One block of a Llama decode step on AiM channels, in the parts and the order of CENT (ASPLOS 2025).

The host (a CXL controller) writes vectors into banks and reads them back, one request a clock for all channels of the
device; the channels compute, all with the same instructions. Weights lie output by output over the banks of a block's
channels, keys token by token over its banks, values head by head over its channels. Each part is the program of one
channel, and the host's requests beside it; they follow each other.

Left out: that requests to one bank (the new key) wait for its rows.

Source of the order: Yufeng98/CENT @8c79786, cent_simulation/Llama.py (trace_only) and TransformerBlock.py, said anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cairn.base.errors import ConfigError, Infeasibility, InfeasibleError
from cairn.base.spec import Spec, required, sourced
from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.pim.program import Program, ProgramBuilder
from cairn.hw_models.pim.simulate import ChannelRun, simulate_program

_CENT: Final = "Yufeng98/CENT @8c79786, cent_simulation"
PARTS: Final = ("norm", "fc-kqvo", "attention", "softmax", "fc-ffn", "activation")


class CentMapping(Spec):
    """How blocks lie on a device: `channels` of its channels each, the products of a block over `devices` of them."""

    channels: int = required(gt=0)
    devices: int = sourced(1, f"{_CENT}/run_sim.py: pipeline parallel", gt=0)
    accumulators: int = sourced(32, f"{_CENT}/run_sim.py: --reuse-size", gt=0)
    host_clocks: int = sourced(
        1, "arkhadem/aim_simulator @0f28a07: its front end hands one request a clock to all channels", gt=0
    )


@dataclass(frozen=True)
class LlamaBlock:
    """Sizes of a decoder layer with a gated network: one token looks at `context` keys, its own included."""

    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    context: int

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads

    @property
    def shared(self) -> int:
        """Query heads of a key head."""
        return self.heads // self.kv_heads


@dataclass
class Part:
    """What a part does: the program of a channel, and requests of the host to all channels of the device."""

    program: ProgramBuilder
    host_writes: int = 0
    host_reads: int = 0
    instructions: Counter[str] = field(default_factory=Counter)
    """Instructions of a whole device by the name of the command."""

    def add(self, command: str, columns: int = 1, **where: int) -> None:
        """An instruction to all channels; more columns than a row has are taken in turns."""
        self.instructions[command] += 1
        room = self.program.device.dram.organisation.col
        for first in range(0, columns, room):
            self.program.add(command, min(room, columns - first), **where)


@dataclass(frozen=True)
class PartTime:
    """Clocks of the channel and of the host's requests, one after the other, commands on the channel, and its run (None
    where the part has no program)."""

    channel_clocks: int
    host_clocks: int
    commands: Mapping[str, int]
    run: ChannelRun | None = None

    @property
    def clocks(self) -> int:
        return self.channel_clocks + self.host_clocks


def block_parts(device: PimDevice, block: LlamaBlock, mapping: CentMapping) -> dict[str, Part]:
    """The parts of a block by name (PARTS). ConfigError for sizes that make no block; InfeasibleError when the weights
    and caches of the channels do not fit their rows."""
    return _Writer(device, block, mapping).parts()


def block_clocks(device: PimDevice, parts: Mapping[str, Part], mapping: CentMapping) -> dict[str, PartTime]:
    """Clocks of each part: its program simulated, command by command, on one channel, and its requests of the host."""
    found = {}
    for name, part in parts.items():
        requests = part.host_writes + part.host_reads
        if len(program := part.program.build()):
            run = simulate_program(program)
            found[name] = PartTime(run.cycles, requests * mapping.host_clocks, run.counts, run)
        else:
            found[name] = PartTime(0, requests * mapping.host_clocks, {})
    return found


def whole_program(parts: Mapping[str, Part]) -> Program:
    """The instructions of all parts, one part after the other."""
    builders = [part.program for part in parts.values()]
    whole = ProgramBuilder(builders[0].device)
    for builder in builders:
        for name, fields in builder.build().named():
            whole.add(name, **fields)
    return whole.build()


class _Writer:
    """Writes the parts of a block; rows are dealt out one matrix after the other."""

    def __init__(self, device: PimDevice, block: LlamaBlock, mapping: CentMapping) -> None:
        self.device, self.block, self.mapping = device, block, mapping
        unit, o = device.unit, device.dram.organisation
        self.row_elements = o.col * unit.lanes
        self._check()
        self.banks = mapping.channels * unit.units
        self.all_banks = self.banks * mapping.devices
        self.blocks = max(unit.channels // mapping.channels, 1)
        self.next_row = self.value_row = 0

    def _check(self) -> None:
        block, unit = self.block, self.device.unit
        for name in ("hidden", "heads", "kv_heads", "ffn", "context"):
            if getattr(block, name) < 1:
                raise ConfigError(f"at least 1 belongs here, not {getattr(block, name)}", key=name)
        if block.hidden % block.heads or block.heads % block.kv_heads:
            raise ConfigError("hidden must be a multiple of heads, and heads of kv_heads", key="heads")
        if block.head_dim % unit.lanes or self.row_elements % block.head_dim:
            message = f"a head of {block.head_dim} must be a multiple of {unit.lanes} and divide {self.row_elements}"
            raise ConfigError(message, key="hidden")
        if self.mapping.channels > unit.channels:
            message = f"a block has at most the {unit.channels} channels of a device"
            raise ConfigError(message, key="channels")

    def parts(self) -> dict[str, Part]:
        parts = {name: Part(ProgramBuilder(self.device)) for name in PARTS}
        block = self.block
        kv = block.head_dim * block.kv_heads
        self._norm(parts["norm"])
        self._norm(parts["norm"])
        for inner, outputs in ((block.hidden, block.hidden), (block.hidden, kv), (block.hidden, kv)):
            self._product(parts["fc-kqvo"], inner, outputs)
        self._rotary(parts["fc-kqvo"])
        self._append(parts["attention"])
        self._scores(parts["attention"])
        self._softmax(parts["softmax"])
        self._context(parts["attention"])
        self._product(parts["fc-kqvo"], block.hidden, block.hidden)
        self._product(parts["fc-ffn"], block.hidden, block.ffn, activation=True)
        self._product(parts["fc-ffn"], block.hidden, block.ffn)
        self._gate(parts["activation"])
        self._product(parts["fc-ffn"], block.ffn, block.hidden)
        self._fits()
        return parts

    def _fits(self) -> None:
        rows = self.device.dram.organisation.row
        if self.next_row > rows:
            remedy = "give the block more channels, or divide it over more devices"
            raise InfeasibleError([Infeasibility("rows of a bank", self.next_row, rows, "rows", remedy)])

    def _take(self, rows: int) -> int:
        first = self.next_row
        self.next_row += rows
        return first

    def _row(self, number: int) -> int:
        """A row of the bank, for what does not fit too: `_fits` refuses it when all is written."""
        return min(number, self.device.dram.organisation.row - 1)

    def _bursts(self, elements: int) -> int:
        """Columns of so many elements."""
        return -(-elements // self.device.unit.lanes)

    def _spread(self, elements: int, banks: int) -> tuple[int, int]:
        """Elements of a bank when they are dealt evenly over `banks`, and the banks that get some."""
        each = -(-elements // banks)
        return each, -(-elements // each)

    def _vector(self, elements: int, share: int) -> tuple[int, int]:
        """Columns of a bank, and requests to all blocks of the device, of a vector in every `share`-th bank."""
        each, used = self._spread(elements, self.banks // share)
        return self._bursts(each), self._bursts(each) * used * self.blocks

    def _product(self, part: Part, inner: int, outputs: int, *, activation: bool = False) -> None:
        """y = x w: for each row of inputs, groups of outputs as many as there are accumulators."""
        held = max(1, self.mapping.accumulators // 2) if activation else self.mapping.accumulators
        each = -(-outputs // self.all_banks)
        segments = -(-inner // self.row_elements)
        size = -(-each // -(-each // held))
        first = self._take(each * segments)
        for segment in range(segments):
            columns = self._bursts(min(self.row_elements, inner - segment * self.row_elements))
            part.add("WRGB", columns)
            for begin in range(0, each, size):
                outs = range(begin, min(begin + size, each))
                for _ in outs:
                    part.add("WRMAC16")
                for out in outs:
                    part.add("MAC16", columns, row=self._row(first + out * segments + segment))
                if activation and segment == segments - 1:
                    for _ in outs:
                        part.add("AF16", row=self.device.dram.organisation.row - 1)
                        part.add("RDAF16")
                for _ in outs:
                    part.add("RDMAC16")

    def _norm(self, part: Part) -> None:
        """Root mean square: squares of neighbouring banks, then two element-wise products with a copy between."""
        hidden = self.block.hidden
        squares, requests = self._vector(hidden, 2)
        part.host_writes += 2 * requests
        row = self._take(2)
        part.add("WRMAC16")
        part.add("MAC16", squares, row=self._row(row))
        part.add("RDMAC16")
        columns, requests = self._vector(hidden, 4)
        part.host_writes += 2 * requests
        self._scaled(part, columns, self._row(row), self._row(row + 1))
        part.host_reads += requests

    def _scaled(self, part: Part, columns: int, source: int, target: int) -> None:
        """An element-wise product, its results copied to another bank of each group, and a second product."""
        part.add("EWMUL16", columns, row=source)
        for bank in range(2, self.device.dram.banks, 4):
            part.add("RDCP", columns, bank=bank, row=source)
            part.add("WRCP", columns, bank=bank - 1, row=target)
        part.add("EWMUL16", columns, row=target)

    def _rotary(self, part: Part) -> None:
        """Rotary embedding of queries and keys: element-wise products, all of a vector in one channel's row."""
        each, used = self._spread(self.block.hidden, self.banks // 4)
        row = self._take(2)
        for number, share in enumerate((1, self.block.shared)):
            part.host_writes += 2 * self._bursts(each // share * 2) * used * self.blocks
            part.add("EWMUL16", self._bursts(self.block.hidden // share), row=self._row(row + number))

    def _append(self, part: Part) -> None:
        """The new key in its bank, the new value a column of all banks for each part of the head dimension."""
        block, unit = self.block, self.device.unit
        rows = block.head_dim * block.kv_heads // self.row_elements
        part.host_writes += rows * self.device.dram.organisation.col * self.blocks
        self.value_row = self._take(self._value_rows)
        for number in range(self._heads_of_channel * (block.head_dim // unit.units)):
            part.program.add("WRA16", row=self._row(self.value_row + number))
        part.instructions["WRA16"] += block.kv_heads * (block.head_dim // unit.units)

    @property
    def _heads_of_channel(self) -> int:
        return -(-self.block.kv_heads // self.mapping.channels)

    @property
    def _value_rows(self) -> int:
        """Rows of a bank that values take: of each head one element of the head dimension for each of its parts."""
        segments = -(-self.block.context // self.row_elements)
        return self._heads_of_channel * (self.block.head_dim // self.device.unit.units) * segments

    def _scores(self, part: Part) -> None:
        """Queries times keys: a row of heads for each set of tokens, one accumulator at a time."""
        block = self.block
        rows = -(-block.head_dim * block.kv_heads // self.row_elements)
        tokens = -(-block.context // self.all_banks)
        first = self._take(tokens * rows)
        heads, columns = self.row_elements // block.head_dim, block.head_dim // self.device.unit.lanes
        for row in range(rows):
            for token in range(tokens):
                for _ in range(block.shared):
                    part.add("WRGB", self.device.dram.organisation.col)
                    for head in range(heads):
                        part.add("WRMAC16")
                        at = self._row(first + token * rows + row)
                        part.add("MAC16", columns, row=at, column=head * columns)
                        part.add("RDMAC16")

    def _context(self, part: Part) -> None:
        """Probabilities times values: of each head of the channel, the parts of the head dimension in turn."""
        block = self.block
        segments, dims = -(-block.context // self.row_elements), block.head_dim // self.device.unit.units
        for head in range(self._heads_of_channel):
            for _ in range(block.shared):
                for segment in range(segments):
                    columns = self._bursts(min(self.row_elements, block.context - segment * self.row_elements))
                    part.add("WRGB", columns)
                    for dim in range(dims):
                        part.add("WRMAC16")
                        row = self.value_row + (head * dims + dim) * segments + segment
                        part.add("MAC16", columns, row=self._row(row))
                        part.add("RDMAC16")

    def _softmax(self, part: Part) -> None:
        """Scores and exponentials scaled, a head in one bank of a group: written, multiplied, read back, twice."""
        block = self.block
        segments = -(-block.context // self.row_elements)
        each = -(-block.heads // (self.mapping.channels * 4))
        moved = self._bursts_of_context() * block.heads * self.blocks
        row = self._take(each * segments)
        for _ in range(2):
            part.host_writes += 2 * moved
            for number in range(each * segments):
                last = number % segments == segments - 1
                elements = block.context - (segments - 1) * self.row_elements if last else self.row_elements
                part.add("EWMUL16", self._bursts(elements), row=self._row(row + number))
            part.host_reads += moved

    def _bursts_of_context(self) -> int:
        whole, rest = divmod(self.block.context, self.row_elements)
        return whole * self.device.dram.organisation.col + self._bursts(rest)

    def _gate(self, part: Part) -> None:
        """The gate of the network: as many turns as rows that a quarter of the banks need for its width."""
        room = self.banks // 4 * self.row_elements
        sizes = [self.block.ffn] if self.block.ffn <= room else [room, self.block.ffn - room]
        row = self._take(len(sizes))
        for number, size in enumerate(sizes):
            columns, requests = self._vector(size, 4)
            part.host_writes += 3 * requests
            part.host_reads += requests
            self._scaled(part, columns, self._row(row + number), self._row(row + number))
