"""Where cores and PIM are equally fast: what the units of a device reach over operations per byte, and their crossings.

Work is one of two. *Weights*: a product of m tokens, with m operations for each byte of its FP16 weights; inputs and
outputs are brought too, but not counted as bytes here. *Keys*: one half of decode attention, with as many operations
per byte of its FP16 keys (or values) as query heads share a key head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.duplex import DuplexSpec, Unit, duplex_device
from cairn.sim.pim.step import keys_ops_per_byte
from cairn.workloads.graph import Block, Operator, OperatorGraph, OpKind

FloatArray = npt.NDArray[np.float64]

ELEMENT_BYTES: Final = 2
"""FP16, as Duplex has weights and keys (arXiv 2409.01141, Table I)."""
EXPERT: Final = (4096, 14336)
"""Inputs and outputs of the product that stands for weights: an expert of Mixtral 8x7B (same table)."""
KEY_BYTES: Final = 32 * 4096 * 2 * 128 * ELEMENT_BYTES
"""assumed: Mixtral's keys on one of four devices, for 32 requests of 4,096 tokens (2 of 8 key heads of 128)."""
LEAST, MOST = 0.5, 4096.0
"""Operations per byte that crossings are looked for in; assumed: half of the least that occurs, and a long prefill."""
_GRID: Final = 512
_HALVINGS: Final = 60


class Work(StrEnum):
    """What is read: weights of a product, or keys (or values) of attention."""

    WEIGHTS = "weights"
    KEYS = "keys"


@dataclass(frozen=True)
class Crossing:
    """`below` is faster up to `ops_per_byte`, `above` from there; both reach `ops_per_s` there."""

    below: Unit
    above: Unit
    ops_per_byte: float
    ops_per_s: float


def seconds(spec: DuplexSpec, unit: Unit, work: Work, ops_per_byte: npt.ArrayLike) -> FloatArray:
    """Seconds in which a unit does the work at each number of operations per byte; ConfigError for none or fewer."""
    given = np.asarray(ops_per_byte, dtype=np.float64)
    if np.any(given <= 0):
        raise ConfigError("give more than 0 operations per byte", key="ops_per_byte")
    device = duplex_device(spec)
    if work is Work.WEIGHTS:
        return device.product_s(unit, given * ELEMENT_BYTES / 2, *EXPERT, ELEMENT_BYTES)
    times = [device.attend_s(unit, KEY_BYTES, float(each) * KEY_BYTES) for each in given.flat]
    return np.array(times).reshape(given.shape)


def rates(spec: DuplexSpec, work: Work, ops_per_byte: npt.ArrayLike) -> dict[Unit, FloatArray]:
    """Operations per second that each unit reaches, an array like `ops_per_byte`; ConfigError as `seconds`."""
    size = EXPERT[0] * EXPERT[1] * ELEMENT_BYTES if work is Work.WEIGHTS else KEY_BYTES
    given = np.asarray(ops_per_byte, dtype=np.float64)
    return {unit: given * size / seconds(spec, unit, work, given) for unit in Unit}


def crossings(spec: DuplexSpec, work: Work, least: float = LEAST, most: float = MOST) -> list[Crossing]:
    """Where one unit passes another, by operations per byte between `least` and `most`. Units that are equal over a
    stretch cross where it ends. ConfigError for a range that is empty or begins at 0."""
    if not 0 < least < most:
        raise ConfigError(f"give 0 < least < most, not {least:g} and {most:g}", key="least")
    grid = np.geomspace(least, most, _GRID)
    reached = rates(spec, work, grid)
    found = []
    for first, second in combinations(Unit, 2):
        ahead = np.sign(reached[first] - reached[second])
        places = np.flatnonzero(ahead)
        for low, high in pairwise(places):
            if ahead[low] != ahead[high]:
                pair = (first, second) if ahead[low] > 0 else (second, first)
                found.append(_crossing(spec, work, pair, (grid[high - 1], grid[high])))
    return sorted(found, key=lambda each: each.ops_per_byte)


def _crossing(spec: DuplexSpec, work: Work, pair: tuple[Unit, Unit], between: tuple[float, float]) -> Crossing:
    """Halve the interval until the place where the first of the pair is no longer faster is known."""
    below, above = pair
    low, high = between
    for _ in range(_HALVINGS):
        middle = float(np.sqrt(low * high))
        if seconds(spec, below, work, middle) <= seconds(spec, above, work, middle):
            low = middle
        else:
            high = middle
    return Crossing(below, above, high, float(rates(spec, work, high)[above]))


def operators_by_intensity(graphs: Mapping[tuple[str, int], OperatorGraph], groups: int = 1) -> pd.DataFrame:
    """Where the operators of steps stand: a row for each product of weights, attention, and expert that has tokens.

    `graphs` are steps by model and batch; tokens of dense products are divided over `groups` of devices that each have
    all dense weights. Columns: model, batch, operator, kind (`dense`, `experts`, `attention`), work, ops_per_byte (of
    weights, or of keys and values), and how many such there are in the step (`count`).
    ConfigError for attention with latent keys.
    """
    rows = [
        {"model": model, "batch": batch, "operator": op.name, "kind": kind, "work": work.value, "ops_per_byte": each,
         "count": segment.repeat}
        for (model, batch), graph in graphs.items()
        for segment in graph.segments
        for op in segment.block.operators
        for kind, work, intensities in _intensities(segment.block, op, groups)
        for each in intensities
    ]  # fmt: skip
    columns = ["model", "batch", "operator", "kind", "work", "ops_per_byte"]
    table = pd.DataFrame(rows, columns=[*columns, "count"])
    return table.groupby(columns, sort=False)["count"].sum().reset_index()


def _intensities(block: Block, op: Operator, groups: int) -> list[tuple[str, Work, list[float]]]:
    """Kind, work and operations per byte of an operator that reads weights or keys; nothing for others."""
    if op.kind is OpKind.MATMUL:
        x, w = (block.tensor(name) for name in op.inputs)
        return [("dense", Work.WEIGHTS, [2 * -(-x.rows // groups) * w.elements / w.bytes])]
    if op.kind is OpKind.GROUPED_MATMUL:
        ops_of_a_byte = 2 / (block.tensor(op.inputs[1]).bits / 8)
        return [("experts", Work.WEIGHTS, [rows * ops_of_a_byte for rows in op.group_rows if rows])]
    attention = op.attention
    if op.kind is OpKind.ATTENTION and attention is not None and all(each.new == 1 for each in attention.requests):
        return [("attention", Work.KEYS, [keys_ops_per_byte(block, op, attention)])]
    return []
