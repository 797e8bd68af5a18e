"""What every task of a run was: which unit served it, for which operator, what it moved, how often it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cairn.hw_models.server import FLAGS, IS_WRITE
from cairn.sim.plan.plan import COMPUTE, COPY, COPY_COLUMNS, SRAM, Plan
from cairn.sim.record import RunRecord

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

DRAM_SERVER: Final = "dram"
NOC_SERVER: Final = "noc"
MATRIX: Final = "matrix"
VECTOR: Final = "vector"
PIM: Final = "pim"
"""Class of tasks that the PIM units of DRAM channels do; their unit is the channel."""
LUT: Final = "lut"
SYNC_CLASS: Final = "sync"
"""Class of tasks that hold no unit: neither a queue nor a server."""


_USED: Final = ("source_kind", "source", "destination_kind", "destination", "bytes", "cause")


@dataclass(frozen=True)
class TaskView:
    """Arrays over the n tasks of a plan, and the names that they index.

    classes     names of the unit classes: servers under their name, other tasks under the unit of their queue
    unit_class  (n,) index into `classes`
    unit        (n,) which unit of the class: the core of a queue, the DRAM channel, the core at the end of a NoC
                transfer whose port it holds (the sender, or the receiver of data that comes from a DRAM channel)
    weight      (n,) how many real tasks this one stands for
    bytes       (n,) bytes that a copy's task moves, 0 for others; `cause` its index into CAUSES, -1 for others
    is_dram, is_noc, is_write   (n,) served by DRAM or the network; writes to DRAM
    """

    classes: tuple[str, ...]
    unit_class: IntArray
    unit: IntArray
    weight: IntArray
    bytes: IntArray
    cause: IntArray
    is_dram: BoolArray
    is_noc: BoolArray
    is_write: BoolArray

    @classmethod
    def of(cls, record: RunRecord) -> TaskView:
        plan = record.plan
        classes, unit_class = _classify(plan)
        copied = np.flatnonzero((plan.kind == COPY) & (plan.row >= 0))
        copies = {name: plan.copies[plan.row[copied], COPY_COLUMNS.index(name)] for name in _USED}
        is_dram = unit_class == _index(classes, DRAM_SERVER)
        is_noc = unit_class == _index(classes, NOC_SERVER)
        unit = np.array([*(queue.core for queue in plan.queues), 0], dtype=np.int64)[plan.queue]
        unit[copied] = _unit_of_copies(copies, unit[copied], is_dram[copied], is_noc[copied])
        of_units = unit_class == _index(classes, PIM)
        unit[of_units] = record.chip.channel_of(unit[of_units])
        moved = np.zeros(plan.n_tasks, dtype=np.int64)
        moved[copied] = copies["bytes"]
        cause = np.full(plan.n_tasks, -1, dtype=np.int64)
        cause[copied] = copies["cause"]
        return cls(
            classes=classes,
            unit_class=unit_class,
            unit=unit,
            weight=weight_of_blocks(plan.block, record.block_weight),
            bytes=moved,
            cause=cause,
            is_dram=is_dram,
            is_noc=is_noc,
            is_write=_writes(plan, is_dram),
        )

    def of_class(self, name: str) -> IntArray:
        """Indices of the tasks of class `name`, ascending."""
        return np.flatnonzero(self.unit_class == _index(self.classes, name))


def weight_of_blocks(block: npt.NDArray[np.integer], weight: IntArray) -> IntArray:
    """`weight[block]`, and 1 for what belongs to no block (-1)."""
    weights: IntArray = np.append(weight, 1)[block]
    return weights


def tiles(plan: Plan) -> tuple[IntArray, IntArray]:
    """Tasks that compute a described tile, and their rows of the compute table."""
    computing = np.flatnonzero((plan.kind == COMPUTE) & (plan.row >= 0))
    return computing, plan.compute[plan.row[computing]]


def _index(names: tuple[str, ...], name: str) -> int:
    return names.index(name) if name in names else -1


class Classes(NamedTuple):
    """Names of classes of units, and which of them the tasks of each queue and server are of; the last queue and server
    are none (-1)."""

    names: tuple[str, ...]
    of_queue: IntArray
    of_server: IntArray
    by_units: BoolArray
    """Queues of units that work in a server: of the tasks that it serves, theirs are of their own class."""


def classes_of(plan: Plan) -> Classes:
    """All classes that a task may be of, in a fixed order."""
    units = [queue.unit for queue in plan.queues]
    names = tuple(dict.fromkeys([MATRIX, LUT, VECTOR, PIM, DRAM_SERVER, NOC_SERVER, *units, *plan.servers, SYNC_CLASS]))
    order = {name: index for index, name in enumerate(names)}
    of_queue = np.array([*(order[unit] for unit in units), order[SYNC_CLASS]], dtype=np.int64)
    of_server = np.array([*(order[name] for name in plan.servers), -1], dtype=np.int64)
    return Classes(names, of_queue, of_server, np.array([*(unit == PIM for unit in units), False]))


def _classify(plan: Plan) -> tuple[tuple[str, ...], IntArray]:
    """Class names (only those in use, in a fixed order) and the class of each task."""
    names, of_queue, of_server, by_units = classes_of(plan)
    served = of_server[plan.server]
    chosen = np.where((served >= 0) & ~by_units[plan.queue], served, of_queue[plan.queue])
    used = np.bincount(chosen, minlength=len(names)) > 0
    dense = np.cumsum(used) - 1
    kept = tuple(name for name, keep in zip(names, used, strict=True) if keep)
    return kept, dense[chosen].astype(np.int64)


def _unit_of_copies(copies: dict[str, IntArray], core: IntArray, is_dram: BoolArray, is_noc: BoolArray) -> IntArray:
    """Channel or port of each copy; the core of its queue when neither DRAM nor network serves it."""
    from_sram, to_sram = copies["source_kind"] == SRAM, copies["destination_kind"] == SRAM
    source, destination = copies["source"], copies["destination"]
    channel = np.where(from_sram, destination, source)
    port = np.where(from_sram | ~to_sram, source, destination)
    unit: IntArray = np.where(is_dram, channel, np.where(is_noc, port, core))
    return unit


def _writes(plan: Plan, is_dram: BoolArray) -> BoolArray:
    result = np.zeros(plan.n_tasks, dtype=np.bool_)
    for server, requests in enumerate(plan.requests):
        mine = np.flatnonzero(is_dram & (plan.server == server))
        if mine.size:
            result[mine] = (requests[plan.request[mine], FLAGS] & IS_WRITE) != 0
    return result
