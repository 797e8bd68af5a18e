"""A matrix times vectors on blocks with register files, one block for two banks: placement, program, numbers.

A block multiplies a column of weights (as many inputs of one output as it has lanes) by a register of inputs and adds
lane by lane into one of its sums. It has as many outputs at a time as sums: all blocks together make a *pass* of
outputs, and what is missing to a whole pass is padding that costs the same. The inputs go by in *tiles* that fill the
input registers: for every tile the host writes the registers (they are a row of the banks), then the columns of the
tile go by, those of even banks before those of odd ones. At the end of a pass the sums are written to the banks; their
lanes are the host's to add.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError, Infeasibility, InfeasibleError
from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.pim.program import Program, ProgramBuilder

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class RegisterLayout:
    """Where the weights of an outputs x inputs matrix lie; see the module's words for passes and tiles."""

    device: PimDevice
    outputs: int
    inputs: int

    @property
    def registers(self) -> int:
        """Input registers of a block."""
        return self.device.unit.buffer_bytes // self.device.unit.access_bytes

    @property
    def sums(self) -> int:
        """Outputs of a block at a time."""
        return self.device.unit.accumulators or 1

    @property
    def pass_outputs(self) -> int:
        """Outputs of all channels that are made in one pass: outputs are padded to a multiple."""
        return self.sums * self.device.unit.units * self.device.unit.channels

    @property
    def passes(self) -> int:
        return -(-self.outputs // self.pass_outputs)

    @property
    def tiles(self) -> int:
        return -(-self.inputs // (self.registers * self.device.unit.lanes))

    @property
    def tile_columns(self) -> int:
        """Columns of a tile in the two banks of a block."""
        return self.registers * self.sums

    @property
    def tile_rows(self) -> int:
        """Rows that a tile takes in each bank."""
        return -(-self.tile_columns // (2 * self.device.dram.organisation.col))

    @property
    def weight_rows(self) -> int:
        """Rows of a bank that weights take; the rows of results come after them."""
        return self.passes * self.tiles * self.tile_rows

    @property
    def register_row(self) -> int:
        """The row under which registers are written, the last of a bank."""
        return self.device.dram.organisation.row - 1

    @property
    def padded_macs(self) -> int:
        """Multiplications of all blocks for one vector, those with padding included."""
        return self.passes * self.pass_outputs * self.tiles * self.registers * self.device.unit.lanes

    def place(self, pass_: int, tile: int, column: int) -> tuple[int, int, int]:
        """Bank of the block (0 even, 1 odd), row, and column of one column of a tile."""
        of_row = 2 * self.device.dram.organisation.col
        row = (pass_ * self.tiles + tile) * self.tile_rows + column // of_row
        odd, place = divmod(column % of_row, of_row // 2)
        return odd, row, place


@dataclass(frozen=True)
class RegisterPlan:
    """A product as a program that every channel runs."""

    layout: RegisterLayout
    vectors: int
    program: Program

    @property
    def macs(self) -> int:
        """Multiplications that the product needs."""
        return self.layout.outputs * self.layout.inputs * self.vectors


def lower_gemv(device: PimDevice, outputs: int, inputs: int, *, vectors: int = 1) -> RegisterPlan:
    """Lower `outputs` x `inputs` weights times `vectors` vectors, one after the other, to the program of a channel.

    ConfigError for units of another kind and sizes below 1, InfeasibleError for more rows than there are.
    """
    if device.unit.kind != "registers" or "mac_odd" not in device.standard.roles:
        raise ConfigError(f"units of {device.name} have no registers; `gemv.lower_gemv` is for them", key="device")
    for name, value in (("outputs", outputs), ("inputs", inputs), ("vectors", vectors)):
        if value < 1:
            raise ConfigError(f"must be at least 1, got {value}", key=name)
    layout = RegisterLayout(device, outputs, inputs)
    needed, rows = layout.weight_rows + layout.passes * vectors + 1, device.dram.organisation.row
    if needed > rows:
        remedy = "use more channels, or split the weights over devices"
        raise InfeasibleError([Infeasibility("rows of a bank", needed, rows, "rows", remedy)])
    program = ProgramBuilder(device)
    for vector in range(vectors):
        for pass_ in range(layout.passes):
            _write_pass(program, layout, vector, pass_)
    return RegisterPlan(layout, vectors, program.build())


def _write_pass(program: ProgramBuilder, layout: RegisterLayout, vector: int, pass_: int) -> None:
    roles, of_row = layout.device.standard.roles, layout.device.dram.organisation.col
    number = vector * layout.passes + pass_
    if "setup" in roles:
        program.add(roles["setup"], host=number)
    for tile in range(layout.tiles):
        host = (vector * layout.tiles + tile) * layout.registers
        program.add(roles["fill"], layout.registers, row=layout.register_row, host=host)
        for first in range(0, layout.tile_columns, of_row):
            odd, row, column = layout.place(pass_, tile, first)
            count = min(of_row, layout.tile_columns - first)
            command = roles["mac_odd"] if odd else roles["mac"]
            program.add(command, count, row=row, column=column, accumulator=first)
    program.add(roles["result"], layout.sums, row=layout.weight_rows + number, host=number)


def place_weights(layout: RegisterLayout, weights: Array) -> Array:
    """What lies in the banks: shape (channels, blocks, 2 banks, rows, columns, lanes), zero where nothing lies."""
    if weights.shape != (layout.outputs, layout.inputs):
        raise ConfigError(f"the layout is for {(layout.outputs, layout.inputs)}, not {weights.shape}", key="weights")
    unit = layout.device.unit
    size = layout.passes * layout.pass_outputs, layout.tiles * layout.registers * unit.lanes
    padded = np.zeros(size, weights.dtype)
    padded[: layout.outputs, : layout.inputs] = weights
    dealt = padded.reshape(
        layout.passes, unit.channels, unit.units, layout.sums, layout.tiles, layout.registers, unit.lanes
    )  # fmt: skip
    banks = np.zeros(
        (unit.channels, unit.units, 2, layout.weight_rows, layout.device.dram.organisation.col, unit.lanes),
        weights.dtype,
    )
    for pass_ in range(layout.passes):
        for tile in range(layout.tiles):
            for column in range(layout.tile_columns):
                odd, row, place = layout.place(pass_, tile, column)
                sum_, register = divmod(column, layout.registers)
                banks[:, :, odd, row, place] = dealt[pass_, :, :, sum_, tile, register]
    return banks


def run_on_numbers(plan: RegisterPlan, banks: Array, vectors: Array) -> Array:
    """The products that the host has when it has added the lanes, shape (vectors, outputs), from what banks and
    registers hold at each instruction alone. vectors  shape (vectors, inputs)"""
    layout, unit = plan.layout, plan.layout.device.unit
    if vectors.shape != (plan.vectors, layout.inputs):
        raise ConfigError(f"the plan is for {(plan.vectors, layout.inputs)}, not {vectors.shape}", key="vectors")
    inputs = np.zeros((plan.vectors, layout.tiles * layout.registers * unit.lanes), vectors.dtype)
    inputs[:, : layout.inputs] = vectors
    host = inputs.reshape(-1, unit.lanes)
    shape = (unit.channels, unit.units)
    registers = np.zeros((layout.registers, unit.lanes), vectors.dtype)
    sums = np.zeros((*shape, layout.sums, unit.lanes), banks.dtype)
    results = np.zeros((plan.vectors * layout.passes, *sums.shape), banks.dtype)
    roles = layout.device.standard.roles
    for command, field in plan.program.named():
        count = field["count"]
        if command == roles.get("setup"):
            sums = np.zeros_like(sums)
        elif command == roles["fill"]:
            registers[:count] = host[field["host"] : field["host"] + count]
        elif command == roles["result"]:
            results[field["host"]] = sums
        else:
            odd = int(command == roles["mac_odd"])
            for step in range(count):
                sum_, register = divmod(field["accumulator"] + step, layout.registers)
                sums[:, :, sum_] += banks[:, :, odd, field["row"], field["column"] + step] * registers[register]
    added: Array = results.sum(axis=-1)
    return added.reshape(plan.vectors, -1)[:, : layout.outputs]
