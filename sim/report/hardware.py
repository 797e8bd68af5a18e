"""What the report needs to know of the chip: peak rates, how many units of each class, hops of a transfer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.noc.routing import hops
from cairn.sim.plan.plan import COPY_COLUMNS, Plan
from cairn.sim.report.tasks import DRAM_SERVER, PIM, TaskView

IntArray = npt.NDArray[np.int64]

SOURCE, DESTINATION = COPY_COLUMNS.index("source"), COPY_COLUMNS.index("destination")


@dataclass(frozen=True)
class Peaks:
    """Peak rates of the whole chip, per second; bytes are decimal. What PIM units work on is beside the DRAM's."""

    matrix_ops_per_s: float
    lut_bit_ops_per_s: float
    """Operations of LUT units at weights of one bit; 0 where there are none."""
    vector_ops_per_s: float
    dram_bytes_per_s: float

    @classmethod
    def of(cls, chip: ChipSpec) -> Peaks:
        return cls(
            matrix_ops_per_s=chip.peak_ops_per_s,
            lut_bit_ops_per_s=chip.lut_bit_ops_per_s,
            vector_ops_per_s=chip.peak_vector_ops_per_s,
            dram_bytes_per_s=chip.dram_bytes_per_s,
        )


def unit_count(chip: ChipSpec, view: TaskView, name: str) -> int:
    """Units of class `name` on the chip: DRAM channels, else one per core; more where a plan names more."""
    named = int(view.unit[view.of_class(name)].max(initial=0)) + 1
    per_chip = chip.channels if name in (DRAM_SERVER, PIM) else chip.core_count
    return max(named, per_chip)


def task_hops(chip: ChipSpec, plan: Plan, view: TaskView) -> IntArray:
    """Links that the data of each task crosses, 0 for tasks that the network does not serve."""
    result = np.zeros(plan.n_tasks, dtype=np.int64)
    sent = np.flatnonzero(view.is_noc & (plan.row >= 0))
    ends = plan.copies[plan.row[sent]][:, (SOURCE, DESTINATION)]
    result[sent] = hops(chip.noc, chip.cores.rows, chip.cores.columns, ends[:, 0], ends[:, 1])
    return result
