"""A stage of a step: what one operator does between the moment its inputs are there and the moment its result is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

LEAD: Final = 0
WORK: Final = 1
TAIL: Final = 2
STREAMED: Final = 3
WRITTEN: Final = 4
EARLY: Final = 5
SLACK: Final = 6
LAG: Final = 7
LAST: Final = 8
ALONE: Final = 9
SPACE: Final = 10
STORING: Final = 11
CHASED: Final = 12


@dataclass(frozen=True)
class Counts:
    """Events of a stage, all cores together: what energy is counted on. Numbers or arrays (designs,)."""

    macs: Any = 0.0
    vector_ops: Any = 0.0
    sram_bytes: Any = 0.0
    noc_bytes: Any = 0.0
    dram_bytes: Any = 0.0
    lut_macs: Any = 0.0
    lut_lookups: Any = 0.0
    lut_groups: Any = 0.0
    table_adds: Any = 0.0
    pim_macs: Any = 0.0
    pim_bytes: Any = 0.0
    row_bytes: Any = 0.0
    """Bytes of the rows that PIM units open, less bytes of `dram_bytes` that open none: those of buffers."""


COUNTED: Final = tuple(each.name for each in fields(Counts))


@dataclass(frozen=True)
class Stage:
    """An operator on the busiest core, in core cycles; numbers or arrays (designs,).

    `lead` passes before the stage uses what streams from DRAM; during `work` it uses `streamed_bytes` at an even pace,
    if they are there; `tail` passes after that. What is streamed is read back where `written_bytes` are written first:
    these come in the last `storing` cycles of the lead, what DRAM does not need for them it reads at once, and nothing
    comes earlier.

    `early` is what of the lead may pass while the stage before is at work, whose network is idle for `slack` cycles
    after its first results are there. Loads that are under way together share the DRAM: with the last of this stage
    come `lag_bytes` of others, and `last` cycles of the work are left when it is there. Behind the lead pass `alone`
    cycles in which PIM units have the whole channel, so that nothing streams.

    `space_bytes` of the stream buffer are given, one after the other, to what comes for the stage: more than
    `streamed_bytes` where a core also takes tiles that others have loaded, or less than the largest tile of a step.
    None: as many.

    Cores that read the same tiles one after the other wait for each other at the first one and go on in a chain: a
    stage does not end before `chased_bytes` less the stream buffer have come. They are what the first step asks of a
    channel, and the tiles of all steps.
    """

    name: str
    lead: Any = 0.0
    work: Any = 0.0
    tail: Any = 0.0
    streamed_bytes: Any = 0.0
    counts: Counts = field(default_factory=Counts)
    written_bytes: Any = 0.0
    early: Any = 0.0
    slack: Any = 0.0
    lag_bytes: Any = 0.0
    last: Any = 0.0
    alone: Any = 0.0
    space_bytes: Any = None
    storing: Any = 0.0
    chased_bytes: Any = 0.0

    @property
    def space(self) -> Any:
        """Bytes of the stream buffer, as `space_bytes` says."""
        return self.streamed_bytes if self.space_bytes is None else self.space_bytes


def either(on: BoolArray, yes: Callable[[], Stage], no: Callable[[], Stage]) -> Stage:
    """The stage `yes` on the designs `on` (designs,), `no` on the others; what no design has is not worked out."""
    if on.all():
        return yes()
    if not on.any():
        return no()
    first, other = yes(), no()
    counts = Counts(*(np.where(on, getattr(first.counts, name), getattr(other.counts, name)) for name in COUNTED))
    numbers = {
        each.name: np.where(on, getattr(first, each.name), getattr(other, each.name))
        for each in fields(Stage)
        if each.name not in ("name", "counts", "space_bytes")
    }
    return Stage(first.name, counts=counts, space_bytes=np.where(on, first.space, other.space), **numbers)


@dataclass(frozen=True)
class Placed:
    """A stage as it differs between designs, and for each design (designs,) the row of it that holds there."""

    stage: Stage
    row: IntArray

    @cached_property
    def size(self) -> int:
        return int(self.row.max(initial=0)) + 1

    @cached_property
    def numbers(self) -> FloatArray:
        """(size, 13): as in `Stages`."""
        stage = self.stage
        return _table((
            stage.lead, stage.work, stage.tail, stage.streamed_bytes, stage.written_bytes, stage.early, stage.slack,
            stage.lag_bytes, stage.last, stage.alone, stage.space, stage.storing, stage.chased_bytes,
        ), self.size)  # fmt: skip

    @cached_property
    def counts(self) -> FloatArray:
        """(size, counts): as COUNTED names them."""
        return _table([getattr(self.stage.counts, name) for name in COUNTED], self.size)


@dataclass(frozen=True)
class Stages:
    """The stages of a block on many designs."""

    numbers: FloatArray
    """(rows, 13): lead, work, tail, streamed and written bytes, early and slack, lag in bytes, last, alone, space,
    storing, chased bytes."""
    counts: FloatArray
    """(rows, counts): as COUNTED names them."""
    rows: IntArray
    """(designs, stages): the row of each stage of each design."""

    @classmethod
    def of(cls, placed: Sequence[Placed]) -> Stages:
        """Stages in the order in which they follow each other."""
        rows, begin = [], 0
        for each in placed:
            rows.append(each.row + begin)
            begin += each.size
        numbers, counts = (np.concatenate([getattr(each, name) for each in placed]) for name in ("numbers", "counts"))
        return cls(numbers, counts, np.stack(rows, axis=1))

    def counted(self) -> dict[str, FloatArray]:
        """Events of all stages together, (designs,) by name."""
        return dict(zip(COUNTED, _summed(self.counts, self.rows), strict=True))


def _table(columns: Sequence[Any], size: int) -> FloatArray:
    table = np.empty((size, len(columns)))
    for place, column in enumerate(columns):
        table[:, place] = column
    return table


@kernel()
def _summed(counts: FloatArray, rows: IntArray) -> FloatArray:
    """(counts, designs): sums over the stages of each design."""
    total = np.zeros((counts.shape[1], rows.shape[0]))
    for design in range(rows.shape[0]):
        for place in range(rows.shape[1]):
            row = rows[design, place]
            for column in range(counts.shape[1]):
                total[column, design] += counts[row, column]
    return total
