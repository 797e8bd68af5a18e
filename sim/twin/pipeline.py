"""From the stages of a block to its period: a stream from DRAM that runs ahead as far as the SRAM allows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cairn.sim.twin.stage import Stage

FloatArray = npt.NDArray[np.float64]

ROUNDS = 4
"""Times that a block follows itself until the stream is as far ahead at its end as before (two or three are enough)."""


def period_cycles(stages: Sequence[Stage], rate: FloatArray, buffer_bytes: FloatArray) -> FloatArray:
    """Cycles of a block that follows itself, for each design.

    `rate` is what a core's DRAM delivers in a cycle, `buffer_bytes` how much may lie in SRAM unused. While a stage does
    not use the stream, the stream runs ahead until the buffer is full. A stage that uses what lies there faster than
    DRAM brings more ends when the last of it has come.
    """
    ahead = np.zeros_like(rate)
    period = np.zeros_like(rate)
    for _ in range(ROUNDS):
        period = np.zeros_like(rate)
        for stage in stages:
            took, ahead = stage_cycles(stage, rate, buffer_bytes, ahead)
            period = period + took
    return period


def stage_cycles(
    stage: Stage, rate: FloatArray, buffer_bytes: FloatArray, ahead: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Cycles of a stage that begins with `ahead` bytes of the stream in SRAM, and the bytes ahead at its end."""
    ahead = np.zeros_like(ahead) if stage.made_here else np.minimum(buffer_bytes, ahead + rate * stage.lead)
    work = np.maximum(stage.work, (stage.streamed_bytes - ahead) / rate)
    ahead = np.clip(ahead + rate * work - stage.streamed_bytes, 0.0, buffer_bytes)
    ahead = np.minimum(buffer_bytes, ahead + rate * stage.tail)
    return np.asarray(stage.lead + work + stage.tail), ahead
