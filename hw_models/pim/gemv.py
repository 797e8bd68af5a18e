"""A matrix times vectors on banks that listen to one buffer: where weights lie, and the program of a channel.

Outputs are dealt to channels and banks: a *round* is as many outputs as all banks that hold different outputs have at
once. The inputs of a round are cut into *segments* that fit a row and the buffer; the banks take a segment of weights
from one row while the buffer plays the inputs. All channels run the same program on their own weights and, where
channels share outputs (`k_parts`), on their own part of the inputs; the host then adds their results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cairn.base.errors import ConfigError, Infeasibility, InfeasibleError
from cairn.base.spec import Spec, sourced
from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.pim.program import Program, ProgramBuilder

_CHOICE = "a choice of the mapping"


class GemvMapping(Spec):
    """How a product is laid out and ordered.

    accumulators      sums that a bank holds at a time: 1 finishes one output before the next ("outputs first"), more
                      use what the buffer holds for as many outputs
    vectors_together  vectors of a batch whose sums are held at the same time (they share the accumulators)
    inner             with several vectors held: "rounds" opens all rows for one vector after the other, "vectors"
                      keeps a row open for all vectors and fills the buffer in between where it holds only one
    k_parts           groups of channels that hold parts of the inputs of the same outputs
    share_rows        rounds whose inputs take less than half a row share rows; else each segment has its own
    """

    accumulators: int = sourced(1, _CHOICE, gt=0)
    vectors_together: int = sourced(1, _CHOICE, gt=0)
    inner: Literal["rounds", "vectors"] = sourced("rounds", _CHOICE)
    k_parts: int = sourced(1, _CHOICE, gt=0)
    share_rows: bool = sourced(False, _CHOICE)


@dataclass(frozen=True)
class GemvLayout:
    """Where the weights of an outputs x inputs matrix lie. Counts are of one channel."""

    device: PimDevice
    outputs: int
    inputs: int
    mapping: GemvMapping

    @property
    def output_channels(self) -> int:
        """Channels that hold different outputs."""
        return self.device.unit.channels // self.mapping.k_parts

    @property
    def round_outputs(self) -> int:
        """Outputs of all channels that are made at once."""
        return self.output_channels * self.device.unit.units

    @property
    def rounds(self) -> int:
        return -(-self.outputs // self.round_outputs)

    @property
    def part_inputs(self) -> int:
        """Inputs of one channel, a multiple of what one command takes."""
        lanes = self.device.unit.lanes
        return -(-self.inputs // (self.mapping.k_parts * lanes)) * lanes

    @property
    def columns(self) -> int:
        """Columns of weights of one output in one channel."""
        return self.part_inputs // self.device.unit.lanes

    @property
    def segment_columns(self) -> int:
        """Columns of a full segment: those of a row, or of the buffer where that is smaller."""
        return min(self.device.dram.organisation.col, self.buffer_columns)

    @property
    def buffer_columns(self) -> int:
        return self.device.unit.buffer_bytes // self.device.unit.access_bytes

    @property
    def segments(self) -> int:
        return -(-self.columns // self.segment_columns)

    def segment(self, number: int) -> int:
        """Columns of one segment; the last may be shorter."""
        return min(self.segment_columns, self.columns - number * self.segment_columns)

    @property
    def _of_row(self) -> int:
        """Segments, or with `share_rows` whole rounds, that a row holds."""
        row = self.device.dram.organisation.col
        if self.shared:
            return row // self.columns
        return row // self.segment_columns

    @property
    def shared(self) -> bool:
        """Whether rounds share rows."""
        return self.mapping.share_rows and self.segments == 1 and 2 * self.columns <= self.device.dram.organisation.col

    @property
    def rows(self) -> int:
        """Rows of a bank that the weights take."""
        if self.shared:
            return -(-self.rounds // self._of_row)
        return self.rounds * -(-self.segments // self._of_row)

    def place(self, round_: int, segment: int) -> tuple[int, int]:
        """Row, and first column in it, of a segment of a round."""
        if self.shared:
            return round_ // self._of_row, round_ % self._of_row * self.columns
        rows = -(-self.segments // self._of_row)
        return round_ * rows + segment // self._of_row, segment % self._of_row * self.segment_columns

    @property
    def padded_macs(self) -> int:
        """Multiplications of all channels for one vector, those with padding included."""
        unit = self.device.unit
        return self.rounds * self.columns * unit.lanes * unit.units * unit.channels


@dataclass(frozen=True)
class GemvPlan:
    """A product as a program that every channel runs; `vectors` of a batch."""

    layout: GemvLayout
    vectors: int
    program: Program

    @property
    def macs(self) -> int:
        """Multiplications that the product needs."""
        return self.layout.outputs * self.layout.inputs * self.vectors

    @property
    def host_adds(self) -> int:
        """Additions that the host makes, where channels share outputs."""
        return self.layout.outputs * (self.layout.mapping.k_parts - 1) * self.vectors

    @property
    def result_bytes(self) -> int:
        """Bytes of results that all channels hand to the host, padding included."""
        unit, layout = self.layout.device.unit, self.layout
        return layout.rounds * unit.units * unit.channels * self.vectors * unit.element_bits // 8


def gemv_layout(device: PimDevice, outputs: int, inputs: int, mapping: GemvMapping | None = None) -> GemvLayout:
    """The layout of a product; ConfigError for what cannot be meant, InfeasibleError for what does not fit."""
    layout = GemvLayout(device, outputs, inputs, mapping or GemvMapping())
    _refuse(layout)
    return layout


def lower_gemv(
    device: PimDevice, outputs: int, inputs: int, mapping: GemvMapping | None = None, *, vectors: int = 1,
    weight_bits: int | None = None,
) -> GemvPlan:  # fmt: skip
    """Lower `outputs` x `inputs` weights times `vectors` vectors to the program of a channel.

    weight_bits  of an element; the device's where left out. ConfigError for another width than its units have, for
                 sizes below 1 and parts that the channels cannot be split in; InfeasibleError for more rows or
                 accumulators than there are.
    """
    if weight_bits not in (None, device.unit.element_bits):
        raise ConfigError(
            f"units of {device.name} multiply elements of {device.unit.element_bits} bits, not {weight_bits}; "
            "convert the weights, or run the product elsewhere", key="weight_bits",
        )  # fmt: skip
    if vectors < 1:
        raise ConfigError(f"must be at least 1, got {vectors}", key="vectors")
    layout = gemv_layout(device, outputs, inputs, mapping)
    return GemvPlan(layout, vectors, _Writer(layout, vectors).write())


def _refuse(layout: GemvLayout) -> None:
    device, mapping = layout.device, layout.mapping
    if device.unit.kind != "buffer":
        raise ConfigError(f"units of {device.name} have registers; `registers.lower_gemv` is for them", key="device")
    for name, value in (("outputs", layout.outputs), ("inputs", layout.inputs)):
        if value < 1:
            raise ConfigError(f"must be at least 1, got {value}", key=name)
    if device.unit.channels % mapping.k_parts:
        raise ConfigError(
            f"{device.unit.channels} channels cannot be split in {mapping.k_parts} equal parts", key="k_parts"
        )
    if mapping.vectors_together > mapping.accumulators:
        raise ConfigError(
            f"{mapping.vectors_together} vectors at a time need as many accumulators, not {mapping.accumulators}",
            key="vectors_together",
        )
    if layout.buffer_columns < 1:
        raise ConfigError(
            f"{device.unit.buffer_bytes} bytes hold not one column of {device.unit.access_bytes}", key="buffer_bytes"
        )
    reasons = []
    held, rows = device.unit.accumulators, device.dram.organisation.row
    if held is not None and mapping.accumulators > held:
        remedy = "ask the mapping for fewer accumulators"
        reasons.append(Infeasibility("accumulators of a bank", mapping.accumulators, held, "sums", remedy))
    if layout.rows > rows:
        remedy = "use more channels, let rounds share rows, or split the weights over devices"
        reasons.append(Infeasibility("rows of a bank", layout.rows, rows, "rows", remedy))
    if reasons:
        raise InfeasibleError(reasons)


class _Writer:
    """Writes the program of a product: groups of rounds whose sums are held together, and segments within them."""

    def __init__(self, layout: GemvLayout, vectors: int) -> None:
        self.layout, self.vectors = layout, vectors
        self.roles = layout.device.standard.roles
        self.program = ProgramBuilder(layout.device)
        self.slots: list[tuple[int, int] | None] = [None] * (layout.buffer_columns // layout.segment_columns)
        self.oldest = 0

    def write(self) -> Program:
        mapping, rounds = self.layout.mapping, self.layout.rounds
        together = min(mapping.vectors_together, self.vectors)
        group = max(1, mapping.accumulators // together)
        for vector in range(0, self.vectors, together):
            block = range(vector, min(vector + together, self.vectors))
            for first in range(0, rounds, group):
                self._group(range(first, min(first + group, rounds)), block)
        return self.program.build()

    def _group(self, rounds: range, block: range) -> None:
        """Rounds and vectors whose sums are held together, from the first bias to the last result."""
        sums = {(r, v): number for number, (r, v) in enumerate((r, v) for r in rounds for v in block)}
        if "bias" in self.roles:
            for (round_, vector), number in sums.items():
                self.program.add(self.roles["bias"], accumulator=number, host=self._output(vector, round_))
        for segment in range(self.layout.segments):
            for round_, vector in self._steps(rounds, block):
                at = self._fill(vector, segment)
                row, column = self.layout.place(round_, segment)
                self.program.add(
                    self.roles["mac"], self.layout.segment(segment), row=row, column=column, buffer=at,
                    accumulator=sums[round_, vector],
                )  # fmt: skip
        if "result" in self.roles:
            for (round_, vector), number in sums.items():
                self.program.add(self.roles["result"], accumulator=number, host=self._output(vector, round_))

    def _steps(self, rounds: range, block: range) -> Iterator[tuple[int, int]]:
        if self.layout.mapping.inner == "vectors":
            yield from ((r, v) for r in rounds for v in block)
        else:
            yield from ((r, v) for v in block for r in rounds)

    def _output(self, vector: int, round_: int) -> int:
        """Number of a round of a vector, by which the host knows biases and results."""
        return vector * self.layout.rounds + round_

    def _fill(self, vector: int, segment: int) -> int:
        """First column of the buffer where a segment of a vector lies; brings it where it does not lie there yet."""
        columns = self.layout.segment_columns
        if (vector, segment) in self.slots:
            return self.slots.index((vector, segment)) * columns
        slot, self.oldest = self.oldest, (self.oldest + 1) % len(self.slots)
        self.slots[slot] = (vector, segment)
        host = vector * self.layout.columns + segment * columns
        self.program.add(self.roles["fill"], self.layout.segment(segment), buffer=slot * columns, host=host)
        return slot * columns
