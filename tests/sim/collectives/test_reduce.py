"""Reduce, broadcast and all-reduce: numbers end where they should, in the cycles that the closed forms say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import CairnError, ConfigError
from cairn.hw_models.noc.analytical import NocArrays, transfer_cycles
from cairn.sim.collectives import trees
from cairn.sim.collectives.closed_form import (
    Adding,
    binomial_cycles,
    broadcast_cycles,
    chain_cycles,
    phases_cycles,
    reduce_cycles,
    relay_cycles,
    ring_all_reduce_cycles,
    ring_cycles,
)
from cairn.sim.collectives.reduce import Work, all_reduce, broadcast, reduce, reduce_in_phases
from cairn.sim.collectives.rings import Ring, all_gather, interleaved, reduce_scatter, ring_all_reduce
from cairn.sim.engine.compiled import simulate_plan
from cairn.sim.plan.builder import Region
from cairn.sim.plan.plan import DRAM, SRAM
from tests.sim.collectives.meshes import Bench, cycles, mesh

TREES = {
    "chain": lambda p: trees.chain(p),
    "chain from both sides": lambda p: trees.chain(p, p // 2),
    "star": lambda p: trees.star(p, p // 3),
    "binomial": trees.binomial,
    "two-phase": lambda p: trees.two_phase(p, trees.group_count(p)),
    "two-phase to the end": lambda p: trees.two_phase(p, trees.group_count(p), middle=False),
    "3-tree": lambda p: trees.k_tree(trees.even_factors(p, 3)),
}


def _line_bench(rows, columns, words, lines_along_rows=True, seed=0):
    bench = Bench(mesh(rows, columns), 2, words)
    random = np.random.default_rng(seed)
    values = {core: random.normal(size=(2, words)) for core in range(rows * columns)}
    bench.hold(values)
    grid = np.arange(rows * columns).reshape(rows, columns)
    return bench, (grid if lines_along_rows else grid.T), values


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("size", [1, 2, 12])
def test_a_reduction_leaves_the_sum_at_the_root_of_every_line(name, size, streams):
    bench, cores, values = _line_bench(size, 3, 5, lines_along_rows=False)
    tree = TREES[name](size)
    reduce(Work(bench.plan, cores, bench.part(), bench.op, streams), tree)
    _, outcome = bench.run()
    for line in cores:
        expected = sum(values[core] for core in line)
        np.testing.assert_allclose(outcome.sram("y", line[tree.root]), expected)


@pytest.mark.parametrize("how", ["routers", "relay"])
@pytest.mark.parametrize("name", [*TREES, "phases"])
def test_an_all_reduce_leaves_the_sum_on_all_cores_of_every_line(name, how):
    bench, cores, values = _line_bench(2, 12, 7)
    tree = (4, 3) if name == "phases" else TREES[name](12)
    all_reduce(Work(bench.plan, cores, bench.part(), bench.op), tree, how=how)
    _, outcome = bench.run()
    for line in cores:
        expected = sum(values[core] for core in line)
        for core in line:
            np.testing.assert_allclose(outcome.sram("y", core), expected)


NOC = NocArrays.of(mesh(1, 2).noc)


def _time(size, words, write, **chip):
    """Cycles of a collective of `words` words on one row of `size` cores."""
    bench = Bench(mesh(1, size, **chip), 1, words)
    write(Work(bench.plan, np.arange(size)[None], bench.part(), bench.op))
    return cycles(simulate_plan(bench.plan.build(), bench.chip.servers()))


@pytest.mark.parametrize("words", [1, 16, 300])
@pytest.mark.parametrize("size", [2, 12, 24])
@pytest.mark.parametrize("name", TREES)
def test_a_reduction_takes_the_cycles_of_the_closed_form(name, size, words):
    tree = TREES[name](size)
    for adding in (Adding(), Adding(streams=False), Adding(streams=False, add_cycles=words)):
        options = {"streams": adding.streams, "add_cycles": adding.add_cycles}
        simulated = _time(size, words, lambda work, o=options: reduce(replace(work, **o), tree))
        assert simulated == reduce_cycles(NOC, tree, 4 * words, adding)


@pytest.mark.parametrize("words", [1, 40])
def test_explicit_forms_are_those_of_their_trees(words):
    stored = {"streams": False}
    for size in (2, 5, 32):
        assert chain_cycles(NOC, size, 4 * words) == _time(size, words, lambda w, n=size: reduce(w, trees.chain(n)))
    for size in (4, 32):
        write = lambda w, n=size: reduce(replace(w, **stored), trees.binomial(n))  # noqa: E731
        assert binomial_cycles(NOC, size, 4 * words) == _time(size, words, write)
    for group, groups in ((4, 4), (6, 3), (8, 8)):
        for middle in (True, False):
            options = {"factors": (group, groups), "middle": middle}
            simulated = _time(group * groups, words, lambda w, o=options: reduce_in_phases(w, **o))
            assert phases_cycles(NOC, (group, groups), 4 * words, middle=middle) == simulated


@pytest.mark.parametrize("words", [1, 33])
@pytest.mark.parametrize(("size", "root"), [(2, 0), (9, 4), (12, 7), (12, 0)])
def test_a_broadcast_takes_the_way_to_the_farther_end(size, root, words):
    assert _time(size, words, lambda w: broadcast(w, root)) == broadcast_cycles(NOC, size, root, 4 * words)
    if root == 0:
        assert _time(size, words, lambda w: broadcast(w, 0, how="relay")) == relay_cycles(NOC, size, 4 * words)


def test_routers_hand_data_to_a_core_when_a_transfer_to_it_alone_would_be_there():
    bench = Bench(mesh(1, 9), 1, 5)
    have = broadcast(Work(bench.plan, np.arange(9)[None], bench.part(), bench.op), 2)
    trace = simulate_plan(bench.plan.build(), bench.chip.servers())
    distance = np.abs(np.arange(9) - 2)
    there = np.delete(trace.end[have[0]] // 1000, 2)
    np.testing.assert_array_equal(there, transfer_cycles(NOC, np.delete(distance, 2), 20))


RINGS = {"line": np.arange, "interleaved": interleaved}


def _ring_bench(name, size, words, streams, lines=2):
    order = RINGS[name](size)
    bench = Bench(mesh(lines, size), 1, size * words)
    cores = (np.arange(lines)[:, None] * size) + order
    first = np.arange(size)[None] * words
    return bench, Ring(bench.plan, cores, bench.part((first, first + words)), bench.op, streams)


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("name", RINGS)
def test_a_ring_gathers_scatters_and_does_both(name, streams):
    size, words = 7, 3
    random = np.random.default_rng(1)
    for collective in (all_gather, reduce_scatter, ring_all_reduce):
        bench, ring = _ring_bench(name, size, words, streams)
        values = {int(core): random.normal(size=(1, size * words)) for core in ring.cores.ravel()}
        if collective is all_gather:
            for core, member in zip(ring.cores[0], range(size), strict=True):
                rest = np.arange(size * words) // words != member
                values[int(core)][:, rest] = np.nan
        bench.hold({core: values[core] for core in ring.cores[0].tolist()} if collective is all_gather else values)
        if collective is all_gather:
            ring = replace(ring, cores=ring.cores[:1])
        collective(ring)
        _, outcome = bench.run()
        for line in ring.cores:
            total = np.nansum([values[int(core)] for core in line], axis=0)
            for member, core in enumerate(line):
                own = slice(member * words, (member + 1) * words) if collective is reduce_scatter else slice(None)
                np.testing.assert_allclose(outcome.sram("y", core)[:, own], total[:, own])


@pytest.mark.parametrize("name", RINGS)
@pytest.mark.parametrize("words", [1, 8, 50])
@pytest.mark.parametrize("size", [3, 8, 21])
def test_rings_take_the_cycles_of_the_closed_form(name, size, words):
    hops = np.abs(np.diff(RINGS[name](size), append=RINGS[name](size)[0]))
    for collective, form, error in (
        (all_gather, ring_cycles(NOC, hops, 4 * words), 0.0),
        (reduce_scatter, ring_cycles(NOC, hops, 4 * words) + 1, 0.0),
        (ring_all_reduce, ring_all_reduce_cycles(NOC, hops, 4 * words), 0.06),
    ):
        bench, ring = _ring_bench(name, size, words, True, lines=1)
        collective(ring)
        simulated = cycles(simulate_plan(bench.plan.build(), bench.chip.servers()))
        assert (1 - error) * form <= simulated <= form


def test_what_does_not_fit_a_line_is_refused():
    bench = Bench(mesh(2, 4), 1, 4)
    work = Work(bench.plan, np.arange(8).reshape(2, 4), bench.part(), bench.op)
    with pytest.raises(ConfigError, match="a tree of 5 cores cannot reduce lines of 4"):
        reduce(work, trees.chain(5))
    with pytest.raises(ConfigError, match=r"groups \(3\) must divide the cores of a line \(4\)"):
        trees.two_phase(4, 3)
    with pytest.raises(ConfigError, match="every position of a tree leads to its root"):
        trees.Tree((-1, 2, 1))
    with pytest.raises(ConfigError, match="needs at least three cores, got 2"):
        interleaved(2)
    with pytest.raises(ConfigError, match="straight lines"):
        broadcast(replace(work, cores=np.array([[0, 1, 5, 4]])), 0)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_tree_sums_every_part_once_and_never_beats_its_words(data):
    size, words = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 20))
    names = data.draw(st.permutations(range(size)))  # each core sends to one that stands before it in this order
    parent = [-1] * size
    for place in range(1, size):
        parent[names[place]] = names[data.draw(st.integers(0, place - 1))]
    tree = trees.Tree(tuple(parent))
    bench, cores, values = _line_bench(1, size, words)
    options = {"streams": data.draw(st.booleans()), "add_cycles": data.draw(st.sampled_from([None, 0, 3]))}
    reduce(Work(bench.plan, cores, bench.part(), bench.op, **options), tree)
    trace, outcome = bench.run()
    np.testing.assert_allclose(outcome.sram("y", tree.root), sum(values.values()))
    received = max(tree.parent.count(position) for position in range(size)) * 2 * words
    assert cycles(trace) >= received + (5 if size > 1 else 0)


def test_routers_hand_out_data_between_cores_alone():
    bench = Bench(mesh(1, 3), 1, 4)
    here, above = Region(SRAM, 0, bench.part()), Region(DRAM, 0, bench.part(), (0, 1, 0, 16, 0))
    with pytest.raises(CairnError, match="routers hand data from the SRAM of a core to that of others"):
        bench.plan.tap(here, above, bench.op, 5)
