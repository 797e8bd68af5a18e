"""Wafer-scale meshes: reductions, decode layers and products against published forms, rates and statements."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.sim.wafer.decode import load_wafer
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.wafer import decode, gemm, gemv, layers, paths, reduce


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Rows of the six parts; `run_all` adds none."""
    chip = load_wafer(decode.BASE).chip
    measured = reference.yaml("wafer/waferllm_measured.yaml")
    yield from decode.rows(measured)
    yield from gemv.rows(chip, measured)
    if reference.given is None:  # what is held against formulas and words needs no measured rows
        hardware = reference.yaml("wafer/wse2_hardware.yaml")
        yield from reduce.rows(chip, hardware)
        yield from layers.rows()
        yield from paths.rows(chip, int(hardware["routing_paths_per_core"]["value"]))
        yield from gemm.rows(chip, int(hardware["routing_colors_used"]["MeshGEMM"]["value"]))
