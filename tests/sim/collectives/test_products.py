"""Products on meshes give NumPy's result, whatever the algorithm, with the tiles where they should be."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.base.errors import CairnError, ConfigError, InfeasibleError
from cairn.sim.collectives import trees
from cairn.sim.collectives.gemm import Gemm, compute_shift, cyclic, gather_all, mesh_gemm, summa
from cairn.sim.collectives.gemv import Gemv, mesh_gemv
from cairn.sim.collectives.paths import check_paths, paths_per_core
from cairn.sim.config.run_config import Engine
from cairn.sim.engine.compiled import simulate_plan
from cairn.sim.plan.builder import PlanBuilder
from cairn.sim.plan.instance import BlockInstance
from cairn.sim.plan.numbers import Held, execute
from cairn.sim.plan.plan import COMPUTE, COPY, Trace
from cairn.sim.run import run_plan
from cairn.workloads.graph import Block, Operator, OpKind, Role, Tensor
from tests.sim.collectives.meshes import cycles, mesh

ALGORITHMS = {
    "cannon": cyclic,
    "mesh_gemm": mesh_gemm,
    "summa, relayed": summa,
    "summa, by routers": lambda gemm: summa(gemm, "routers"),
    "all-gather": gather_all,
}


def _product(side, sizes, write, lockstep=True, rows=None, overlap=True, **chip):
    """Plan, chip and trace of a product on side x side cores (rows x side)."""
    built = mesh(rows or side, side, **chip)
    plan = PlanBuilder(built)
    grid = np.arange(side * side).reshape(side, side)
    tensors = (plan.tensor("a"), plan.tensor("b"), plan.tensor("c"))
    write(Gemm(plan, grid, plan.operator("bench/product"), tensors, sizes, 2, lockstep, overlap))
    done = plan.build()
    return done, built, simulate_plan(done, built.servers())


def _executed(plan, trace, sizes, held):
    m, n, k = sizes
    operator = Operator("product", OpKind.MATMUL, ("a", "b"), ("c",))
    shapes = (("a", Role.ACTIVATION, m, k), ("b", Role.WEIGHT, k, n), ("c", Role.ACTIVATION, m, n))
    block = Block("bench", (operator,), tuple(Tensor(*shape, 16) for shape in shapes), None, "c")
    return execute(plan, trace, [BlockInstance(0, "", block)], {}, held)


def _matrices(sizes):
    m, n, k = sizes
    random = np.random.default_rng(3)
    return random.normal(size=(m, k)), random.normal(size=(k, n))


def _tiles(matrix, name, side, order):
    """Tile (i, l) of a matrix on the core at (position i, position l) of the ring order."""
    rows, columns = ([index * size // side for index in range(side + 1)] for size in matrix.shape)
    held = []
    for i in range(side):
        for j in range(side):
            rect = (rows[i], rows[i + 1], columns[j], columns[j + 1])
            core = int(order[i] * side + order[j])
            held.append(Held(core, name, rect, matrix[rect[0] : rect[1], rect[2] : rect[3]]))
    return held


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.parametrize("sizes", [(5, 5, 5), (11, 13, 17)])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_product_on_a_mesh_is_that_of_numpy(name, sizes, lockstep, overlap):
    side = 5
    if "routers" in name and not lockstep:
        with pytest.raises(ConfigError, match="must not meet others on their line"):
            _product(side, sizes, ALGORITHMS[name], lockstep)
        return
    plan, _, trace = _product(side, sizes, ALGORITHMS[name], lockstep, overlap=overlap)
    a, b = _matrices(sizes)
    order = np.array([0, 2, 4, 3, 1]) if name == "mesh_gemm" else np.arange(side)
    outcome = _executed(plan, trace, sizes, _tiles(a, "a", side, order) + _tiles(b, "b", side, order))
    np.testing.assert_allclose(outcome.gathered("c"), a @ b)
    place = np.argsort(order)
    first, last = (sizes[0] * place[2] // side, sizes[0] * (place[2] + 1) // side)
    assert not np.isnan(outcome.sram("c", 2 * side)[first:last]).all()


def test_t10s_ring_gives_the_product_too():
    sizes, side = (4, 9, 10), 4
    order = np.array([0, 2, 3, 1])
    plan, _, trace = _product(side, sizes, lambda gemm: compute_shift(gemm, gemm.grid[0], order))
    a, b = _matrices(sizes)
    held = []
    for member, core in enumerate(order.tolist()):
        k, n = ((member * size // side, (member + 1) * size // side) for size in (10, 9))
        held += [Held(core, "a", (0, 4, *k), a[:, slice(*k)]), Held(core, "b", (0, 10, *n), b[:, slice(*n)])]
    np.testing.assert_allclose(_executed(plan, trace, sizes, held).gathered("c"), a @ b)


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("tree", [None, trees.chain(6), (3, 2), trees.binomial(6)])
def test_a_vector_times_a_matrix_is_that_of_numpy_on_every_core_of_a_line(axis, tree):
    side, k, n = 6, 20, 15
    chip = mesh(side, side)
    plan = PlanBuilder(chip)
    grid = np.arange(side * side).reshape(side, side)
    tensors = plan.tensor("a"), plan.tensor("b"), plan.tensor("c")
    mesh_gemv(Gemv(plan, grid, plan.operator("bench/product"), tensors, k, n, axis), tree)
    done = plan.build()
    a, b = _matrices((1, n, k))
    edges = [[index * size // side for index in range(side + 1)] for size in (k, n)]
    lines, held = (grid.T if axis == "y" else grid), []
    for line in range(side):
        for at in range(side):
            rows, columns = edges[0][at : at + 2], edges[1][line : line + 2]
            core = int(lines[line, at])
            held.append(Held(core, "a", (0, 1, *rows), a[:, slice(*rows)]))
            held.append(Held(core, "b", (*rows, *columns), b[slice(*rows), slice(*columns)]))
    outcome = _executed(done, simulate_plan(done, chip.servers()), (1, n, k), held)
    for line in range(side):
        for core in lines[line]:
            columns = slice(edges[1][line], edges[1][line + 1])
            np.testing.assert_allclose(outcome.sram("c", int(core))[:, columns], (a @ b)[:, columns])


def test_paths_of_a_core_do_not_grow_with_the_mesh_but_for_broadcasts_by_routers():
    def most(name, side):
        plan, chip, _ = _product(side, (side,) * 3, ALGORITHMS[name], start_cycles=3)
        return int(paths_per_core(plan, chip).max())

    assert most("summa, by routers", 12) - most("summa, by routers", 8) == 8  # 2 N
    assert most("summa, relayed", 12) == most("summa, relayed", 8) == 8
    assert most("all-gather", 12) == most("all-gather", 8)
    plan, chip, _ = _product(8, (8, 8, 8), ALGORITHMS["summa, by routers"])
    with pytest.raises(InfeasibleError, match="paths that a core knows"):
        check_paths(plan, chip, 15)
    check_paths(plan, chip, 16)


def test_mesh_gemm_shifts_two_hops_and_cannon_over_the_whole_line():
    times = {}
    for side in (6, 12):
        for name in ("cannon", "mesh_gemm"):
            times[name, side] = cycles(_product(side, (side,) * 3, ALGORITHMS[name])[2]) / side
    assert times["cannon", 12] - times["cannon", 6] > 5
    assert times["mesh_gemm", 12] - times["mesh_gemm", 6] < 3


def test_what_a_product_on_a_mesh_cannot_do_is_refused():
    with pytest.raises(ConfigError, match=r"at least the side of the mesh \(4\)"):
        _product(4, (4, 3, 4), cyclic)
    with pytest.raises(ConfigError, match="at least three cores, got 2"):
        _product(2, (4, 4, 4), mesh_gemm)
    with pytest.raises(InfeasibleError, match="SRAM capacity of a core"):
        _product(2, (2000, 2000, 2000), cyclic)


def test_a_product_takes_up_the_vector_of_the_one_before_it_along_the_other_axis():
    """x W1 W2, as the projections of a layer follow each other: sums along columns, then along rows."""
    side, k, n = 4, 9, 11
    chip = mesh(side, side)
    plan = PlanBuilder(chip)
    grid = np.arange(side * side).reshape(side, side)
    x, w1, h, w2, y = (plan.tensor(name) for name in ("x", "w1", "h", "w2", "y"))
    first = mesh_gemv(Gemv(plan, grid, plan.operator("bench/up"), (x, w1, h), k, n, "y"))
    mesh_gemv(Gemv(plan, grid, plan.operator("bench/down"), (h, w2, y), n, k, "x"), ready=first)
    done = plan.build()
    random = np.random.default_rng(5)
    values, up, down = random.normal(size=(1, k)), random.normal(size=(k, n)), random.normal(size=(n, k))
    of_k, of_n = ([index * size // side for index in range(side + 1)] for size in (k, n))
    held = []
    for i in range(side):
        for j in range(side):
            rows, columns, core = slice(*of_k[i : i + 2]), slice(*of_n[j : j + 2]), int(grid[i, j])
            held.append(Held(core, "x", (0, 1, rows.start, rows.stop), values[:, rows]))
            held.append(Held(core, "w1", (rows.start, rows.stop, columns.start, columns.stop), up[rows, columns]))
            held.append(Held(core, "w2", (columns.start, columns.stop, rows.start, rows.stop), down[columns, rows]))
    operators = (
        Operator("up", OpKind.MATMUL, ("x", "w1"), ("h",)), Operator("down", OpKind.MATMUL, ("h", "w2"), ("y",)),
    )  # fmt: skip
    shapes = (("x", "ACTIVATION", 1, k), ("w1", "WEIGHT", k, n), ("h", "ACTIVATION", 1, n), ("w2", "WEIGHT", n, k),
              ("y", "ACTIVATION", 1, k))  # fmt: skip
    block = Block("bench", operators, tuple(Tensor(a, Role[b], c, d, 16) for a, b, c, d in shapes), None, "y")
    trace = simulate_plan(done, chip.servers())
    outcome = execute(done, trace, [BlockInstance(0, "", block)], {}, held)
    for core in range(side * side):
        rows = slice(*of_k[core // side : core // side + 2])
        np.testing.assert_allclose(outcome.sram("y", core)[:, rows], (values @ up @ down)[:, rows])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_without_overlap_nothing_moves_while_a_core_computes(name):
    counts = []
    for overlap in (True, False):
        plan, _, trace = _product(5, (15, 15, 15), ALGORITHMS[name], overlap=overlap)
        computes = plan.kind == COMPUTE
        moves = plan.kind == COPY
        begins, ends = trace.start[moves][:, None], trace.end[moves][:, None]
        counts.append(int(((begins < trace.end[computes]) & (trace.start[computes] < ends)).sum()))
    assert counts[0] > 0
    assert counts[1] == 0


@pytest.mark.parametrize("name", ["mesh_gemm", "summa, relayed", "all-gather"])
def test_both_engines_run_a_product_alike(name):
    plan, chip, trace = _product(3, (4, 3, 5), ALGORITHMS[name], lockstep=False)
    slow = run_plan(plan, chip, Engine.REFERENCE)
    for column in ("start", "first", "end"):
        np.testing.assert_array_equal(getattr(trace, column), getattr(slow, column))


def test_a_dependence_that_is_missing_shows_on_numbers():
    """A shift that does not wait for its tile sends what is not there."""
    sizes, side = (6, 6, 6), 3
    plan, _, _ = _product(side, sizes, mesh_gemm, lockstep=False)
    a, b = _matrices(sizes)
    order = np.array([0, 2, 1])
    held = _tiles(a, "a", side, order) + _tiles(b, "b", side, order)
    nobody = np.zeros_like(plan.waits)
    at_once = Trace(nobody, nobody, nobody + 1, ())
    with pytest.raises(CairnError, match=r"core \d has no [ab]\["):
        _executed(plan, at_once, sizes, held)
    with pytest.raises(CairnError, match="the plan has no tensor 'd'"):
        _executed(plan, None, sizes, [Held(0, "d", (0, 1, 0, 1), np.zeros((1, 1)))])
