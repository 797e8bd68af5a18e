"""LUT arrays clocked cycle by cycle on whole numbers: small, slow, and the judge of `cycle.py`.

Nothing here knows a formula. Work is dealt out by the rules L2 and L3 of `cycle.py`; in every cycle each array reads
its tables with the bits of one plane, sums that are complete move through `fill_cycles` registers and a tree that adds
two and two in a cycle, and the clock runs until the last one has come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cairn.hw_models.compute.lut.spec import LutSpec

Matrix = Sequence[Sequence[int]]
Sums = list[list[int]]


@dataclass
class Share:
    """What one array does in a round: a block of the product and the groups of k that it adds up; its sums."""

    row: int
    column: int
    groups: Sequence[int]
    sums: Sums = field(default_factory=list)


@dataclass
class Leaving:
    """Sums of one block on their way out: registers still to pass, then partial sums that the tree has not added."""

    row: int
    column: int
    registers: int
    parts: list[Sums]


@dataclass
class Clocked:
    """The product, the cycles until its last sum had left, and what was counted on the way."""

    product: list[list[int]]
    cycles: int = 0
    table_bits: float = 0.0
    weight_bits: int = 0


def multiply(spec: LutSpec, a: Matrix, w: Matrix, planes: int) -> Clocked:
    """The product of `a` (m x k) and `w` (k x n: odd numbers from -(2^planes - 1) to 2^planes - 1)."""
    clocked = Clocked([[0] * len(w[0]) for _ in a])
    leaving: list[Leaving] = []
    for shares in _rounds(spec, len(a), len(w[0]), len(w)):
        for share in shares:
            share.sums = [[0] * spec.n for _ in range(spec.m)]
        for step in range(max(len(share.groups) for share in shares)):
            at_work = [share for share in shares if step < len(share.groups)]
            asked = {(share.row, share.groups[step]) for share in at_work}  # shared where they are the same (L2)
            tables = {key: [_table(spec, a, key[0] + i, key[1]) for i in range(spec.m)] for key in asked}
            read = [table for rows in tables.values() for table in rows]
            clocked.table_bits += sum(len(table) * spec.table_bits + spec.scale_bits for table in read)
            for plane in range(planes):
                for share in at_work:
                    group = share.groups[step]
                    _look_up(spec, share, tables[share.row, group], group, w, planes, plane)
                    clocked.weight_bits += spec.k * spec.n
                _move_on(clocked, leaving)
                clocked.cycles += 1
            for _ in range(planes, spec.least_planes):  # scale units are still busy with other look-ups (L6)
                _move_on(clocked, leaving)
                clocked.cycles += 1
        leaving += _complete(spec, shares)
        _write_out(clocked, leaving)
    while leaving:
        _move_on(clocked, leaving)
        clocked.cycles += 1
        _write_out(clocked, leaving)
    return clocked


def _rounds(spec: LutSpec, rows: int, columns: int, depth: int) -> Iterator[list[Share]]:
    """Rounds of column blocks side by side (L2); where arrays are left over, blocks are divided along k (L3)."""
    groups = range(-(-depth // spec.k))
    for row in range(0, rows, spec.m):
        waiting = list(range(0, columns, spec.n))
        while waiting:
            now, waiting = waiting[: spec.arrays], waiting[spec.arrays :]
            width = -(-len(groups) // (spec.arrays // len(now)))
            yield [Share(row, column, groups[i : i + width]) for column in now for i in range(0, len(groups), width)]


def _table(spec: LutSpec, a: Matrix, row: int, group: int) -> list[int]:
    """Entry e: the group's first activation plus each other one, or minus it where its bit of e is 0."""
    values = [a[row][p] if row < len(a) and p < len(a[0]) else 0 for p in range(group * spec.k, (group + 1) * spec.k)]
    return [
        values[0] + sum(value if entry >> i & 1 else -value for i, value in enumerate(values[1:]))
        for entry in range(1 << (spec.k - 1))
    ]


def _look_up(
    spec: LutSpec, share: Share, tables: list[list[int]], group: int, w: Matrix, planes: int, plane: int
) -> None:
    """One plane of one group: every unit of the array reads, negates, shifts and adds (L1)."""
    for j in range(spec.n):
        bits = [_bit(w, group * spec.k + p, share.column + j, planes, plane) for p in range(spec.k)]
        positive = bits[0]
        index = sum((bit if positive else 1 - bit) << i for i, bit in enumerate(bits[1:]))
        for i in range(spec.m):
            value = tables[i][index] if positive else -tables[i][index]
            share.sums[i][j] += value << plane


def _bit(w: Matrix, p: int, column: int, planes: int, plane: int) -> int:
    """Bit `plane` of the weight q, where w = 2 q - (2^planes - 1); of padding, any."""
    if p >= len(w) or column >= len(w[0]):
        return 0
    return (w[p][column] + (1 << planes) - 1) // 2 >> plane & 1


def _complete(spec: LutSpec, shares: list[Share]) -> list[Leaving]:
    """The blocks of a finished round, each with the partial sums of all arrays that had a share of it."""
    blocks: dict[tuple[int, int], list[Sums]] = {}
    for share in shares:
        blocks.setdefault((share.row, share.column), []).append(share.sums)
    return [Leaving(row, column, spec.fill_cycles, parts) for (row, column), parts in blocks.items()]


def _move_on(clocked: Clocked, leaving: list[Leaving]) -> None:
    """One cycle for what is on its way out: a register passed, or one level of the tree."""
    for one in leaving:
        if one.registers:
            one.registers -= 1
        else:
            pairs = [one.parts[i : i + 2] for i in range(0, len(one.parts), 2)]
            one.parts = [_add(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    _write_out(clocked, leaving)


def _add(x: Sums, y: Sums) -> Sums:
    return [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(x, y, strict=True)]


def _write_out(clocked: Clocked, leaving: list[Leaving]) -> None:
    """What has passed all registers and the tree is written, where it is not padding."""
    for one in [one for one in leaving if not one.registers and len(one.parts) == 1]:
        leaving.remove(one)
        for i, sums in enumerate(one.parts[0]):
            for j, value in enumerate(sums):
                if one.row + i < len(clocked.product) and one.column + j < len(clocked.product[0]):
                    clocked.product[one.row + i][one.column + j] = value
