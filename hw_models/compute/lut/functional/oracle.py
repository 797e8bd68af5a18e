"""The judge of products by look-up: the definition in fractions, and rules L1 to L8 one by one. It shares no code.

Rows are lists of Python numbers; integers are exact, floats are Python's, of 64 bits, or rounded to 32 bits after every
sum.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

Number = int | float
Rows = Sequence[Sequence[Number]]


@dataclass(frozen=True)
class Problem:
    """Weights (rows of codes, scales and zero points) and rows of activations, as plain lists."""

    codes: Sequence[Sequence[int]]
    bits: int
    scales: Rows
    zeros: Rows
    group_size: int
    activations: Rows
    row_scales: Sequence[float]


@dataclass
class Counts:
    """What the unit did, counted one by one."""

    tables: int = 0
    additions: int = 0
    look_ups: int = 0
    entries: set[int] = field(default_factory=set)


def definition(problem: Problem) -> list[list[Fraction]]:
    """sum over k of a s (q - z) times the row's scale, exactly."""
    result = []
    for row, factor in zip(problem.activations, problem.row_scales, strict=True):
        line = []
        for codes, scales, zeros in zip(problem.codes, problem.scales, problem.zeros, strict=True):
            total = Fraction(0)
            for k, (a, q) in enumerate(zip(row, codes, strict=True)):
                group = k // problem.group_size
                total += Fraction(a) * Fraction(scales[group]) * (q - Fraction(zeros[group]))
            line.append(total * Fraction(factor))
        result.append(line)
    return result


def by_look_up(
    problem: Problem, group: int, *, single: bool = False, int8: bool = False, half: bool = False
) -> tuple[list[list[float]], Counts]:
    """The product as the unit forms it, and its counts; `single`: sums of floats are rounded to 32 bits.

    `int8` and `half`: entries of tables are kept as integers with a step, or in 16-bit floats (L7).
    """
    rounded = _to_single if single else _as_it_is
    counts = Counts()
    result = []
    for row, factor in zip(problem.activations, problem.row_scales, strict=True):
        parts = [list(row[i : i + group]) for i in range(0, len(row), group)]
        parts[-1] += [0] * (group - len(parts[-1]))  # L3
        tables, steps = [_table(part, rounded, counts) for part in parts], None
        if half:
            tables = [{i: _to_half(value) for i, value in table.items()} for table in tables]
        if int8:
            tables, steps = _quantised(tables, rounded)
        unit = _Unit(row, group, tables, steps, rounded, counts)
        result.append([_one(problem, n, unit) * factor for n in range(len(problem.codes))])
    return result, counts


@dataclass(frozen=True)
class _Unit:
    """A row of activations, its tables and their steps, how sums are rounded, and what is counted."""

    row: Sequence[Number]
    group: int
    tables: list[dict[int, Number]]
    steps: list[float] | None
    rounded: Callable[[Number], Number]
    counts: Counts


def _one(problem: Problem, n: int, unit: _Unit) -> float:
    """One result (L6, L7, L8)."""
    y = 0.0
    size, depth = problem.group_size, len(unit.row)
    for g, first in enumerate(range(0, depth, size)):
        acc: Number = 0
        for start in range(first, min(first + size, depth), unit.group):
            entries = _entries(problem.codes[n], problem.bits, start, unit)
            if unit.steps is None:
                for plane, entry in enumerate(entries):
                    acc = unit.rounded(acc + 2**plane * entry)  # L6
            else:
                inner = sum(2**plane * entry for plane, entry in enumerate(entries))
                acc = unit.rounded(acc + unit.rounded(unit.steps[start // unit.group] * inner))  # L7
        sums = float(sum(unit.row[first : first + size]))
        remapped_zero = 2 * problem.zeros[n][g] + 1 - 2**problem.bits  # L2
        y += problem.scales[n][g] / 2 * (acc - remapped_zero * sums)  # L8
    return y


def _entries(codes: Sequence[int], bits: int, start: int, unit: _Unit) -> list[Number]:
    """What is looked up for the group of weights that begins at `start`, plane by plane (L2, L5)."""
    entries = []
    for plane in range(bits):
        inside = range(start, start + unit.group)
        plus = [codes[k] >> plane & 1 if k < len(codes) else 0 for k in inside]  # L3: any sign meets zeros
        entries.append(_looked_up(unit.tables[start // unit.group], plus, unit.counts))
    return entries


def _looked_up(table: dict[int, Number], plus: list[int], counts: Counts) -> Number:
    counts.look_ups += 1
    negative = plus[-1] == 1
    low = [1 - one if negative else one for one in plus[:-1]]
    index = sum(one << j for j, one in enumerate(low))
    counts.entries.add(index)
    return -table[index] if negative else table[index]


def _table(part: Sequence[Number], rounded: Callable[[Number], Number], counts: Counts) -> dict[int, Number]:
    """L4: entries by index, sums of two halves that are each formed once."""
    counts.tables += 1
    low = len(part) // 2
    known: dict[tuple[int, int], Number] = {}

    def half(first: int, last: int, bits: int) -> Number:
        if (first, bits) not in known:
            total: Number = part[first] if bits & 1 else -part[first]
            for j in range(first + 1, last):
                total = rounded(total + part[j] if bits >> (j - first) & 1 else total - part[j])
                counts.additions += 1
            known[first, bits] = total
        return known[first, bits]

    table = {}
    for entry in range(2 ** (len(part) - 1)):
        value = half(low, len(part), entry >> low)
        if low:
            value = rounded(value + half(0, low, entry & ((1 << low) - 1)))
            counts.additions += 1
        table[entry] = value
    return table


def _quantised(
    tables: list[dict[int, Number]], rounded: Callable[[Number], Number]
) -> tuple[list[dict[int, Number]], list[float]]:
    """L7; Python's `round` takes ties to even."""
    steps = []
    for table in tables:
        largest = max(abs(value) for value in table.values())
        steps.append(float(rounded(largest / 127)) if largest else 1.0)
    return [{i: round(v / t) for i, v in table.items()} for table, t in zip(tables, steps, strict=True)], steps


def _to_single(value: Number) -> Number:
    if isinstance(value, int):
        return value
    single: float = struct.unpack("f", struct.pack("f", value))[0]
    return single


def _to_half(value: Number) -> Number:
    half: float = struct.unpack("e", struct.pack("e", value))[0]
    return half


def _as_it_is(value: Number) -> Number:
    return value
