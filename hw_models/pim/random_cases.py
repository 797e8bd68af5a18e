"""Random devices and products, by which tests and the suite hold the closed form and the oracle to the channel."""

from __future__ import annotations

import numpy as np

from cairn.hw_models.pim.device import PimDevice, pim_device
from cairn.hw_models.pim.gemv import GemvMapping, GemvPlan, lower_gemv


def random_device(rng: np.random.Generator, preset: str = "GDDR6_AiM") -> PimDevice:
    """A preset with switches and timings drawn anew, each between a half and twice its value where a DRAM allows."""
    device = pim_device(preset)
    on = [name for name in device.standard.switches if rng.random() < 0.5]
    clocks = device.dram.clocks
    drawn = {name: int(rng.integers(max(1, value // 2), 2 * value + 2)) for name, value in clocks.items()}
    drawn["nRAS"] = max(drawn["nRAS"], drawn["nRCDRD"])
    drawn["nRC"] = max(drawn["nRC"], drawn["nRAS"] + drawn["nRP"])
    drawn["nCCDL"] = max(drawn["nCCDL"], drawn["nCCDS"])
    drawn["nWTRL"] = max(drawn["nWTRL"], drawn["nWTRS"])
    drawn["nFAW"] = max(drawn["nFAW"], drawn["nRRDS"])
    drawn["nCL"] = max(drawn["nCL"], drawn["nCWL"])
    drawn["nREFI"] = drawn["nRFC"] + int(rng.integers(1000, 8000))
    return pim_device(preset, switches=on, **drawn)


def random_product(rng: np.random.Generator) -> GemvPlan:
    """A product of up to 5,000 outputs and 6,000 inputs on a random device with buffers, in a random order."""
    device = random_device(rng).changed(
        channels=int(rng.choice([1, 2, 4, 8, 32])), buffer_bytes=int(rng.choice([512, 1024, 2048, 4096, 8192]))
    )
    mapping = GemvMapping(accumulators=int(rng.choice([1, 2, 4, 8, 32])))
    return lower_gemv(device, int(rng.integers(1, 5000)), int(rng.integers(1, 6000)), mapping)
