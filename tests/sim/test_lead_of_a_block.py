"""Before a whole one of equal blocks, the last part of one is enough for a loose tolerance: stretches that are skipped,
what is left of a plan, and what counts."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.base.errors import CairnError
from cairn.sim.config.run_config import RunConfig, load
from cairn.sim.mapping.kept import KeptPlan
from cairn.sim.mapping.sequence import Sequence, straight
from cairn.sim.mapping.steady import COLD, LEADS, PAIR, Lead, Written, begin_of
from cairn.sim.plan import actions
from cairn.sim.plan.builder import PlanBuilder, Tile
from cairn.sim.plan.numbers import execute
from cairn.sim.plan.plan import COMPUTE, COPY, LEAD_ONLY, SYNC, Edges, Plan
from cairn.sim.record import RunRecord
from cairn.sim.report.result import Result
from cairn.sim.report.work import count_work
from cairn.sim.run import _first_try, simulate
from cairn.workloads.build import build_graph
from cairn.workloads.step import Phase

LARGE_BLOCKS = ["model=llama-3.2-1b", "workload.new_tokens=2048", "workload.lm_head=false", "chip.cores.rows=8",
                "chip.cores.columns=8", "chip.sram.capacity_kib=384", "fidelity.products=merged"]  # fmt: skip
"""Blocks of more than 100,000 tasks."""
FEW = "model.layers=12"
"""So few that the first one may be an eighth longer by more than 1 % of all."""
DECODE, PREFILL = LEADS[Phase.DECODE], LEADS[Phase.PREFILL]


def sequence_of(config: RunConfig, blocks: Written) -> tuple[Sequence, Plan]:
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    sequence, builder = straight(config, graph, blocks)
    return sequence, builder.build()


def edges_of(edges: Edges) -> list[tuple[int, int]]:
    source = np.repeat(np.arange(edges.start.size - 1), np.diff(edges.start))
    return sorted(zip(source.tolist(), edges.targets.tolist(), strict=True))


# -- skipping ---------------------------------------------------------------------------------------------------------


def test_whoever_waits_for_a_skipped_task_waits_for_the_joint() -> None:
    plan = PlanBuilder(load("demo").chip)
    op = plan.operator("o")

    def work(after: np.ndarray | None = None, **more: np.ndarray) -> np.ndarray:
        return plan.compute(np.arange(2), "vector", Tile(op, actions.ELEMENTWISE), 5, after, **more)

    first = work()
    plan.skip(first)
    skipped = work(first)
    skipped_too = work(skipped, tasks=plan.reserve(2))
    assert plan.resume() == 4
    assert np.unique([*first, *skipped, *skipped_too]).size == 6
    later = work(skipped_too)
    reserved = plan.reserve(2)
    work(later)
    work(first, tasks=reserved)
    built = plan.build()
    joint = 2
    assert built.n_tasks == 2 + 1 + 2 + 2 + 2
    assert built.kind.tolist() == [COMPUTE] * 2 + [SYNC] + [COMPUTE] * 6
    assert edges_of(built.on_done)[:4] == [(0, joint), (0, 5), (1, joint), (1, 6)]
    assert {(joint, 3), (joint, 4)} <= set(edges_of(built.on_done))
    assert built.row[built.kind == COMPUTE].tolist() == [0, 1, 2, 3, 6, 7, 4, 5]


def test_a_stretch_is_skipped_by_itself_and_to_its_end() -> None:
    plan = PlanBuilder(load("demo").chip)
    with pytest.raises(CairnError, match="no stretch"):
        plan.resume()
    nothing = np.empty(0, dtype=np.int64)
    plan.skip(nothing)
    with pytest.raises(CairnError, match="by itself"):
        plan.skip(nothing)
    with pytest.raises(CairnError, match="still being skipped"):
        plan.build()
    plan.resume()
    plan.skip(nothing)
    plan.reserve(1)
    with pytest.raises(CairnError, match="belong to it"):
        plan.resume()
    other = PlanBuilder(load("demo").chip)
    other.reserve(1)
    with pytest.raises(CairnError, match="reserved"):
        other.skip(nothing)


# -- plans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("run", "asked"), [("llama-2-13b-prefill", PREFILL), ("llama-2-13b-decode", DECODE)])
def test_a_plan_with_a_lead_is_the_plan_of_two_blocks_without_the_beginning(run: str, asked: Lead) -> None:
    config = load(run, ["model=llama-3.2-1b", "chip.cores.rows=4", "chip.cores.columns=4"])
    (sequence, lead), (_, whole) = (sequence_of(config, Written(7, PAIR, 100, each)) for each in (asked, None))
    first, begin = sequence.runs[0].first, 0
    name = begin_of(asked, next(s.block for s in sequence.graph.segments if s.repeat > 1))
    number = whole.operators.index(f"layer/{name}")
    mine = np.flatnonzero(whole.block == first)
    begin = int(mine[np.flatnonzero(whole.op[mine] == number)[0]])
    end = mine[0]
    kept = np.r_[:end, begin : whole.n_tasks]
    written = np.r_[:end, end + 1 : lead.n_tasks]
    assert begin - end > 100
    assert lead.kind[end] == SYNC
    assert lead.notes[LEAD_ONLY]
    for column in ("queue", "duration", "server", "op", "block", "kind"):
        assert np.array_equal(getattr(whole, column)[kept], getattr(lead, column)[written]), column
    for kind, table in ((COMPUTE, "compute"), (COPY, "copies")):
        rows = [
            getattr(plan, table)[plan.row[tasks][plan.kind[tasks] == kind]]
            for plan, tasks in ((whole, kept), (lead, written))
        ]
        if kind == COPY:  # tensors are numbered as they are named
            rows = [each[:, 1:] for each in rows]
        assert np.array_equal(*rows)
    place = np.full(whole.n_tasks, end)
    place[kept] = written
    for event in ("on_done", "on_first"):
        target = [pair for pair in edges_of(getattr(whole, event)) if pair[1] < end or pair[1] >= begin]
        moved = sorted((int(place[a]), int(place[b])) for a, b in target)
        assert [pair for pair in edges_of(getattr(lead, event)) if pair[1] != end] == moved


def test_blocks_of_few_tasks_are_written_as_without_a_lead() -> None:
    config = load("demo")
    leads = LEADS[Phase.DECODE], None
    (one, with_lead), (other, without) = (sequence_of(config, Written(7, PAIR, lead=lead)) for lead in leads)
    assert one.labels == other.labels
    assert LEAD_ONLY not in with_lead.notes
    for column in ("queue", "duration", "op", "row", "waits"):
        assert np.array_equal(getattr(with_lead, column), getattr(without, column))


def test_the_last_part_has_enough_of_operations_and_bytes() -> None:
    for run, lead, name in (("llama-2-13b-prefill", PREFILL, "down"), ("llama-2-13b-decode", DECODE, "gate_up")):
        config = load(run)
        graph = build_graph(config.model, config.workload, config.routing, config.seed)
        block = next(s.block for s in graph.segments if s.repeat > 1)
        assert begin_of(lead, block) == name
        assert begin_of(lead._replace(ops=1.0), block) is None


# -- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs() -> tuple[RunRecord, RunRecord]:
    chip = ["chip.cores.rows=8", "chip.cores.columns=16", "chip.sram.capacity_kib=384"]
    loose, usual = (load("llama-2-13b-decode", [*chip, *more]) for more in (["engine.tolerance=0.01"], []))
    return simulate(loose), simulate(usual)


def test_a_lead_and_a_block_give_the_time_of_all(runs: tuple[RunRecord, RunRecord]) -> None:
    loose, usual = runs
    ((pair,), (more,)) = loose.repetitions, usual.repetitions
    assert pair.simulated == 1 < more.simulated
    assert 0 < pair.lead_ps < pair.period_ps
    assert pair.change <= pair.tolerance == 0.01
    assert loose.total_ps == loose.trace.makespan + (pair.repeat - 1) * pair.period_ps - pair.lead_ps
    assert loose.total_ps == pytest.approx(usual.total_ps, rel=pair.change)
    assert pair.change >= COLD / pair.repeat


def test_loose_tolerances_alone_ask_for_a_lead() -> None:
    for run, phase in (("llama-2-13b-prefill", Phase.PREFILL), ("llama-2-13b-decode", Phase.DECODE)):
        even = LEADS[phase]._replace(uneven=0.0)  # the units of the shipped prefill have work
        for more, lead in (["engine.tolerance=0.01"], even), ([], None), (["engine.tolerance=0.01", FEW], None):
            config = load(run, more)
            graph = build_graph(config.model, config.workload, config.routing, config.seed)
            assert _first_try(config, graph).lead == lead
    assert Phase.MIXED not in LEADS


def test_a_prefill_whose_units_wait_has_a_lead_if_blocks_may_be_uneven() -> None:
    even, uneven, narrow = PREFILL._replace(uneven=0.0), PREFILL, ["chip.noc.link_bytes_per_cycle=2"]
    least = COLD / 40 + 39 / 40 * PREFILL.uneven
    for tolerance, more, lead in (
        (0.01, [], even), (0.01, narrow, None), (least * 0.999, narrow, None), (least * 1.001, narrow, uneven)
    ):  # fmt: skip
        config = load("llama-2-13b-prefill", [f"engine.tolerance={tolerance}", *more])
        graph = build_graph(config.model, config.workload, config.routing, config.seed)
        assert _first_try(config, graph).lead == lead


def test_a_prefill_with_a_lead_takes_about_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load("llama-2-13b-prefill", [*LARGE_BLOCKS, "engine.tolerance=0.01"])
    lead = simulate(config)
    monkeypatch.setattr("cairn.sim.run.LEADS", {})
    whole = simulate(config)
    ((pair,), (both,)) = lead.repetitions, whole.repetitions
    assert (pair.simulated, both.simulated) == (1, 2)
    assert lead.plan.n_tasks < 0.7 * whole.plan.n_tasks
    assert COLD / pair.repeat <= pair.change <= pair.tolerance
    assert lead.total_ps == pytest.approx(whole.total_ps, rel=pair.change)
    assert Result(lead).operators["time_us"].sum() == pytest.approx(lead.total_ps * 1e-6)


def test_a_lead_counts_for_nothing(runs: tuple[RunRecord, RunRecord]) -> None:
    loose, usual = runs
    first = next(index for index, name in enumerate(loose.block_name) if " from " in name)
    assert loose.block_weight[first : first + 2].tolist() == [0, loose.repetitions[0].repeat]
    assert loose.block_weight.sum() == usual.block_weight.sum()
    done, all_done = count_work(loose), count_work(usual)
    assert np.array_equal(done.matrix_ops, all_done.matrix_ops)
    for name in ("vector_ops", "moved", "hop_bytes", "sram_bytes"):  # the first block finds its input lying otherwise
        assert getattr(done, name).sum() == pytest.approx(getattr(all_done, name).sum(), rel=2e-3), name
    operators = Result(loose).operators
    assert operators["time_us"].sum() == pytest.approx(loose.total_ps * 1e-6)
    assert (operators["time_us"] >= 0).all()


def test_a_plan_with_a_lead_has_no_numbers(runs: tuple[RunRecord, RunRecord]) -> None:
    plan = Plan(**{**vars(runs[0].plan), "notes": {LEAD_ONLY: True}})
    with pytest.raises(CairnError, match=r"engine\.exact"):
        execute(plan, None, [], {})


def test_what_is_found_out_about_a_kept_plan_is_found_out_once() -> None:
    kept, asked = KeptPlan(), []
    config = load("demo", ["engine.tolerance=0.01"])
    plan = simulate(config, kept=kept).plan

    def find() -> int:
        asked.append(1)
        return len(asked)

    assert [kept.known(plan, question, find) for question in ("a", "a", "b")] == [1, 1, 2]
    other = simulate(load("demo", ["workload.batch=2"]), kept=kept).plan
    assert kept.known(plan, "a", find) == 3  # no longer kept
    assert [kept.known(other, "a", find) for _ in range(2)] == [4, 4]
