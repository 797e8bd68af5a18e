"""Energy of a step on Duplex-like devices: bytes by the unit that reads them, and operations; and the area of PIM.

Rows are opened once for each row of bytes that is read (weights, keys and values lie row after row). Activations go
through the channels as the cores' bytes do. Keys that bank PIM reads again for each query head cost their energy again.
Links have no figure in the source, and no power that flows without work is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cairn.hw_models.pim.duplex import Unit, duplex_device
from cairn.hw_models.pim.system_energy import BITS, PJ, Area, DuplexEnergySpec, duplex_areas
from cairn.sim.pim.step import Machine, OperatorTime, StepTime

BANKS: Final = 32 * 2 * 16
"""Banks of a stack: 32 pseudo-channels of two ranks of 4 x 4 banks (reference/systems/README.md)."""


@dataclass(frozen=True)
class StepEnergy:
    """Joules of a step, all devices: memory, operations, and of each entry of `StepTime.operators` both."""

    memory_j: float
    compute_j: float
    operators_j: tuple[float, ...]

    @property
    def joules(self) -> float:
        return self.memory_j + self.compute_j


def step_energy(machine: Machine, step: StepTime, energy: DuplexEnergySpec) -> StepEnergy:
    """Energy of a step that `step_time` worked out on `machine`."""
    memory = duplex_device(machine.device).memory.organisation
    row_bytes = memory.col * memory.transaction_bytes
    through = energy.read_pj_per_bit(Unit.CORES, row_bytes) * BITS * PJ
    near = 0.0 if machine.pim is None else energy.read_pj_per_bit(machine.pim, row_bytes) * BITS * PJ

    def memory_j(op: OperatorTime) -> float:
        return op.count * (op.cores_bytes * through + op.pim_bytes * near)

    def compute_j(op: OperatorTime) -> float:
        return op.count * op.ops / 2 * energy.mac_pj * PJ

    return StepEnergy(
        sum(memory_j(op) for op in step.operators) + step.elementwise_bytes * through,
        sum(compute_j(op) for op in step.operators),
        tuple(memory_j(op) + compute_j(op) for op in step.operators),
    )


def machine_areas(machine: Machine, energy: DuplexEnergySpec) -> tuple[Area, ...]:
    """What PIM adds to the stacks of all devices; nothing without it."""
    if machine.pim is None:
        return ()
    return duplex_areas(energy, machine.device.stacks * machine.devices, BANKS, machine.pim)
