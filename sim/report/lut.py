"""What LUT units did in a run, and what their tables cost: time and energy of precompute, padding of odd sizes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cairn.hw_models.compute.lut.cost import lut_cost
from cairn.hw_models.cost import lut_event_pj
from cairn.sim.plan import actions
from cairn.sim.plan.plan import COMPUTE_COLUMNS
from cairn.sim.report.lut_work import padding_waste
from cairn.sim.report.tasks import TaskView, tiles
from cairn.sim.report.work import Work, operand_shapes

if TYPE_CHECKING:
    from cairn.sim.record import RunRecord


@dataclass(frozen=True)
class LutUse:
    """Totals over the whole run, repeats multiplied.

    operations      of products that LUT units did, two for each multiply-accumulate
    lookups         of a plane of a group of activations, padding included
    padding_waste   share, 0..1, of the look-ups that belong to no row, column or activation
    look_up_j, accumulate_j, precompute_j   dynamic energy; that of precompute is spent on vector units
    precompute_s    time in which the vector unit with most of it makes tables; part of it may be hidden
    note            how area and energy were brought to the unit's process node
    """

    operations: int
    lookups: int
    padding_waste: float
    look_up_j: float
    accumulate_j: float
    precompute_j: float
    precompute_s: float
    precompute_time_share: float
    precompute_energy_share: float
    note: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def lut_use(record: RunRecord, view: TaskView, work: Work, energy_j: float) -> LutUse | None:
    """None where cores have no LUT unit; shares of precompute are of the run's latency and of its `energy_j`."""
    lut = record.chip.lut_unit
    if lut is None:
        return None
    computing, table = tiles(record.plan)
    making = table[:, COMPUTE_COLUMNS.index("action")] == actions.PRECOMPUTE
    tasks = computing[making]
    busy = np.bincount(view.unit[tasks], weights=(record.plan.duration[tasks] * view.weight[tasks]).astype(np.float64))
    seconds, lookups = float(busy.max(initial=0.0)) * 1e-12, int(work.lookups.sum())
    events = lookups, int(work.lut_groups.sum()), work.table_adds.sum()
    each = {name: float(pj) * 1e-12 for name, pj in lut_event_pj(record.chip, *events).items()}
    return LutUse(
        operations=int(work.lut_ops.sum()),
        lookups=lookups,
        padding_waste=padding_waste(record, table, operand_shapes(record), view.weight[computing]),
        look_up_j=each["look_up"],
        accumulate_j=each["accumulate"],
        precompute_j=each["precompute"],
        precompute_s=seconds,
        precompute_time_share=seconds / max(record.total_ps * 1e-12, 1e-300),
        precompute_energy_share=each["precompute"] / max(energy_j, 1e-300),
        note=lut_cost(lut).note,
    )
