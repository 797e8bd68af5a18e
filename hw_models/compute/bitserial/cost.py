"""Energy, area and buffer ports of an array of dot-product elements, 28 nm; vectorised."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.bitserial.spec import DotArraySpec

FloatArray = npt.NDArray[np.float64]

NIBBLE: Final = 4
"""BitMoD simulator accelerator.py: weights lie in the buffer in whole nibbles."""


def energy_pj(array: DotArraySpec, cycles: npt.ArrayLike) -> FloatArray:
    """Energy of the array in `cycles`, all elements counted, busy or not, as the BitMoD simulator does."""
    element = array.element
    return np.asarray(cycles, dtype=np.float64) * (element.energy_pj * element.layout_factor * array.elements)


def area_mm2(array: DotArraySpec) -> float:
    """Area of the elements as synthesised, without buffers and encoders."""
    return array.elements * array.element.area_um2 / 1e6


def power_mw(array: DotArraySpec, clock_ghz: float) -> float:
    """Power of the elements as synthesised, at work in every cycle of `clock_ghz`: pJ times GHz are mW."""
    return array.elements * array.element.energy_pj * clock_ghz


def port_bits(array: DotArraySpec, weight_bits: float, activation_bits: int) -> tuple[int, int]:
    """Bits that the weight and the input buffer deliver in a pass.

    A bit-serial element takes longer than a cycle for a pass and halves both ports (BitMoD simulator accelerator.py).
    """
    element = array.element
    halves = 1 if element.bits_per_cycle is None else 2
    weights = element.dot * math.ceil(weight_bits / NIBBLE) * NIBBLE * array.rows
    return weights // halves, element.dot * activation_bits * array.columns // halves
