"""The closed form of products against the channel, on random designs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from cairn.hw_models.pim.analytical import GapTimes, Shapes, gemv_cycles
from cairn.hw_models.pim.random_cases import random_product
from cairn.hw_models.pim.simulate import simulate_program
from cairn.validation.rows import Row

DESIGNS: Final = 120
SOURCE: Final = "hw_models/pim/random_cases.py, seed 7"


def rows() -> Iterator[Row]:
    """Clocks without and with refresh of each design."""
    rng = np.random.default_rng(7)
    plans = [random_product(rng) for _ in range(DESIGNS)]
    times = GapTimes.of([plan.layout.device for plan in plans])
    shapes = Shapes.of([plan.layout for plan in plans])
    for refresh, gate in (("none", "twin_exact"), ("all_bank", "twin")):
        forms = gemv_cycles(times, shapes, refresh=refresh == "all_bank")
        for number, (plan, form) in enumerate(zip(plans, forms, strict=True)):
            cycles = simulate_program(plan.program, refresh).cycles
            counts = (gate,) if refresh == "none" else (gate, "twin_order")
            yield Row(
                f"twin/{number:03}/{refresh}", f"closed form, refresh {refresh}", cycles, float(form), "cycles", SOURCE,
                counts,
            )  # fmt: skip
