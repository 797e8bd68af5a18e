"""The suite `network_twin`: what its designs vary, and that its gates can fail."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest

from cairn.sim.config.run_config import load
from cairn.validation.gates import Verdict
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suite import Suite, load_suite, run_suite
from cairn.validation.suites.network_twin import suite

TOPOLOGIES = ("mesh", "torus", "all_to_all")


def judged(rows: list[Row]) -> Verdict:
    sheet = load_suite("network_twin").sheet
    return run_suite(Suite("network_twin", lambda reference, run_all: rows, sheet), ReferenceDir()).verdict


@lru_cache(maxsize=1)
def small_rows() -> tuple[Row, ...]:
    """Rows of the first design of each topology that decodes, on a grid of few cores."""
    rows = []
    for topology in TOPOLOGIES:
        number = next(i for i in range(100) if suite.drawn(suite.SEED, topology, i)[0] == "decode")
        phase, settings = suite.drawn(suite.SEED, topology, number)
        small = ["chip.cores.rows=2", "chip.cores.columns=4", "workload.batch=2", "workload.context=128"]
        rows.append(suite._row(topology, topology, phase, [*settings, *small, "engine.max_simulated_blocks=7"]))
    return tuple(rows)


def test_designs_vary_topology_width_of_links_and_mapping_and_all_of_them_can_be_loaded() -> None:
    chips, mappings = [], []
    for topology in TOPOLOGIES:
        for number in range(suite.FEW):
            phase, settings = suite.drawn(suite.SEED, topology, number)
            config = load(f"llama-2-13b-{phase}", settings)
            chips.append(config.chip.noc)
            mappings.append(config.mapping)
    assert len(chips) >= 100
    assert {noc.topology for noc in chips} == set(TOPOLOGIES)
    assert {noc.link_bytes_per_cycle for noc in chips} == {4, 8, 16, 32, 64}
    assert {noc.injection / noc.link_bytes_per_cycle for noc in chips} == {0.5, 1.0, 2.0}
    assert {mapping.placement for mapping in mappings} == {"dimension_ordered", "sequential"}
    assert {mapping.paradigm for mapping in mappings} == {"compute_shift", "spmd"}
    assert {mapping.weight_sharers for mapping in mappings} == {None, 1, 2, 4}


def test_a_design_has_random_numbers_of_its_own_and_another_seed_draws_another_one() -> None:
    assert suite.drawn(1, "mesh", 3) == suite.drawn(1, "mesh", 3)
    drawn = [suite.drawn(seed, "mesh", number) for seed in (1, 2) for number in range(4)]
    assert len({str(each) for each in drawn}) == 8


def test_small_designs_are_within_the_gates() -> None:
    rows = small_rows()
    assert all(row.prediction is not None and row.prediction > 0 for row in rows)
    assert judged(list(rows)) is Verdict.PASS


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_topology_whose_steps_come_out_a_fifth_too_short_fails(topology: str) -> None:
    wrong = [
        replace(row, prediction=0.8 * row.reference) if row.id == topology else row for row in small_rows()
    ]
    assert judged(wrong) is Verdict.FAIL
