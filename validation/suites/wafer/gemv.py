"""A vector of 16K times a matrix on the wafer: the cycles of WaferLLM's table 6, and its gain over a pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from cairn.hw_models.chip import ChipSpec, CoreGrid
from cairn.sim.collectives.gemv import Gemv, k_tree_factors, mesh_gemv
from cairn.sim.collectives.reduce import Work, all_reduce, reduce_in_phases
from cairn.sim.collectives.trees import Tree, chain
from cairn.sim.plan import actions
from cairn.sim.plan.builder import PlanBuilder, Slice, Tile
from cairn.sim.run import run_plan
from cairn.sim.wafer.spec import ROUTING_STAGE_CYCLES
from cairn.validation.rows import Row

SIZE: Final = 16384
SIDES: Final = (360, 480, 600, 720)
WHOLE: Final = ((12, 5), (24, 11))
"""Side of the mesh and elements of a tile's side that are simulated whole."""
PAPER: Final = "wafer/waferllm_measured.yaml, table6_gemv; wafer/waferllm_algorithms.yaml, utilisation_statements"
ELEMENT_BYTES: Final = 2
GAIN: Final = 4.6


def rows(chip: ChipSpec, measured: dict[str, Any]) -> Iterator[Row]:
    """Lines against whole meshes; GEMV 16K by mesh, without and with the broadcast of the result, and the pipeline."""
    for side, tile in WHOLE:
        yield Row(
            f"gemv_line/{side}x{tile}", "gemv, line for mesh", _whole(chip, side, tile),
            line_cycles(chip, side, tile, k_tree_factors(side)), "cycles", "the whole mesh, simulated", ("gemv_line",),
        )  # fmt: skip
    if "derived_cycles_at_1.1GHz" not in measured.get("table6_gemv", {}):
        return
    cycles = float(measured["table6_gemv"]["derived_cycles_at_1.1GHz"])
    for side in SIDES:
        tile = -(-SIZE // side)
        everywhere = line_cycles(chip, side, tile, k_tree_factors(side))
        root = line_cycles(chip, side, tile, k_tree_factors(side), everywhere=False)
        slow = line_cycles(chip, side, tile, chain(side))
        yield Row(
            f"gemv/{side}", "gemv 16K", cycles, root, "cycles", PAPER,
            baselines={"result on all cores": everywhere}, remark="The table does not say how many cores it took.",
        )  # fmt: skip
        yield Row(
            f"gemv_gain/{side}", "gain over the pipeline", GAIN, slow / everywhere, "ratio", PAPER,
            remark="The text gives no size of the mesh.",
        )  # fmt: skip
        yield Row(f"gemv_order/{side}", "order, GEMV", everywhere, slow, "cycles", PAPER, ("k_tree_first",))


def _mesh(chip: ChipSpec, rows: int, columns: int) -> ChipSpec:
    noc = chip.noc.model_copy(update={"start_cycles": chip.noc.start + ROUTING_STAGE_CYCLES})
    return chip.model_copy(update={"cores": CoreGrid(rows=rows, columns=columns), "noc": noc})


def line_cycles(
    chip: ChipSpec, side: int, tile: int, tree: Tree | Sequence[int], everywhere: bool = True
) -> float:  # fmt: skip
    """One column of the mesh, simulated: all columns do the same, and meet nowhere."""
    mesh = _mesh(chip, side, 1)
    plan = PlanBuilder(mesh)
    op, cores, bits = plan.operator("gemv"), np.arange(side), 8 * ELEMENT_BYTES
    cycles = mesh.matrix_cycles(1, tile, tile, bits, bits, bits)
    local = plan.compute(cores, "matrix", Tile(op, actions.MATMUL), cycles, None, 2 * tile * tile)[None]
    work = Work(plan, cores[None], Slice(plan.tensor("y"), (0, 1), (0, tile), tile * ELEMENT_BYTES), op)
    if everywhere or isinstance(tree, Tree):
        all_reduce(work, tree, local)
    else:
        reduce_in_phases(work, tree, ready=local)
    return run_plan(plan.build(), mesh).makespan * mesh.clock.den / mesh.clock.num


def _whole(chip: ChipSpec, side: int, tile: int) -> float:
    mesh = _mesh(chip, side, side)
    plan = PlanBuilder(mesh)
    tensors = plan.tensor("x"), plan.tensor("w"), plan.tensor("y")
    grid = np.arange(side * side).reshape(side, side)
    mesh_gemv(Gemv(plan, grid, plan.operator("gemv"), tensors, side * tile, side * tile))
    return run_plan(plan.build(), mesh).makespan * mesh.clock.den / mesh.clock.num
