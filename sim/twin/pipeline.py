"""From the stages of a block to its period: a stream from DRAM that runs ahead as far as the SRAM allows."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel
from cairn.sim.twin.stage import (
    ALONE,
    CHASED,
    EARLY,
    LAG,
    LAST,
    LEAD,
    SLACK,
    SPACE,
    STORING,
    STREAMED,
    TAIL,
    WORK,
    WRITTEN,
    Stages,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROUNDS: Final = 4
"""Times that a block follows itself until the stream is as far ahead at its end as before (two or three are enough)."""


def period_cycles(stages: Stages, rate: FloatArray, buffer_bytes: FloatArray) -> FloatArray:
    """Cycles of a block that follows itself, for each design.

    `rate` is what a core's DRAM delivers in a cycle, `buffer_bytes` the SRAM through which the stream goes. While a
    stage does not use the stream, the stream runs ahead until the buffer is full: of the space that the next stages
    give to what comes for them. A stage that uses what lies there faster than DRAM brings more ends when the last of it
    has come.
    """
    return _rounds(stages, rate, buffer_bytes, np.zeros(len(stages.rows)), ROUNDS)[0]


def block_cycles(
    stages: Stages, rate: FloatArray, buffer_bytes: FloatArray, ahead: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Cycles of a block that begins with `ahead` bytes of the stream in SRAM, and the bytes ahead at its end."""
    return _rounds(stages, rate, buffer_bytes, ahead, 1)


def _rounds(
    stages: Stages, rate: FloatArray, buffer: FloatArray, ahead: FloatArray, rounds: int
) -> tuple[FloatArray, FloatArray]:
    rate, buffer, ahead = (np.ascontiguousarray(each, dtype=np.float64) for each in (rate, buffer, ahead))
    return _follow(stages.numbers, stages.rows, rate, buffer, ahead, rounds)


@kernel(error_model="numpy")
def _follow(
    numbers: FloatArray, rows: IntArray, rate: FloatArray, buffer: FloatArray, ahead: FloatArray, rounds: int
) -> tuple[FloatArray, FloatArray]:
    """Cycles of the last of so many rounds through the stages of each design, and the bytes ahead at its end."""
    cycles, left, most = np.empty(rate.size), np.empty(rate.size), np.empty(rows.shape[1])
    for design in range(rate.size):
        speed, room, here, took = rate[design], buffer[design], ahead[design], 0.0
        places, slack = rows.shape[1], 0.0
        _most_ahead(numbers, rows, design, room, most)
        for _ in range(rounds):
            began, took = here, 0.0
            following = rows[design, 0]
            for place in range(places):
                then = place + 1 if place + 1 < places else 0
                stage, following = following, rows[design, then]
                written, streamed = numbers[stage, WRITTEN], numbers[stage, STREAMED]
                lead = numbers[stage, LEAD] + max(numbers[stage, EARLY] - slack, 0.0)
                if written > 0.0:  # what is still to be written counts as less than nothing there
                    here = min(most[place], speed * min(lead, numbers[stage, STORING]) - written)
                else:
                    here = min(most[place], here + speed * lead)
                work = numbers[stage, WORK]
                if streamed > 0.0:
                    # loads behind those of this stage do not begin where the next one reads what it writes before
                    others = 0.0 if numbers[following, WRITTEN] > 0.0 else min(numbers[stage, LAG], room)
                    missing = max(streamed, numbers[stage, CHASED] - room) + others - here
                    if missing > 0.0:
                        work = max(work, missing / speed + numbers[stage, LAST])
                here = min(here + speed * work - streamed, most[then])
                here = min(most[then], here + speed * numbers[stage, TAIL])
                slack = numbers[stage, SLACK]
                took += lead + numbers[stage, ALONE] + work + numbers[stage, TAIL]
            if here == began:  # all further rounds are alike
                break
        cycles[design], left[design] = took, here
    return cycles, left


@kernel(error_model="numpy")
def _most_ahead(numbers: FloatArray, rows: IntArray, design: int, room: float, most: FloatArray) -> None:
    """Fill `most` (places,) with the bytes of the stream that fill the buffer before each stage of a design: those of
    the stages from there on, round and round, in the order in which they are given space."""
    bytes_of_round, space_of_round = 0.0, 0.0
    for place in range(most.size):
        bytes_of_round += numbers[rows[design, place], STREAMED]
        space_of_round += numbers[rows[design, place], SPACE]
    if space_of_round == 0.0:
        most[:] = room
        return
    rounds = np.floor(room / space_of_round)
    for place in range(most.size):
        left, at = room - rounds * space_of_round, place
        most[place] = rounds * bytes_of_round
        while left > 0.0:
            space = numbers[rows[design, at], SPACE]
            if space > 0.0:
                most[place] += numbers[rows[design, at], STREAMED] * min(1.0, left / space)
            left -= space
            at = at + 1 if at + 1 < most.size else 0
