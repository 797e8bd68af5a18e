"""Products whose passes, tiles and stretches are merged: the same work, in fewer tasks, in about the same time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.base.errors import CairnError
from cairn.hw_models.noc.layout import SUM_PACKETS
from cairn.hw_models.noc.spec import REQUEST_COLUMNS
from cairn.sim.config.run_config import ProductFidelity, RunConfig, load
from cairn.sim.mapping.schedule import GROUPS, PACKETS, RING_STEPS, Group, every_step, group_sizes, merged_steps
from cairn.sim.plan.numbers import execute
from cairn.sim.plan.plan import CAUSES, MERGED, SHORT_RINGS
from cairn.sim.record import RunRecord
from cairn.sim.report.sums import NOC
from cairn.sim.report.work import count_work
from cairn.sim.run import simulate

COUNTS = st.integers(1, 300)


@given(COUNTS)
def test_groups_hold_all_passes_and_grow_and_shrink(passes: int) -> None:
    sizes = group_sizes(passes)
    assert sum(sizes) == passes
    assert min(sizes) >= 1
    assert sizes[0] == sizes[-1] == 1
    assert max(sizes) <= -(-passes // GROUPS)


@given(COUNTS, COUNTS, COUNTS)
def test_merged_steps_do_every_pass_and_tile_once(passes: int, tiles: int, stretches: int) -> None:
    stretches = min(stretches, tiles)
    groups = merged_steps(passes, tiles, stretches)
    assert [group.first for group in groups] == [0, *itertools.accumulate(group.passes for group in groups)][:-1]
    assert sum(group.passes for group in groups) == passes
    assert groups[0].together == 1
    for group in groups:
        edges = [stretch.begin for stretch in group.stretches] + [group.stretches[-1].end]
        assert edges[0] == 0
        assert edges[-1] == tiles
        assert all(a < b for a, b in itertools.pairwise(edges))
        assert len(group.stretches) <= max(stretches, 1) + 16  # the last stretch of all may be cut further
    assert len(groups) <= passes


@given(COUNTS, st.integers(1, 70), st.booleans())
def test_a_ring_goes_round_once_in_the_steps_of_its_group(passes: int, ring: int, coarse: bool) -> None:
    group = Group(0, passes, 1, (), coarse)
    steps = group.turns(ring)
    assert [turn for step in steps for turn in step] == list(range(1, ring))
    assert len(steps) == (min(ring - 1, RING_STEPS) if coarse else ring - 1)


def test_the_first_and_the_last_pass_keep_the_steps_of_their_rings() -> None:
    assert [group.coarse for group in merged_steps(5, 40, 4)] == [False, True, True, True, False]
    assert not any(group.coarse for passes in (1, 2) for group in merged_steps(passes, 40, 4))


@given(st.integers(1, 8), st.integers(1, 7), st.integers(1, 3))
def test_few_steps_are_left_as_they_are(passes: int, tiles: int, stretches: int) -> None:
    stretches = min(stretches, tiles)
    merged, full = merged_steps(passes, tiles, stretches), every_step(passes, tiles, stretches)
    assert [(g.first, g.passes, g.together) for g in merged] == [(g.first, g.passes, g.together) for g in full]
    assert [g.stretches for g in merged[:-1]] == [g.stretches for g in full[:-1]]


def test_a_ring_stands_for_those_of_all_its_passes() -> None:
    groups = merged_steps(40, 192, 54)
    rings = sum(stretch.rings for group in groups for stretch in group.stretches)
    assert rings == pytest.approx(40 * 54, rel=0.01)
    assert sum(len(group.stretches) for group in groups) < 80


SETTINGS = (
    "model=llama-3.2-1b", "model.layers=1", "workload.new_tokens=2048", "chip.cores.rows=4", "chip.cores.columns=4",
    "chip.sram.capacity_kib=256", "workload.lm_head=false",
)  # fmt: skip


def of(products: ProductFidelity) -> RunConfig:
    return load("llama-2-13b-prefill", [*SETTINGS, f"fidelity.products={products}"])


@pytest.fixture(scope="module")
def both() -> tuple[RunRecord, RunRecord]:
    return simulate(of(ProductFidelity.FULL)), simulate(of(ProductFidelity.MERGED))


def test_merged_products_have_far_fewer_tasks_and_take_about_as_long(both: tuple[RunRecord, RunRecord]) -> None:
    full, merged = both
    assert merged.plan.n_tasks < full.plan.n_tasks / 2
    assert merged.total_ps == pytest.approx(full.total_ps, rel=0.03)


def test_merged_products_load_and_compute_the_same_and_send_about_the_same(both: tuple[RunRecord, RunRecord]) -> None:
    full, merged = (count_work(record) for record in both)
    assert np.array_equal(full.matrix_ops, merged.matrix_ops)
    for cause in ("unique", "reread", "spill", "append"):  # norm weights are loaded once for each piece of a result
        column = CAUSES.index(cause)
        assert np.array_equal(full.moved[:, :NOC, column], merged.moved[:, :NOC, column])
    assert merged.moved[:, NOC].sum() == pytest.approx(full.moved[:, NOC].sum(), rel=0.02)
    assert merged.sram_bytes.sum() == pytest.approx(full.sram_bytes.sum(), rel=0.01)


def test_the_network_moves_merged_products_in_larger_packets(both: tuple[RunRecord, RunRecord]) -> None:
    for record, packets in zip(both, (1, PACKETS), strict=True):
        assert (MERGED in record.plan.notes) == (packets > 1)
        sizes = record.plan.requests[record.plan.servers.index("noc")][:, REQUEST_COLUMNS.index("bytes")]
        largest = packets * record.chip.noc.max_packet_bytes
        sent = record.trace.states[record.plan.servers.index("noc")][SUM_PACKETS]
        assert sent == (-(-sizes // largest)).sum()


def test_a_plan_with_shortened_rings_is_refused_by_the_executor_of_numbers() -> None:
    rings = ["chip.cores.rows=8", "chip.cores.columns=8", "chip.matrix_unit.rows=16", "chip.matrix_unit.columns=16"]
    config = load("llama-2-13b-prefill", [*SETTINGS, *rings, "fidelity.products=merged"])
    plan = simulate(config).plan
    assert plan.notes[SHORT_RINGS]
    with pytest.raises(CairnError, match="lower it with fidelity"):
        execute(plan, None, [], {})
