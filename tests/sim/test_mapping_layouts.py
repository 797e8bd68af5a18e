"""Where activations lie: parts of an embedding on cores, and the way that a change of layout takes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from cairn.sim.config.run_config import load
from cairn.sim.mapping.context import Scope, Stage
from cairn.sim.mapping.embedding import dealt, runs
from cairn.sim.mapping.pieces import Pieces, wanted
from cairn.sim.mapping.sequence import whole_grid
from cairn.sim.plan.builder import PlanBuilder
from cairn.sim.plan.plan import COPY_COLUMNS
from cairn.workloads.build import build_graph

TOKENS = st.lists(st.integers(0, 40), min_size=1, max_size=80)


@given(TOKENS, st.integers(1, 20))
def test_every_row_of_an_embedding_is_read_once_and_cores_have_equal_parts(tokens: list[int], cores: int) -> None:
    row, core, place = dealt(np.array(tokens), cores)
    assert row.tolist() == sorted(set(tokens))
    counts = np.bincount(core, minlength=cores)
    assert counts.size == cores
    assert counts.max() - counts.min() <= 1
    for each in range(cores):
        assert sorted(place[core == each].tolist()) == list(range(counts[each]))


@given(st.integers(1, 200), st.integers(1, 20))
def test_different_tokens_of_a_core_follow_each_other(tokens: int, cores: int) -> None:
    rows = np.random.default_rng(tokens).permutation(1000)[:tokens]
    row, core, _ = dealt(rows, cores)
    of_token = core[np.searchsorted(row, rows)]
    begin, end = runs(of_token)
    assert begin[0] == 0
    assert end[-1] == tokens
    assert np.array_equal(begin[1:], end[:-1])
    if tokens > cores:
        assert begin.size == cores
        assert np.array_equal(of_token, np.sort(of_token))


def copies_of(have: Pieces, want: Pieces) -> npt.NDArray[np.int64]:
    """The copy table of a change of layout of the hidden state of a prefill on 16 cores."""
    sets = ["chip.cores.rows=4", "chip.cores.columns=4", "model.layers=1", "workload.new_tokens=2048"]
    config = load("llama-2-13b-prefill", sets)
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    block = next(segment.block for segment in graph.segments if segment.block.input)
    plan = PlanBuilder(config.chip)
    stage = Stage.on(plan, whole_grid(config.chip, config.mapping), config.mapping, 0)
    scope = Scope(stage, block, "block", {operator.name: plan.operator(operator.name) for operator in block.operators})
    name = block.input
    assert name is not None
    scope.pieces[name] = Pieces(have.core, have.rect, plan.sync(None, have.count))
    moved = scope.bring(name, want, 0)
    assert np.array_equal(moved.rect, want.rect)
    return plan.build().copies


def test_few_large_pieces_go_directly_and_many_small_ones_over_an_even_layout() -> None:
    core = np.arange(16)
    rows, columns = np.arange(17) * 128, np.arange(17) * 320
    by_rows = wanted(core, rows[:-1], rows[1:], 0, 5120)
    by_columns = wanted(core, 0, 2048, columns[:-1], columns[1:])
    each_row = np.arange(2048)
    dealt_rows = wanted(each_row % 16, each_row, each_row + 1, 0, 5120)
    narrow = np.arange(321) * 16
    many_columns = wanted(np.arange(320) % 16, 0, 2048, narrow[:-1], narrow[1:])
    size = COPY_COLUMNS.index("bytes")
    once = 2048 * 5120 * 2 * 15 / 16

    few = copies_of(by_rows, by_columns)
    assert len(few) == 16 * 15
    assert few[:, size].sum() == once

    many = copies_of(dealt_rows, many_columns)
    assert len(many) < 2048 * 300 / 10
    assert many[:, size].sum() > once


def test_pieces_whose_bytes_take_longer_than_their_starts_go_directly_however_many_they_are() -> None:
    rows, columns = np.arange(129) * 16, np.arange(17) * 320
    in_parts = wanted(np.arange(128) % 16, rows[:-1], rows[1:], 0, 5120)
    by_columns = wanted(np.arange(16), 0, 2048, columns[:-1], columns[1:])
    copies = copies_of(in_parts, by_columns)
    assert len(copies) == 128 * 15
    assert copies[:, COPY_COLUMNS.index("bytes")].sum() == 2048 * 5120 * 2 * 15 / 16
