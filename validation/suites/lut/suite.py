"""Low-bit compute: one module for each part, each with `rows`."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.validation.reference import Entry, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.lut import (
    arrays,
    bit_width,
    bitmod,
    bitnet,
    cpu,
    functional,
    latency,
    precompute,
    published,
    shapes,
    twin,
)
from cairn.validation.suites.lut.gpus import FILE

OTHERS = "lut/lut_hw_others.yaml"
LEFT_OUT = (
    "b158_*_3.9B, throughput of 70B: the shape of the 3.9B is not published, nor how prompts share the two GPUs' time",
    "bitnetcpp_energy_*: the power of these CPUs at work is not published",
    "ant_time_geomean: its mean is over Inception v3 too, whose layers are not repeated here",
    "mixpe_headline, tmac_gemv_speedup_1t, tmac_opt_steps, deepgemm_max: ratios to programs that are not modelled",
    "figlut_t5_ifpu, figlut_t5_figna, axcore_avg_gain, tereffic_370m, lutgen_area: units that are not built",
    "unpu_lbpe_saving at 16 bits: units that look up take weights of up to 8",
)
"""Rows of the files that are read of which nothing is predicted, and why."""


def entries(reference: ReferenceDir, name: str) -> dict[str, Entry]:
    """The entries of a file by id; none, and a note that it is missed, when it is not there."""
    return {} if reference.optional(name) is None else reference.entries(name)


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Rows of all parts whose files are there; `run_all` draws ten times as many random products, and more chips."""
    if reference.given is None:  # products on numbers are held against NumPy and fractions, not against reference files
        yield from functional.rows(run_all)
    others = entries(reference, OTHERS)
    if tensor_core := entries(reference, FILE):
        yield from arrays.rows(tensor_core, others)
        yield from bit_width.rows(tensor_core)
        yield from shapes.rows(tensor_core)
        yield from latency.rows(tensor_core)
        yield from precompute.rows(tensor_core)
    yield from bitmod.rows(entries(reference, bitmod.FILE))
    yield from published.rows(entries(reference, published.MIXPE_FILE), others)
    on_silicon = entries(reference, bitnet.FILE)
    yield from bitnet.rows(on_silicon)
    yield from cpu.rows(entries(reference, cpu.FILE), on_silicon)
    for what in LEFT_OUT:
        reference.leave_out(what)
    if reference.given is None:  # what is held against the simulator needs no reference
        yield from twin.rows(reference, run_all)
