"""What a LUT unit does with numbers: tables of sums of activations, and products looked up in them plane by plane.

A table of a group of K activations x_0 .. x_K-1 has 2^(K-1) entries: entry e is x_0 plus or minus each other x_j, minus
where bit j - 1 of e is set; the other half of all sums are their negatives (LUT Tensor Core, arXiv 2408.06003, sections
3.1 and 3.2). A weight w of b bits is (sum of 2^i s_i - 1) / 2 with signs s_i of the bits of w + 2^(b-1), so that a
product is half of what its planes look up, less half of the sum of x; a weight of one bit is its sign. Numbers are not
quantised (rule 4 of `numbers.py`).
"""

from __future__ import annotations

import math

import numpy as np

from cairn.base.errors import CairnError
from cairn.sim.plan.numbers_machine import Effect, Job, Machine
from cairn.sim.plan.numbers_memory import Numbers
from cairn.workloads.graph import OpKind


def precompute(machine: Machine, job: Job) -> Effect:
    """Tables of x[m, n], a group of k1 columns each, the last one filled up with zeros."""
    x = machine.source(job.instance, job.operator, job.operator.inputs[0])
    group, values = job.k[1], machine.need(job.core, x, 0, job.rect, job.task)
    name, entries = _tables_of(machine, job), 1 << (group - 1)
    signs = 1 - 2 * (np.arange(entries)[:, None] >> np.arange(group - 1) & 1)
    made = []
    for begin in range(*job.n, group):
        part = values[:, begin - job.n[0] : begin - job.n[0] + group]
        part = np.pad(part, ((0, 0), (0, group - part.shape[1])))
        made.append((begin, part[:, :1] + part[:, 1:] @ signs.T))

    def end() -> None:
        machine.table_groups[name] = group
        for begin, table in made:
            machine.put(job.core, name, 0, (*job.m, begin * entries, (begin + 1) * entries), table)

    return end


def lookup(machine: Machine, job: Job) -> Effect:
    """Adds x w to what the core has of y, without x: it is looked up in tables that must be there."""
    operator, block = job.operator, job.instance.block
    x_name, w_name = operator.inputs
    weight, y = block.tensor(w_name), machine.key(job.instance, operator.outputs[0])
    k_at = n_at = passed = 0
    if operator.kind is OpKind.HEAD_MATMUL:
        k_at = job.group * (block.tensor(x_name).columns // weight.groups)
        n_at = job.group * (block.tensor(operator.outputs[0]).columns // weight.groups)
        passed = block.tensor(x_name).columns // weight.groups - weight.rows
    (m0, m1), (n0, n1), (k0, k1) = job.m, job.n, job.k
    w = machine.need(job.core, machine.key(job.instance, w_name), job.group, (k0, k1, n0, n1), job.task)
    product = _looked_up(machine, job, k_at + k0, w, math.ceil(weight.bits))
    target = (m0, m1, n_at + n0, n_at + n1)
    rest = None
    if passed and n1 == weight.columns and k1 == weight.rows:  # the rest of the head goes on behind y's own columns
        x = machine.source(job.instance, operator, x_name)
        rest = machine.need(job.core, x, 0, (m0, m1, k_at + k1, k_at + k1 + passed), job.task)

    def end() -> None:
        machine.put(job.core, y, 0, target, np.nan_to_num(machine.look(job.core, y, 0, target)) + product)
        if rest is not None:
            machine.put(job.core, y, 0, (m0, m1, n_at + n1, n_at + n1 + passed), rest)

    return end


def _tables_of(machine: Machine, job: Job) -> str:
    x = machine.source(job.instance, job.operator, job.operator.inputs[0])
    return f"tables of {job.instance.number}/{machine.title(x)}"


def _looked_up(machine: Machine, job: Job, first: int, w: Numbers, bits: int) -> Numbers:
    """The product of the tile, whose x begins at column `first`: group after group of w, plane after plane."""
    name = _tables_of(machine, job)
    group = machine.table_groups.get(name)
    if group is None:
        raise CairnError(f"core {job.core} has no {name} when task {job.task} looks them up")
    planes = _planes(w, bits, job)
    entries, total = 1 << (group - 1), np.zeros((job.m[1] - job.m[0], w.shape[1]))
    for begin in range(0, w.shape[0], group):
        at = (first + begin) * entries
        table = machine.need(job.core, name, 0, (*job.m, at, at + entries), job.task)
        for plane, signs in enumerate(planes):
            part = signs[begin : begin + group]
            flipped = part[1:] * part[:1] < 0
            entry = (flipped << np.arange(len(flipped))[:, None]).sum(axis=0)
            total += (1 << plane) * part[0] * table[:, entry]
        if bits > 1:
            total -= table[:, [0]]
    return total / 2 if bits > 1 else total


def _planes(w: Numbers, bits: int, job: Job) -> list[Numbers]:
    """Signs (k, n) of each plane; CairnError for weights that are not whole numbers of so many bits (one: a sign)."""
    low, high = (-1, 1) if bits == 1 else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    whole = (w == np.rint(w)) & (w >= low) & (w <= high) & ((w != 0) | (bits > 1))
    if not whole.all():
        raise CairnError(
            f"task {job.task} of {job.operator.name} looks up a weight of {w[~whole][0]:g}: weights of {bits} bits are "
            + ("-1 and 1" if bits == 1 else f"whole numbers from {low} to {high}")
        )
    code = w.astype(np.int64) + (1 if bits == 1 else 1 << (bits - 1))
    if bits == 1:
        code //= 2
    return [(2 * (code >> plane & 1) - 1).astype(np.float64) for plane in range(bits)]
