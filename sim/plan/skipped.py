"""Stretches of a plan that are gone through and not written: their task numbers, of which one joint is left."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", np.int32, np.int64)


class Skipped(NamedTuple):
    """Task numbers [begin, end) of which the first is a joint and the others were never written."""

    begin: int
    end: int

    @property
    def gone(self) -> int:
        return self.end - self.begin - 1


def as_written(numbers: npt.NDArray[T], skipped: list[Skipped]) -> npt.NDArray[T]:
    """Places of tasks among those that were written, by their numbers; of one that was not, the place of the joint.
    The stretches ascend."""
    written = numbers
    for stretch in skipped:
        written = written - np.clip(numbers - stretch.begin, 0, stretch.gone)
    return written
