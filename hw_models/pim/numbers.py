"""A product on numbers: channels that have what lies in their banks, buffer and accumulators, and no more.

`place_weights` writes a matrix into the rows of the banks by a layout; `run_on_numbers` executes a program in its order
with the host's vectors, and answers what the host received. A weight in a wrong row, an input that was never brought
or an accumulator that was written over shows as a wrong result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.gemv import GemvLayout, GemvPlan

Array = npt.NDArray[Any]


@dataclass
class _Machine:
    """What one channel holds: rows of weights (bank, row, column, lane), buffer (column, lane), sums (number, bank)."""

    memory: Array
    buffer: Array
    sums: dict[int, Array]


def place_weights(layout: GemvLayout, weights: Array) -> Array:
    """What lies in the banks: shape (channels, banks, rows, columns of a row, lanes), zero where nothing was placed.

    weights  shape (outputs, inputs); ConfigError for another shape
    """
    if weights.shape != (layout.outputs, layout.inputs):
        raise ConfigError(f"the layout is for {(layout.outputs, layout.inputs)}, not {weights.shape}", key="weights")
    unit, row_columns = layout.device.unit, layout.device.dram.organisation.col
    size = layout.rounds * layout.round_outputs, layout.mapping.k_parts * layout.part_inputs
    padded = np.zeros(size, weights.dtype)
    padded[: layout.outputs, : layout.inputs] = weights
    dealt = padded.reshape(
        layout.rounds, layout.output_channels, unit.units, layout.mapping.k_parts, layout.columns, unit.lanes
    )  # fmt: skip
    banks = np.zeros((unit.channels, unit.units, layout.rows, row_columns, unit.lanes), weights.dtype)
    of_parts = banks.reshape(layout.output_channels, layout.mapping.k_parts, *banks.shape[1:])
    for round_ in range(layout.rounds):
        for segment in range(layout.segments):
            row, column = layout.place(round_, segment)
            first, width = segment * layout.segment_columns, layout.segment(segment)
            piece = dealt[round_, :, :, :, first : first + width]
            of_parts[:, :, :, row, column : column + width] = piece.swapaxes(1, 2)
    return banks


def run_on_numbers(plan: GemvPlan, banks: Array, vectors: Array, bias: Array | None = None) -> Array:
    """The products that the host has at the end, shape (vectors, outputs).

    banks    as `place_weights` answers; vectors  shape (vectors, inputs); bias  shape (outputs,), added once
    """
    layout, unit = plan.layout, plan.layout.device.unit
    if vectors.shape != (plan.vectors, layout.inputs):
        raise ConfigError(f"the plan is for {(plan.vectors, layout.inputs)}, not {vectors.shape}", key="vectors")
    parts = layout.mapping.k_parts
    inputs = np.zeros((plan.vectors, parts * layout.part_inputs), vectors.dtype)
    inputs[:, : layout.inputs] = vectors
    by_part = inputs.reshape(plan.vectors, parts, layout.columns, unit.lanes)
    start = np.zeros(layout.rounds * layout.round_outputs, banks.dtype)
    if bias is not None:
        start[: layout.outputs] = bias
    biases = start.reshape(layout.rounds, layout.output_channels, unit.units)
    results = np.zeros((plan.vectors, layout.rounds, layout.output_channels, unit.units), banks.dtype)
    for channel in range(unit.channels):
        group, part = divmod(channel, parts)
        of_channel = biases[:, group] if part == 0 else np.zeros_like(biases[:, group])
        taken = _channel(plan, banks[channel], by_part[:, part].reshape(-1, unit.lanes), of_channel)
        results[:, :, group] += taken  # the host adds what channels of one group answer
    return results.reshape(plan.vectors, -1)[:, : layout.outputs]


def _channel(plan: GemvPlan, memory: Array, host: Array, biases: Array) -> Array:
    """One channel through the program: results by vector, round and bank. `host` has one column of inputs a row."""
    layout, roles = plan.layout, plan.layout.device.standard.roles
    machine = _Machine(memory, np.zeros((layout.buffer_columns, host.shape[1]), host.dtype), {})
    results = np.zeros((plan.vectors * layout.rounds, memory.shape[0]), memory.dtype)
    for command, field in plan.program.named():
        count, sums = field["count"], field["accumulator"]
        if command == roles["fill"]:
            machine.buffer[field["buffer"] : field["buffer"] + count] = host[field["host"] : field["host"] + count]
        elif command == roles.get("bias"):
            machine.sums[sums] = biases[field["host"] % layout.rounds].copy()
        elif command == roles["mac"]:
            weights = machine.memory[:, field["row"], field["column"] : field["column"] + count]
            inputs = machine.buffer[field["buffer"] : field["buffer"] + count]
            before = machine.sums.get(sums, np.zeros(memory.shape[0], memory.dtype))
            machine.sums[sums] = before + np.einsum("bcl,cl->b", weights, inputs)
        elif command == roles.get("result"):
            results[field["host"]] = machine.sums.pop(sums)
    return results.reshape(plan.vectors, layout.rounds, -1)
