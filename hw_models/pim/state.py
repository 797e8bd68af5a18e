"""Recurrent states that are updated where they lie: placement, program, numbers.

A state S of a head (keys x values) becomes a S + k v', and the head answers q' S. A unit holds whole columns of S (one
value, all keys), so everything it needs is k, q and a for all its columns and one v for each: operands that the host
writes to all units of a channel at once. Every column of a bank is read and written again in each step, so that a row
can be closed only when its last write has been recovered. `interleaved`: a unit reads in one of its two banks and
writes in the other at the same time (Pimba); else it reads `held` columns and writes them back.
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
class StateLayout:
    """Where `states` matrices of `keys` x `values` lie: dealt to channels, their columns of values to units."""

    device: PimDevice
    states: int
    keys: int
    values: int

    @property
    def of_channel(self) -> int:
        """States of a channel; the last channels may have one less."""
        return -(-self.states // self.device.unit.channels)

    @property
    def key_columns(self) -> int:
        """DRAM columns of all keys of one value."""
        return -(-self.keys // self.device.unit.lanes)

    @property
    def unit_values(self) -> int:
        """Values of a state in one unit."""
        return -(-self.values // self.device.unit.units)

    @property
    def state_columns(self) -> int:
        """DRAM columns of a state in one unit."""
        return self.unit_values * self.key_columns

    @property
    def row_columns(self) -> int:
        """DRAM columns of a row in both banks of a unit."""
        return 2 * self.device.dram.organisation.col

    @property
    def state_rows(self) -> int:
        """Rows that a state takes; each state begins a row of its own."""
        return -(-self.state_columns // self.row_columns)

    @property
    def state_bytes(self) -> int:
        """Bytes of all states, without padding."""
        return self.states * self.keys * self.values * self.device.unit.element_bits // 8


@dataclass(frozen=True)
class StatePlan:
    """One step of all states as a program that every channel runs."""

    layout: StateLayout
    interleaved: bool
    program: Program


def lower_state_update(
    device: PimDevice, states: int, keys: int, values: int, *, interleaved: bool = True, held: int = 1
) -> StatePlan:
    """Lower one step of `states` states (heads x sequences) to the program of a channel.

    held  columns that a unit reads before it writes them back, where it does not interleave. ConfigError for a device
    that keeps no states and sizes below 1; InfeasibleError for more rows than there are.
    """
    if "STUPD" not in device.commands:
        raise ConfigError(f"{device.name} has no commands that update states", key="device")
    for name, value in (("states", states), ("keys", keys), ("values", values), ("held", held)):
        if value < 1:
            raise ConfigError(f"must be at least 1, got {value}", key=name)
    layout = StateLayout(device, states, keys, values)
    needed, rows = layout.of_channel * layout.state_rows, device.dram.organisation.row
    if needed > rows:
        remedy = "use more channels, or fewer sequences at a time"
        raise InfeasibleError([Infeasibility("rows of a bank", needed, rows, "rows", remedy)])
    program = ProgramBuilder(device)
    for state in range(layout.of_channel):
        _write_state(program, layout, state, held if not interleaved else 0)
    return StatePlan(layout, interleaved, program.build())


def _operand_columns(layout: StateLayout) -> int:
    """Columns of 32 bytes that bring k, q, v and the decay of a state, two bytes each."""
    elements = 2 * layout.keys + layout.values + 1
    return -(-2 * elements // layout.device.dram.organisation.transaction_bytes)


def _write_state(program: ProgramBuilder, layout: StateLayout, state: int, held: int) -> None:
    """One state: operands, every column of its rows, results. `held` 0 interleaves the two banks of a unit."""
    of_bank = layout.device.dram.organisation.col
    most = of_bank
    for first in range(0, _operand_columns(layout), most):
        program.add("WROP", min(most, _operand_columns(layout) - first), host=state)
    for number in range(layout.state_rows):
        row = state * layout.state_rows + number
        columns = min(layout.row_columns, layout.state_columns - number * layout.row_columns)
        for first in range(0, columns, of_bank):
            _write_columns(program, row, min(of_bank, columns - first), held)
    results = -(-2 * layout.values // layout.device.dram.organisation.transaction_bytes)
    program.add("RDRES", min(results, most), host=state)


def _write_columns(program: ProgramBuilder, row: int, columns: int, held: int) -> None:
    if held == 0:
        program.add("STUPD", columns, row=row)
        return
    for first in range(0, columns, held):
        width = min(held, columns - first)
        program.add("STRD", width, row=row, column=first)
        program.add("STWR", width, row=row, column=first)


def step_on_numbers(layout: StateLayout, state: Array, decay: Array, key: Array, value: Array, query: Array) -> tuple[
    Array, Array
]:  # fmt: skip
    """What units make of states unit by unit, column by column: new states and answers.

    state  shape (states, keys, values); decay  (states,); key, query  (states, keys); value  (states, values). Answers
    have shape (states, values).
    """
    unit, new = layout.device.unit, np.zeros_like(state)
    answers = np.zeros((layout.states, layout.values), np.result_type(state, query))
    for one in range(layout.states):
        for number in range(unit.units):
            for own in range(number * layout.unit_values, min((number + 1) * layout.unit_values, layout.values)):
                for first in range(0, layout.keys, unit.lanes):
                    lanes = slice(first, min(first + unit.lanes, layout.keys))
                    column = decay[one] * state[one, lanes, own] + key[one, lanes] * value[one, own]
                    new[one, lanes, own] = column
                    answers[one, own] += (column * query[one, lanes]).sum()
    return new, answers
