"""Energy of a DRAM that is charged by command: activates of the whole run and of each operator, and the terms.

The channels count activates, but not for whom, and only of blocks that were simulated. So what they counted is divided
among requests in proportion to the rows that each touches, which is what it would activate alone with every row opened
once; requests of a block that stands for several count as often as the block. The sum over operators is the number of
activates of the whole run: those counted times the rows of the whole run over the rows of what was simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from cairn.base.errors import CairnError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram import request as ix
from cairn.hw_models.dram.build import dram_counters
from cairn.hw_models.dram.charge import COMPONENT, dynamic_pj, static_w
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.server import FLAGS
from cairn.sim.record import RunRecord
from cairn.sim.report.tasks import DRAM_SERVER, weight_of_blocks

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

PART: Final = 1 << 16
"""Requests that are looked at together, so that their arrays stay small."""


@dataclass(frozen=True)
class Activates:
    """Activates of a run.

    per_operator  (operators + 1,) of the whole run, repeats multiplied; the last one of tasks without operator
    counted       what the channels counted in the blocks that were simulated
    rows          rows that the requests of these blocks touch, each request by itself
    """

    per_operator: FloatArray
    counted: int
    rows: int


def count_activates(record: RunRecord) -> Activates:
    """Activates by operator; CairnError when the record has no state of the DRAM to count in."""
    plan, n_rows = record.plan, len(record.operators) + 1
    touched, simulated = np.zeros(n_rows, dtype=np.int64), 0
    if DRAM_SERVER not in plan.servers:
        return Activates(touched.astype(np.float64), 0, 0)
    server = plan.servers.index(DRAM_SERVER)
    if len(record.trace.states) != len(plan.servers):
        raise CairnError("chip.energy.dram.charged: by_command needs counters of the DRAM; this run has none")
    counted = int(dram_counters(record.chip.dram, record.trace.states[server])["activates"].sum())
    served = np.flatnonzero(plan.server == server)
    for begin in range(0, served.size, PART):
        tasks = served[begin : begin + PART]
        rows = touched_rows(record.chip.dram, plan.requests[server][plan.request[tasks]])
        np.add.at(touched, plan.op[tasks], rows * weight_of_blocks(plan.block[tasks], record.block_weight))
        simulated += int(rows.sum())
    share = counted / max(simulated, 1)
    return Activates(np.asarray(touched * share, dtype=np.float64), counted, simulated)


def touched_rows(spec: DramSpec, requests: IntArray) -> IntArray:
    """Rows of all banks that each row of the DRAM server's request table touches, (n,) -> (n,).

    Stripe s of a region lies in bank s mod count (see hw_models/dram/request.py), so a request has a stretch without a
    gap in each bank; what goes to buffers of PIM units touches none. Voxel's estimator opens a row for each stripe's
    length of bytes, whatever lies where (V2).
    """
    stripe, offset, size = (requests[:, column] for column in (ix.R_STRIPE, ix.R_OFFSET, ix.R_BYTES))
    if not spec.moves_whole_bursts:
        opened: IntArray = -(-size // stripe)
        return opened
    banks, end = requests[:, ix.R_BANK_COUNT], offset + size - 1
    first, last = offset // stripe, end // stripe
    result = np.zeros(requests.shape[0], dtype=np.int64)
    for bank in range(int(banks.max(initial=0))):
        begins, ends = first + (bank - first) % banks, last - (last - bank) % banks
        low = begins // banks * stripe + np.where(begins == first, offset % stripe, 0)
        high = ends // banks * stripe + np.where(ends == last, end % stripe, stripe - 1)
        rows = high // spec.row_bytes - low // spec.row_bytes + 1
        result += np.where((begins <= ends) & (bank < banks), rows, 0)
    result[requests[:, FLAGS] & ix.IS_BUFFER != 0] = 0
    return result


def row_bits(chip: ChipSpec, activates: FloatArray) -> FloatArray:
    """Bits of the rows that `activates` open."""
    bits: FloatArray = activates * float(8 * chip.dram.row_bytes)
    return bits


def dram_terms(chip: ChipSpec, activates: Activates, dram_bytes: int, latency_s: float) -> pd.DataFrame:
    """Rows of terms (hw_models/dram/cost.py): the component of the energy table that each is part of, its nature
    ("dynamic", "static"), joules of the step, share of the DRAM's, and pJ for each bit moved (NaN where none is)."""
    charge = chip.energy.dram
    opened = float(row_bits(chip, activates.per_operator).sum())
    dynamic = dynamic_pj(charge, row_bits=opened, moved_bytes=float(dram_bytes))
    rows = [(term, COMPONENT[term], "dynamic", pj * 1e-12) for term, pj in dynamic.items()]
    rows += [(term, COMPONENT[term], "static", w * latency_s) for term, w in static_w(charge, chip.dram).items()]
    table = pd.DataFrame(rows, columns=["term", "component", "nature", "energy_j"])
    total = float(table["energy_j"].sum())
    table["share"] = table["energy_j"] / total if total else 0.0
    table["pj_per_bit"] = table["energy_j"] * 1e12 / (8 * dram_bytes) if dram_bytes else np.nan
    return table


def dram_content(chip: ChipSpec, activates: Activates, terms: pd.DataFrame) -> dict[str, Any]:
    """The energy of the DRAM for `result.json`."""
    moved = bool(terms["pj_per_bit"].notna().all())
    return {
        "interface": chip.energy.dram.interface,
        "activates": float(activates.per_operator.sum()),
        "activates_simulated": activates.counted,
        "rows_simulated": activates.rows,
        "energy_j": float(terms["energy_j"].sum()),
        "pj_per_bit": float(terms["pj_per_bit"].sum()) if moved else None,
        "terms": (terms if moved else terms.drop(columns="pj_per_bit")).to_dict("records"),
    }
