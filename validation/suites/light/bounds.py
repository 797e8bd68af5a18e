"""Speed of light of a run: times that no schedule of its work can beat, resource by resource, from peak rates alone.

Everything is in picoseconds. The bounds of a whole step hold for `total_ps`, repeats included; those of what was
simulated hold for the makespan of its trace; those of single transfers hold for each task of the plan.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from cairn.base.ticks import PS_PER_S
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram import request as dram
from cairn.hw_models.noc.routing import hops
from cairn.hw_models.noc.spec import PORTS_ALONE
from cairn.hw_models.server import FLAGS
from cairn.sim.mapping.by_tables import planes_of
from cairn.sim.plan.plan import COMPUTE, COMPUTE_COLUMNS, NO_QUEUE, Plan
from cairn.sim.record import RunRecord

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

OPS = COMPUTE_COLUMNS.index("ops")
SOURCE, DESTINATION, NOC_BYTES = 1, 2, 3
"""Columns of the network's requests (`REQUEST_COLUMNS` of hw_models/noc/spec.py)."""


def step_bounds(record: RunRecord) -> dict[str, float]:
    """Of the whole step: the graph's unique bytes at peak bandwidth, its matrix operations at the peak rates of matrix
    and of LUT units; where a chip has PIM units, of both sides together."""
    chip, totals = record.chip, record.graph.totals()
    looked_up, bit_operations = _by_lut(record)
    bounds = {
        "unique bytes at peak bandwidth": PS_PER_S
        * (totals["read_bytes"] + totals["written_bytes"]) / (chip.dram_bytes_per_s + chip.pim_bytes_per_s),
    }  # fmt: skip
    if chip.matrix_unit is not None:
        multiplied = totals["matrix_ops"] - looked_up
        bounds["matrix operations at peak rate"] = PS_PER_S * multiplied / (chip.peak_ops_per_s + chip.pim_ops_per_s)
    if chip.lut_unit is not None and chip.pim is None:
        bounds["looked-up operations at peak rate"] = PS_PER_S * bit_operations / chip.lut_bit_ops_per_s
    return bounds


def _by_lut(record: RunRecord) -> tuple[int, int]:
    """Matrix operations of the graph that LUT units do, and the same times the bit planes of their weights."""
    done = bits = 0
    for segment in record.graph.segments:
        for operator in segment.block.operators:
            planes = planes_of(record.chip, segment.block, operator) or 0
            done += segment.repeat * operator.matrix_ops * (planes > 0)
            bits += segment.repeat * operator.matrix_ops * planes
    return done, bits


def simulated_bounds(record: RunRecord) -> dict[str, float]:
    """Of the simulated part: the busiest channel, port and unit of what the plan moves and executes."""
    chip, plan = record.chip, record.plan
    requests = dict(zip(plan.servers, plan.requests, strict=True))
    network = chip.noc.clock(chip.clock)
    cycle_ps = network.num / network.den
    sent = requests["noc"]
    slot = chip.dram.slot_ticks(chip.channels)
    worked = requests["dram"][:, FLAGS] & dram.IS_PIM != 0
    moved, on_units = requests["dram"][~worked], requests["dram"][worked]
    bounds = {
        "bytes of a channel": _busiest(moved[:, dram.R_CHANNEL], moved[:, dram.R_BYTES])
        * float(slot) / chip.dram.burst_bytes,
        "bytes into the network at a core": _busiest(sent[:, SOURCE], sent[:, NOC_BYTES])
        / chip.noc.injection * cycle_ps,
        "bytes out of the network at a core": _busiest(sent[:, DESTINATION], sent[:, NOC_BYTES])
        / chip.noc.ejection * cycle_ps,
    }  # fmt: skip
    if chip.pim is not None:
        busiest = _busiest(on_units[:, dram.R_CHANNEL], on_units[:, dram.R_BYTES])
        bounds["bytes of a channel's PIM units"] = busiest * PS_PER_S * chip.channels / chip.pim_bytes_per_s
    rates = {"vector": chip.vector_unit.peak_ops_per_cycle}
    if chip.matrix_unit is not None:
        rates["matrix"] = 2 * chip.matrix_unit.peak_macs_per_cycle
    core_ps = chip.clock.num / chip.clock.den
    for unit, rate in rates.items():
        core, ops = _executed(plan, unit)
        bounds[f"operations of a {unit} unit"] = _busiest(core, ops) / rate * core_ps
    if chip.lut_unit is not None:
        core, ops = _executed(plan, "lut", _planes(record))
        bounds["look-ups of a LUT unit"] = _busiest(core, ops) / (2 * chip.lut_unit.lanes) * core_ps
    return bounds


def _planes(record: RunRecord) -> IntArray:
    """(operators + 1,) bit planes of the weights of each operator of the plan that LUT units do, else 1."""
    blocks = {segment.block.name: segment.block for segment in record.graph.segments}
    planes = [
        planes_of(record.chip, blocks[info.block], operator) or 1
        for info in record.operators
        for operator in blocks[info.block].operators
        if operator.name == info.name
    ]
    return np.array([*planes, 1], dtype=np.int64)


def _busiest(where: IntArray, amount: IntArray) -> float:
    """The greatest sum of `amount` at one place."""
    return float(np.bincount(where, weights=amount.astype(np.float64)).max(initial=0.0)) if where.size else 0.0


def _executed(plan: Plan, unit: str, each: IntArray | None = None) -> tuple[IntArray, IntArray]:
    """Core and operations of each described tile on units called `unit`, times `each` of its operator."""
    queue_unit = np.array([queue.unit == unit for queue in plan.queues] + [False])
    queue_core = np.array([queue.core for queue in plan.queues] + [0], dtype=np.int64)
    tasks = np.flatnonzero((plan.kind == COMPUTE) & (plan.row >= 0) & (plan.queue != NO_QUEUE))
    tasks = tasks[queue_unit[plan.queue[tasks]]]
    times = 1 if each is None else each[plan.op[tasks]]
    return queue_core[plan.queue[tasks]], plan.compute[plan.row[tasks], OPS] * times


def transfers_too_fast(record: RunRecord) -> int:
    """Tasks that a channel or the network served in less time than their bytes take alone.

    DRAM: column latency, then the bytes at the rate of the channel, or of its PIM units. Network: start, a cycle of the
    port, every hop, then the bytes through the narrowest of ports and links.
    """
    chip, plan, trace = record.chip, record.plan, record.trace
    count = 0
    for server, table in enumerate(plan.requests):
        tasks = np.flatnonzero(plan.server == server)
        least = (_dram_ps if plan.servers[server] == "dram" else _network_ps)(chip, table[plan.request[tasks]])
        count += int(np.count_nonzero(trace.end[tasks] - trace.start[tasks] < least))
    return count


def _dram_ps(chip: ChipSpec, table: IntArray) -> IntArray:
    slot = chip.dram.slot_ticks(chip.channels)
    per_byte = Fraction(slot, chip.dram.burst_bytes)
    rate = np.full(table.shape[0], per_byte.numerator / per_byte.denominator)
    if chip.pim is not None:
        rate[table[:, FLAGS] & dram.IS_PIM != 0] = PS_PER_S / (chip.pim_bytes_per_s / chip.channels)
    data = table[:, dram.R_BYTES] * rate
    least: IntArray = chip.dram.timing_ticks("t_cl") + np.floor(data * (1 - 1e-12)).astype(np.int64)
    return least


def _network_ps(chip: ChipSpec, table: IntArray) -> IntArray:
    noc, clock = chip.noc, chip.noc.clock(chip.clock)
    links = hops(noc, chip.cores.rows, chip.cores.columns, table[:, SOURCE], table[:, DESTINATION])
    width = min(noc.injection, noc.ejection, noc.link_bytes_per_cycle)
    if noc.topology in PORTS_ALONE:  # links are as wide as the port at least
        width = min(noc.injection, noc.ejection)
    cycles = noc.start + 1 + links * noc.hop_cycles + -(-table[:, NOC_BYTES] // width)
    least: IntArray = cycles * clock.num // clock.den
    return least
