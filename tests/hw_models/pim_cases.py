"""Random devices and programs for the channels whose banks compute."""

from __future__ import annotations

import numpy as np

from cairn.hw_models.pim.device import PimDevice, pim_device
from cairn.hw_models.pim.program import Program, ProgramBuilder

SWITCHES = ((), ("faw",), ("power",), ("faw", "power"))


def random_device(rng: np.random.Generator, preset: str = "GDDR6_AiM") -> PimDevice:
    """A preset with switches and timings drawn anew, within what a DRAM can have."""
    device = pim_device(preset)
    on = [name for name in device.standard.switches if rng.random() < 0.5]
    clocks = device.dram.clocks
    drawn = {name: int(rng.integers(max(1, value // 2), 2 * value + 2)) for name, value in clocks.items()}
    drawn["nRAS"] = max(drawn["nRAS"], *(drawn[name] for name in ("nRCDRD", "nRCD") if name in drawn))
    drawn["nRC"] = max(drawn["nRC"], drawn["nRAS"] + drawn["nRP"])
    drawn["nCCDL"] = max(drawn["nCCDL"], drawn["nCCDS"])
    drawn["nWTRL"] = max(drawn["nWTRL"], drawn["nWTRS"])
    drawn["nFAW"] = max(drawn["nFAW"], drawn["nRRDS"])
    drawn["nREFI"] = drawn["nRFC"] + int(rng.integers(200, 4000))
    if "nCL" in drawn:  # a read's data come no earlier than a write's, or turning round would take less than nothing
        drawn["nCL"] = max(drawn["nCL"], drawn.get("nCWL", 0))
    return pim_device(preset, switches=on, **drawn)


def random_program(device: PimDevice, rng: np.random.Generator, length: int) -> Program:
    """Instructions of every sort that the device has, in few rows and banks so that they meet."""
    program = ProgramBuilder(device)
    names = [name for name, one in device.commands.items()
             if one.row not in ("opens", "closes") and name != device.standard.mode_command]  # fmt: skip
    for _ in range(length):
        program.add(
            str(rng.choice([*names, "RD", "WR"])), int(rng.integers(1, 5)), bank=int(rng.integers(device.dram.banks)),
            row=int(rng.integers(3)),
        )  # fmt: skip
    return program.build()
