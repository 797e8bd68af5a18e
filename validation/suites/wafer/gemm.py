"""Products on the wafer: MeshGEMM against Cannon, SUMMA and all-gather, and what the paper says of them in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

import numpy as np

from cairn.hw_models.chip import ChipSpec, CoreGrid
from cairn.sim.collectives.gemm import Gemm, cyclic, gather_all, mesh_gemm, summa
from cairn.sim.collectives.gemm_form import ALGORITHMS, Algorithm, Product, gemm_cycles
from cairn.sim.collectives.paths import paths_per_core
from cairn.sim.plan.builder import PlanBuilder
from cairn.sim.plan.plan import Plan
from cairn.sim.run import run_plan
from cairn.sim.wafer.spec import ROUTING_STAGE_CYCLES
from cairn.validation.rows import Row

WRITERS: Final[dict[str, Callable[[Gemm], object]]] = {
    "mesh_gemm": mesh_gemm, "cannon": cyclic, "summa_routers": lambda gemm: summa(gemm, "routers"), "summa": summa,
    "all_gather": gather_all,
}  # fmt: skip
OTHERS: Final[tuple[Algorithm, ...]] = ("cannon", "summa_routers")
"""What MeshGEMM is held against; SUMMA as fast as it could be if cores knew all paths."""
STEPS: Final = ((True, "overlapped"), (False, "in_turn"))
"""The two ends between which a core lies: it moves tiles while it computes, wholly or not at all."""
LARGE_SAVING: Final = 0.17
"""What MeshGEMM saves of the cycles of SUMMA and Cannon on large products, by the paper's text; no size is given."""
PAPER: Final = "wafer/waferllm_algorithms.yaml, utilisation_statements"
SIZES: Final = (2048, 4096, 8192)
SIDES: Final = (360, 480, 600, 720)
WHOLE: Final = ((8, 3), (16, 6), (24, 2), (24, 6))
"""Side of the mesh and elements of a tile's side that are simulated whole."""
CLOCK_GHZ: Final = 1.0
"""assumed: see reduce.py."""


@cache
def form(chip: ChipSpec, side: int, size: int, algorithm: Algorithm, overlap: bool) -> int:
    """Cycles of a square product in closed form."""
    return gemm_cycles(Product(chip, side, (size,) * 3, ROUTING_STAGE_CYCLES, overlap=overlap), algorithm)


def rows(chip: ChipSpec, colours: int) -> Iterator[Row]:
    """Forms against whole meshes, paths of a core (beside `colours`, those of WaferLLM's MeshGEMM), who is faster, what
    grows with the mesh, efficiency."""
    for side, tile in WHOLE:
        for algorithm in ALGORITHMS:
            for overlap, steps in STEPS:
                yield _whole_row(chip, algorithm, side, tile, overlap, steps)
    for algorithm in ALGORITHMS:
        yield _paths_row(chip, algorithm)
    yield Row(
        "paths/mesh_gemm/waferllm", "paths of a core", float(colours), _paths(chip, "mesh_gemm", 16), "paths",
        "wafer/wse2_hardware.yaml, routing_colors_used", remark="Colours of the kernel; on a core one for each path.",
    )  # fmt: skip
    for overlap, steps in STEPS:
        yield from _orders(chip, overlap, steps)
        yield from _trends(chip, overlap, steps)
        yield from _efficiencies(chip, overlap, steps)
    yield from _savings(chip)


def written(
    chip: ChipSpec, algorithm: Algorithm, side: int, tile: int, lockstep: bool = True, overlap: bool = True
) -> tuple[Plan, ChipSpec]:
    """A product with tiles of `tile` x `tile` as a plan, and its mesh; SUMMA and all-gather with software stages."""
    extra = 0 if algorithm in ("mesh_gemm", "cannon") else ROUTING_STAGE_CYCLES
    noc = chip.noc.model_copy(update={"start_cycles": chip.noc.start + extra})
    mesh = chip.model_copy(update={"cores": CoreGrid(rows=side, columns=side), "noc": noc, "clock_ghz": CLOCK_GHZ})
    plan = PlanBuilder(mesh)
    tensors = plan.tensor("a"), plan.tensor("b"), plan.tensor("c")
    grid = np.arange(side * side).reshape(side, side)
    sizes = (side * tile,) * 3
    WRITERS[algorithm](Gemm(plan, grid, plan.operator("gemm"), tensors, sizes, lockstep=lockstep, overlap=overlap))
    return plan.build(), mesh


def _cycles(plan: Plan, mesh: ChipSpec) -> float:
    return run_plan(plan, mesh).makespan * mesh.clock.den / mesh.clock.num


def _whole_row(chip: ChipSpec, algorithm: Algorithm, side: int, tile: int, overlap: bool, steps: str) -> Row:
    whole = _cycles(*written(chip, algorithm, side, tile, overlap=overlap))
    free = whole
    if algorithm != "summa_routers":
        free = _cycles(*written(chip, algorithm, side, tile, lockstep=False, overlap=overlap))
    return Row(
        f"gemm_form/{algorithm}/{side}x{tile}/{steps}", "gemm, closed form", whole,
        float(form(chip, side, side * tile, algorithm, overlap)), "cycles",
        "the whole mesh, simulated", ("gemm_form",), remark=f"Without the lockstep {free:,.0f} cycles.",
    )  # fmt: skip


def _paths_row(chip: ChipSpec, algorithm: Algorithm) -> Row:
    """Paths on a mesh of 16 x 16, and of 8 x 8 as the reference: what does not grow is alike."""
    small, large = (_paths(chip, algorithm, side) for side in (8, 16))
    grows = algorithm == "summa_routers"
    return Row(
        f"paths/{algorithm}", "paths of a core", small, large, "paths",
        "this project's plans, 8 x 8 cores", () if grows else ("paths",),
        remark=f"{large:.0f} at most on 16 x 16 cores.",
    )  # fmt: skip


def _paths(chip: ChipSpec, algorithm: Algorithm, side: int) -> float:
    return float(paths_per_core(*written(chip, algorithm, side, 1)).max())


def _orders(chip: ChipSpec, overlap: bool, steps: str) -> Iterator[Row]:
    """The others' cycles over those of MeshGEMM."""
    for size in SIZES:
        for side in SIDES:
            best = form(chip, side, size, "mesh_gemm", overlap)
            for algorithm in ALGORITHMS[1:]:
                fits = algorithm != "all_gather" or _gather_fits(chip, side, size)
                yield Row(
                    f"order/{algorithm}/{size}/{side}/{steps}", f"order, GEMM {size}, {steps}", float(best),
                    float(form(chip, side, size, algorithm, overlap)), "cycles", PAPER,
                    _gates_of_order(chip, side, size, algorithm, overlap),
                    remark="" if fits else "Its rows and columns of tiles do not fit the SRAM of a core.",
                )  # fmt: skip
    for side in SIDES:
        yield _crossover(chip, side, overlap, steps)


def way_binds(chip: ChipSpec, side: int, size: int) -> bool:
    """Whether the way over a line takes longer than computing on a tile, so that overlapped steps show it."""
    return Product(chip, side, (size,) * 3).compute_cycles < side * chip.noc.hop_cycles


def _gates_of_order(chip: ChipSpec, side: int, size: int, algorithm: Algorithm, overlap: bool) -> tuple[str, ...]:
    if algorithm == "all_gather":
        return ()
    if not overlap or way_binds(chip, side, size):
        return ("mesh_gemm_first",)
    return ("as_cannon",) if algorithm == "cannon" else ()


def _crossover(chip: ChipSpec, side: int, overlap: bool, steps: str) -> Row:
    """The largest size at which MeshGEMM saves a twentieth of Cannon's cycles. The reference is the largest tile on
    which a core computes for less than the way over the line, or, without overlap, for less than 19 of them."""
    tiles = np.arange(1, 60)
    sizes = [int(tile) * side for tile in tiles]
    wins = [
        form(chip, side, size, "mesh_gemm", overlap) < 0.95 * form(chip, side, size, "cannon", overlap)
        for size in sizes
    ]
    largest = int(tiles[np.flatnonzero(wins).max()]) * side
    expected = int(np.floor(((1 if overlap else 19) * side * chip.noc.hop_cycles) ** (1 / 3))) * side
    return Row(
        f"crossover/{side}/{steps}", f"size up to which MeshGEMM wins, {steps}", float(expected), float(largest),
        "elements", "a tile of t^3 cycles against N hops",
        remark=f"Tiles of {largest // side} on a side of {side} cores.",
    )  # fmt: skip


def _gather_fits(chip: ChipSpec, side: int, size: int) -> bool:
    tile = -(-size // side)
    return 2 * (2 * side + 1) * tile * tile <= chip.sram.capacity_bytes


def _trends(chip: ChipSpec, overlap: bool, steps: str) -> Iterator[Row]:
    """GEMM 2K from 360 x 360 to 720 x 720: SUMMA and Cannon slower, MeshGEMM not."""
    ends = SIDES[0], SIDES[-1]
    few, many = (float(form(chip, side, SIZES[0], "mesh_gemm", overlap)) for side in ends)
    where = f"trend, GEMM 2048, {steps}"
    yield Row(f"trend/mesh_gemm/{steps}", where, many, few, "cycles", PAPER, ("mesh_gemm_not_slower",))
    for algorithm in (*OTHERS, ALGORITHMS[3]):
        few, many = (float(form(chip, side, SIZES[0], algorithm, overlap)) for side in ends)
        yield Row(f"trend/{algorithm}/{steps}", where, few, many, "cycles", PAPER, ("others_slower",))


def _savings(chip: ChipSpec) -> Iterator[Row]:
    """What MeshGEMM saves of Cannon's cycles on the largest product, steps in turn, beside the 17 % of the text."""
    for side in SIDES:
        ours, theirs = (form(chip, side, SIZES[-1], algorithm, False) for algorithm in ("mesh_gemm", "cannon"))
        yield Row(
            f"saving/{SIZES[-1]}/{side}", "saving of MeshGEMM, in_turn", LARGE_SAVING, 1 - ours / theirs,
            "share of cycles", PAPER, remark="No size or mesh is given in the text.",
        )  # fmt: skip


def _efficiencies(chip: ChipSpec, overlap: bool, steps: str) -> Iterator[Row]:
    """Multiply-accumulates at peak rate over cycles at 720 x 720, against the 70 % and 50 % of the text."""
    side = SIDES[-1]
    for size in SIZES:
        for algorithm in ("mesh_gemm", *OTHERS):
            product = Product(chip, side, (size,) * 3, ROUTING_STAGE_CYCLES)
            cycles = form(chip, side, size, algorithm, overlap)
            share, padded = product.ideal_cycles / cycles, np.prod(product.tile) * side / cycles
            ours = algorithm == "mesh_gemm"
            reference, prediction, gate = (0.7, share, "above_70") if ours else (share, 0.5, "below_50")
            yield Row(
                f"efficiency/{algorithm}/{size}/{steps}", f"efficiency at 720 x 720, {steps}", reference, prediction,
                "share of peak", PAPER, (gate,) if _said_of(chip, algorithm, size) else (),
                remark=f"{share:.1%} of peak; {padded:.1%} of what padded tiles need.",
            )  # fmt: skip


def _said_of(chip: ChipSpec, algorithm: Algorithm, size: int) -> bool:
    """The text gives no size. MeshGEMM's 70 % are held against the largest, whose tiles are least padded, and the
    others' 50 % against those in which the way of a tile shows."""
    return size == SIZES[-1] if algorithm == "mesh_gemm" else way_binds(chip, SIDES[-1], size)
