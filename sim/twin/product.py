"""Stages of matrix products: gathering x, tiles of weights against compute, partial sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.lut.spec import weight_planes
from cairn.hw_models.compute.lut.sram import lookups_of
from cairn.sim.mapping.choose import NO_SPLIT, Choice, arrangement_loads
from cairn.sim.mapping.cost_kernel import overlapped
from cairn.sim.mapping.different import different
from cairn.sim.mapping.grid import split_sizes
from cairn.sim.mapping.matmul_cost import MatmulShape
from cairn.sim.twin.layout import Moves, Operand
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.places import Layouts
from cairn.sim.twin.stage import Counts, Stage
from cairn.sim.twin.tables import tables_of
from cairn.sim.twin.traffic import group_reach, ring_loads, ring_ways

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def product_stage(
    name: str, machine: Machine, shape: MatmulShape, choice: Choice, before: IntArray, x: Layouts, again: BoolArray
) -> Stage:  # fmt: skip
    """A product as `choice` splits it; `before` (designs,) is the split that left x, NO_SPLIT where none did, and `x`
    says how it lies. Where it comes `again` to tables that a product before it has made, x is not brought.
    """
    gm, gn, gk = split_sizes(machine.grid.rows, machine.grid.columns)[choice.split].T
    m, n, k = -(-shape.m // gm), -(-shape.n // gn), shape.depth(gk)
    rows = -(-m // choice.passes)
    part = rows * k * shape.x_bits / 8 / gn * ~again  # of the rows of a pass
    compute, touched, lookups = _tiles(machine, shape, choice, rows, n, k)
    weights = k * n * shape.w_bits / 8 * choice.passes
    relayed = weights * (choice.sharers - 1) / choice.sharers
    sums = rows * n * choice.passes * shape.partial_bits / 8 * (gk - 1) / gk
    flows = Flows(part, relayed, sums, rows * n / gk / choice.reductions)
    network = (unicasts if machine.spmd else rings)(machine, shape, choice, before, x, flows).without_x(again)
    tables = tables_of(machine, shape, choice, rows, k, again)
    compute, network = np.maximum(compute, tables.later), tables.after(network)
    work, slack, first = _together(machine, choice, compute, network)
    share = 1 - 1 / x.stretches(machine)
    loads = -(-n // choice.tile_n) * -(-k // choice.sharers // choice.tile_k) * choice.passes
    copies = gm // choice.sharers
    moved = network.brought + machine.cores * (part * (gn - 1) * choice.passes * (not machine.spmd) + sums + relayed)
    loaded = shape.n * shape.k * shape.w_bits / 8 * choice.passes * copies
    added = machine.cores * sums * 8 / shape.partial_bits
    macs, looked_up = float(shape.m) * shape.n * shape.k, shape.tables is not None
    touched = machine.cores * touched + tables.sram_bytes
    counts = Counts(
        macs=macs * (not looked_up),
        lut_macs=macs * looked_up,
        lut_lookups=machine.cores * lookups,
        lut_groups=machine.cores * lookups / (weight_planes(shape.w_bits) if looked_up else 1),
        table_adds=tables.adds,
        vector_ops=added,
        sram_bytes=touched + loaded + 2 * moved + added * shape.partial_bits / 8 * 2,
        noc_bytes=moved,
        dram_bytes=loaded,
    )
    tail = network.last + machine.barrier_cycles
    streamed = weights / choice.sharers
    depth = machine.chip.dma.load_depth
    return Stage(
        name, first * (1 - share), work, tail, streamed, counts, 0.0, first * share, slack,
        streamed / loads * (depth - 1) / 2, work * np.minimum(1.0, (depth + 1) / 2 / loads), space_bytes=weights,
    )  # fmt: skip


def _together(
    machine: Machine, choice: Choice, compute: FloatArray, network: Network
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cycles of a product's work, those of them after its first stretch in which its network is idle, and its lead.

    Tiles, weights and sums wait for each other from tile to tile; x of a pass has all of the pass before it to come.
    Where everyone is sent what it needs, cores begin evenly spread over the time in which x comes, on average half of
    it before the last. The sums that they send meanwhile, half of all at most, delay on the links that both use what
    the last still wait for; and each message of x finds a packet of sums before it on the port, if they are many.
    """
    if machine.spmd:
        ahead = network.beside / 2 / np.maximum(compute, 1.0)  # sums sent in a cycle of gathering
        shared = np.minimum(network.beside / 2, network.first * ahead / np.maximum(1 - ahead, 1e-9))
        behind = np.minimum(network.beside, network.behind * np.minimum(1, 2 * ahead))
        come = network.first + np.maximum(shared, behind)
        left = np.maximum(0.0, network.beside - (come - network.first))
        return np.maximum(overlapped(compute, left), network.gathering), 0.0 * compute, come
    work = np.maximum(overlapped(compute, network.beside), network.gathering)
    after = 1 - 1 / (choice.reductions * choice.passes)
    return work, np.maximum(0.0, work - network.busy) * after, network.first


@dataclass(frozen=True)
class Flows:
    """What a core sends for a product: bytes of its part of x in a pass, of weights, of partial sums, and elements of
    one part of the sums of a stretch; arrays (designs,)."""

    part: FloatArray
    relayed: FloatArray
    sums: FloatArray
    elements: FloatArray


@dataclass(frozen=True)
class Network:
    """Cycles of the network for a product, arrays (designs,): before its first tile; beside its tiles (weights, sums,
    x of later passes); after the last; and the bytes that bring x from where it was made."""

    first: FloatArray
    beside: FloatArray
    gathering: FloatArray
    last: FloatArray
    busy: FloatArray
    """Cycles in which the busiest link or port is used beside the tiles."""
    behind: FloatArray
    """Cycles in which the messages of a core that bring x each wait for one packet of partial sums."""
    brought: FloatArray

    def without_x(self, there: BoolArray) -> Network:
        """The same where x need not be brought on the designs `there`."""
        if not there.any():
            return self
        names = ("first", "gathering", "behind", "brought")
        return replace(self, **{name: getattr(self, name) * ~there for name in names})


def rings(
    machine: Machine, shape: MatmulShape, choice: Choice, before: IntArray, x: Layouts, flows: Flows
) -> Network:  # fmt: skip
    """Parts go round rings (compute-shift)."""
    _, gn, gk = split_sizes(machine.grid.rows, machine.grid.columns)[choice.split].T
    bring, brought = _bring(machine, shape, choice, before, x)
    ways = _ways(machine, choice)
    gather = _gather(machine, ways[0], flows.part, gn)
    stretch = _stretch(machine, shape, ways[2], flows.elements, gk)
    later = flows.part * (gn - 1) * (choice.passes - 1)
    crossing, beside_gather, beside_sums = _crossing(machine, choice, later, flows.relayed, flows.sums)
    reducing = ring_cycles(stretch, choice.reductions * choice.passes, gk, beside_sums)
    gathering = ring_cycles(Turn(gather.fixed + bring, gather.sent), choice.passes - 1, gn, beside_gather)
    return Network(
        bring + gather.fixed + gather.sent, np.maximum(reducing, crossing), gathering, stretch.fixed + stretch.sent,
        crossing, 0.0 * bring, brought,
    )  # fmt: skip


def unicasts(
    machine: Machine, shape: MatmulShape, choice: Choice, before: IntArray, x: Layouts, flows: Flows
) -> Network:  # fmt: skip
    """Everyone is sent what it needs by those that have it (SPMD)."""
    _, gn, gk = split_sizes(machine.grid.rows, machine.grid.columns)[choice.split].T
    bring, moves = _brought(machine, shape, choice, x)
    later = flows.part * (gn - 1) * (choice.passes - 1)
    crossing, _, _ = _crossing(machine, choice, later, flows.relayed, flows.sums)
    size = flows.elements * shape.partial_bits / 8
    added = machine.vector_cycles(flows.elements, "reduce_add")
    nothing = np.zeros(machine.designs)
    _, _, across = _crossing(machine, choice, nothing, nothing, size * (gk - 1), of_sums=True)
    latency = machine.message_cycles(0.0, _reach(machine, choice))
    in_all = choice.reductions * choice.passes
    last = np.where(gk > 1, latency + np.maximum(across, (gk - 2) * added) + added, 0.0)
    reducing = np.where(gk > 1, in_all * (gk - 1) * added, 0.0)
    return Network(
        bring, np.maximum(reducing, crossing), bring * (choice.passes - 1), last, crossing,
        moves.messages * np.minimum(size, machine.chip.noc.max_packet_bytes) / machine.port, moves.sent * choice.passes,
    )  # fmt: skip


def _reach(machine: Machine, choice: Choice) -> FloatArray:
    """Links of the longest way within the k group of each design."""
    grid = machine.grid
    longest = np.zeros(machine.designs)
    for row, pick in _alike(choice.split):
        longest[pick] = group_reach(machine.topology, grid, choice.splits[choice.split[row]])
    return longest


@dataclass(frozen=True)
class Turn:
    """A message that goes once round a ring, in cycles (designs,): what it takes whatever its size, and its bytes."""

    fixed: FloatArray
    sent: FloatArray


def ring_cycles(turn: Turn, times: Any, members: IntArray, others: FloatArray) -> FloatArray:
    """Cycles of `times` messages round a ring of `members`, one after the other, beside other traffic that keeps the
    same links busy for `others` cycles, spread over the same time.

    A message that shares a link evenly with traffic of utilisation u is on its way 1 / (1 - u) times as long as alone
    (processor sharing), the excess being random. On a ring each step waits for the one before it and for the member's
    own last step: of exponential delays such a closed ring passes members / (2 members - 1) as many (Gordon and Newell
    1967). So the excess counts g = 2 - 1 / members times, and T = fixed + sent (1 + g u / (1 - u)) with u = others / T
    is a quadratic equation in T.
    """
    fixed, sent = turn.fixed * times, turn.sent * times
    half = (fixed + sent + others) / 2
    excess = sent * (2 - 1 / np.maximum(1, members))
    root = half + np.sqrt(np.maximum(0.0, half * half - others * (fixed + sent - excess)))
    return np.where(fixed + sent > 0, root, 0.0)


def _crossing(
    machine: Machine, choice: Choice, gathered: FloatArray, relayed: FloatArray, sums: FloatArray,
    of_sums: bool = False,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cycles of the busiest link or port with the bytes that a core sends on each of its three rings, and cycles of
    what the links of the first and of the last ring carry beside it.
    """
    busiest, beside_first, beside_last = np.zeros((3, machine.designs))
    widths, ports = machine.ports
    for row, pick in _alike(choice.split, choice.sharers, widths):
        split, sharers = choice.splits[choice.split[row]], int(choice.sharers[row])
        loads = ring_loads(machine.topology, machine.grid, split, sharers, machine.spmd, ports[widths[row]])
        sent = np.stack([gathered[pick], relayed[pick], sums[pick]], axis=1)
        busiest[pick] = (sent @ loads).max(axis=1)
        first, last = loads[:, loads[0] > 0], loads[:, loads[2] > 0]
        beside_first[pick] = (sent[:, 1:] @ first[1:]).max(axis=1, initial=0.0)
        others = slice(2, 3) if of_sums else slice(0, 2)
        beside_last[pick] = (sent[:, others] @ last[others]).max(axis=1, initial=0.0)
    link = machine.link
    return busiest / link, beside_first / link, beside_last / link


def _alike(*columns: IntArray) -> list[tuple[int, IntArray]]:
    """Different rows of columns: where the first of each sort stands, and all of them."""
    number, first = different(*columns)
    members = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    return list(zip(first.tolist(), members, strict=True))


def _bring(
    machine: Machine, shape: MatmulShape, choice: Choice, before: IntArray, x: Layouts
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Cycles in which every core is brought its part of x from where it was made, and the bytes that move: none where
    `before` left every part inside the block that it is a part of."""
    load = np.zeros(machine.designs)
    known = before != NO_SPLIT
    load[known] = arrangement_loads(
        machine.topology, machine.grid, choice.splits, before[known], choice.split[known]
    )
    bring, sent = np.zeros((2, machine.designs))
    away = np.flatnonzero(~known | (load > 0))
    if away.size:
        bring[away], moves = _brought(machine.at(away), shape, choice.at(away), x.at(away))
        sent[away] = moves.sent
    return bring, sent


def _brought(machine: Machine, shape: MatmulShape, choice: Choice, x: Layouts) -> tuple[FloatArray, Moves]:
    """Cycles in which the cores are brought the rows of a pass from where they lie, in one piece each or in parts that
    a ring passes on; and what moves."""
    gn = split_sizes(machine.grid.rows, machine.grid.columns)[choice.split][:, 1]

    def want(design: int) -> Operand:
        split = choice.splits[choice.split[design]]
        parts = not machine.spmd and bool(gn[design] > 1)
        return Operand(split, shape.m, shape.k, int(choice.passes[design]), parts, shape.k_quantum)

    moves = x.moves(machine, shape.x_bits, want, choice.split, choice.passes)
    scattered = machine.scatter_cycles(shape.m * shape.k * shape.x_bits / 8 / choice.passes)
    return machine.array(np.where(x.known, machine.batch_cycles(moves), scattered)), moves


def _gather(machine: Machine, way: FloatArray, part: FloatArray, gn: IntArray) -> Turn:
    """The parts of x passed round a ring, until every core has all of its block."""
    load, length = way
    step = machine.message_cycles(0.0, length / gn) + machine.issue_cycles
    return Turn(machine.array((gn - 1) * step), machine.array((gn - 1) * part * load / machine.link))


def _tiles(
    machine: Machine, shape: MatmulShape, choice: Choice, rows: IntArray, n: IntArray, k: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cycles of the product's unit for all weight tiles of a core, whole ones and what is left of each block; the bytes
    that it moves from and to SRAM, and how often a LUT unit looks up.
    """
    groups = -(-k // shape.k_quantum)
    block_k = -(-groups // choice.sharers) * shape.k_quantum
    bits = shape.x_bits, shape.w_bits, shape.partial_bits
    by_lut, lut = shape.tables is not None, machine.chip.lut_unit
    cycles: Any = 0.0
    touched: Any = 0.0
    lookups: Any = 0.0
    for width, columns in ((choice.tile_n, n // choice.tile_n), (n % choice.tile_n, (n % choice.tile_n > 0) * 1)):
        for depth, parts in (
            (choice.tile_k, block_k // choice.tile_k), (block_k % choice.tile_k, (block_k % choice.tile_k > 0) * 1)
        ):  # fmt: skip
            tiles = columns * parts * choice.sharers * choice.passes
            took = machine.chip.matrix_cycles(rows, width, depth, *bits, weights=by_lut)
            cycles = cycles + tiles * (took + machine.issue_cycles)
            touched = touched + tiles * machine.matrix_bytes(rows, width, depth, bits, by_lut)
            if by_lut:
                lookups = lookups + tiles * lookups_of(lut, rows, width, depth, shape.w_bits)
    return machine.array(cycles), machine.array(touched), machine.array(lookups)


def _stretch(
    machine: Machine, shape: MatmulShape, way: FloatArray, elements: FloatArray, gk: IntArray
) -> Turn:  # fmt: skip
    """The partial sums of one stretch of columns, once round the ring, growing at each core."""
    load, length = way
    step = machine.message_cycles(0.0, length / gk) + machine.vector_cycles(elements, "reduce_add")
    sent = (gk - 1) * elements * shape.partial_bits / 8 * load / machine.link
    return Turn(machine.array((gk - 1) * step), machine.array(sent))


def _ways(machine: Machine, choice: Choice) -> FloatArray:
    """(3, 2, designs): of the rings of n, m and k, messages on the busiest link when every core sends one to its
    neighbour, and the links of the longest ring.
    """
    widths, ports = machine.ports
    number, first = different(choice.split, widths)
    found = np.array([
        ring_ways(machine.topology, machine.grid, choice.splits[choice.split[row]], ports[widths[row]])
        for row in first.tolist()
    ])  # fmt: skip
    return np.asarray(found[number].transpose(1, 2, 0))
