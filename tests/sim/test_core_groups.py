"""Cores that share a DRAM channel: each has rows of its own, and those of a core group load in step."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cairn.hw_models.dram.request import REQUEST_COLUMNS
from cairn.sim.config.run_config import RunConfig, load
from cairn.sim.mapping.context import Stage, leaders
from cairn.sim.mapping.sequence import straight, whole_grid
from cairn.sim.plan.builder import QUEUES, PlanBuilder, Slice
from cairn.sim.plan.plan import COPY_COLUMNS, DRAM, Plan
from cairn.workloads.build import build_graph

from .numbers_models import check_against_numpy, config_of

SETTINGS = ("workload.context=256", "chip.cores.rows=4", "chip.cores.columns=4", "chip.dram.channels=4")
LOAD = QUEUES.index("load")


def plan_of(*settings: str) -> tuple[RunConfig, Plan]:
    config = load("demo", [*SETTINGS, *settings])
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    return config, straight(config, graph, 4)[1].build()


def columns(plan: Plan) -> dict[str, npt.NDArray[Any]]:
    """Of each copy from or to DRAM: its task, queue, core below the channel, and request."""
    task = np.flatnonzero(plan.server == 0)
    copies = plan.copies[plan.row[task]]
    stored = copies[:, COPY_COLUMNS.index("destination_kind")] == DRAM
    core = np.where(stored, copies[:, COPY_COLUMNS.index("source")], copies[:, COPY_COLUMNS.index("destination")])
    requests = plan.requests[0][plan.request[task]]
    named = {name: requests[:, index] for index, name in enumerate(REQUEST_COLUMNS)}
    return {"task": task, "queue": plan.queue[task], "core": core, "stored": stored, **named}


@pytest.mark.parametrize("banks", ["software_aware", "interleaved", "uniform"])
@pytest.mark.parametrize("core_group", [1, 2, 4])
def test_cores_of_a_channel_have_no_row_in_common(banks: str, core_group: int) -> None:
    config, plan = plan_of(f"mapping.banks={banks}", f"mapping.core_group={core_group}")
    found = columns(plan)
    assert np.array_equal(found["channel"], found["core"] // 4)
    share = found["offset_bytes"] + found["bytes"]
    per_bank = share // found["bank_count"] + found["stripe_bytes"]
    last = found["row_base"] + per_bank // config.chip.dram.row_bytes
    span = config.chip.dram.rows_per_bank(4) // 4
    slot = found["core"] % 4
    assert (found["row_base"] >= slot * span).all()
    assert (last < (slot + 1) * span).all()


@pytest.mark.parametrize("core_group", [1, 2, 3, 4, 9])
def test_cores_of_a_group_load_through_one_queue(core_group: int) -> None:
    _, plan = plan_of(f"mapping.core_group={core_group}")
    found = columns(plan)
    loads = ~found["stored"]
    core = found["core"][loads]
    leader = core // 4 * 4 + core % 4 // core_group * core_group if core_group < 4 else core // 4 * 4
    assert np.array_equal(found["queue"][loads], leader * len(QUEUES) + LOAD)


@pytest.mark.parametrize(
    ("core_group", "place"), [(1, [0, 0, 0, 0]), (2, [0, 1, 0, 1]), (3, [0, 1, 2, 0]), (None, [0, 1, 2, 3])]
)
def test_the_cores_of_a_group_begin_with_successive_sets_of_banks(core_group: int | None, place: list[int]) -> None:
    config = load("demo", SETTINGS)
    options = config.mapping.model_copy(update={"core_group": core_group})
    stage = Stage.on(PlanBuilder(config.chip), whole_grid(config.chip, options), options, 0)
    dram = config.chip.dram
    sets = min(dram.banks_per_channel, config.chip.dma.load_depth)
    banks = dram.banks_per_channel // sets
    data = Slice(0, (0, 1), (0, 1), 64)
    region = stage.above(np.arange(8), data, (banks, banks, 5, dram.row_bytes, 0))
    assert region.address is not None
    bank, _, row, *_ = region.address
    assert np.asarray(bank).tolist() == [(1 + number) % sets * banks for number in place * 2]
    assert np.asarray(row).tolist() == [5 + slot * (dram.rows_per_bank(4) // 4) for slot in (0, 1, 2, 3) * 2]
    assert np.asarray(region.place).tolist() == [0] * 4 + [1] * 4


def test_leaders_are_the_first_cores_of_their_groups_among_those_of_a_stage() -> None:
    chip = load("demo", SETTINGS).chip
    assert leaders(chip, np.arange(16), None).tolist() == [0] * 4 + [4] * 4 + [8] * 4 + [12] * 4
    assert leaders(chip, np.arange(8), 3).tolist() == [0, 0, 0, 3, 4, 4, 4, 7]
    assert leaders(chip, np.array([2, 3, 6]), None).tolist() == [2, 2, 6]


@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd", "dataflow"])
@pytest.mark.parametrize("core_group", [1, None])
def test_cores_that_share_channels_give_numpys_result(paradigm: str, core_group: int | None) -> None:
    config = config_of("gqa", "prefill_cached", "2x4", layers=2, core_group=core_group, paradigm=paradigm, stages=2)
    chip = config.chip.model_copy(update={"dram": config.chip.dram.model_copy(update={"channels": 2})})
    check_against_numpy(config.model_copy(update={"chip": chip}), shake=1)
