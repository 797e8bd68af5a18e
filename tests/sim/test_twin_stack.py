"""The twin and what follows from a stack or from the temperature: designs as arrays are what each is by itself."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.sim.config.run_config import RunConfig, load
from cairn.sim.twin.derived import derived_columns
from cairn.sim.twin.twin import Twin, laid_over

STACKED = load("demo", ["chip=hbm3-cube"])
COLUMNS = {
    "chip.dram.stack.layers": np.array([2, 4, 8, 16]),
    "chip.dram.stack.connected_layers": np.array([1, 2, 4, 2]),
    "chip.dram.stack.wire_gbit_per_s": np.array([1.0, 3.2, 6.4, 6.4]),
    "chip.dram.stack.cores_per_bus": np.array([1, 2, 1, 2]),
    "chip.sram.write_bytes_per_cycle": np.array([64, 64, 32, 64]),
    "chip.cores.rows": np.array([4, 4, 4, 2]),
}


def one_by_one(config: RunConfig, columns: dict[str, np.ndarray], row: int) -> RunConfig:
    return laid_over(config, {key: values[row] for key, values in columns.items()})


def test_designs_with_other_stacks_are_what_each_is_by_itself() -> None:
    table = Twin(STACKED).evaluate(COLUMNS)
    assert not table.refused
    for row in range(4):
        config = one_by_one(STACKED, COLUMNS, row)
        alone = Twin(config).evaluate({})
        assert table.latency_s[row] == pytest.approx(alone.latency_s[0], rel=1e-9)
        assert table.area_mm2[row] == pytest.approx(alone.area_mm2[0], rel=1e-9)
        assert table.energy_j[row] == pytest.approx(alone.energy_j[0], rel=1e-9)
        assert table.dram_peak_gb_per_s[row] == config.chip.dram.bandwidth_gb_per_s
        assert table.dram_capacity_gb[row] == config.chip.dram.capacity_gb
    assert len(set(table.latency_s.tolist())) == 4


def test_a_stack_that_cannot_be_is_refused_and_leaves_the_others_alone() -> None:
    columns = {"chip.dram.stack.layers": np.array([2, 4, 8]), "chip.dram.stack.connected_layers": np.array([1, 6, 2])}
    table = Twin(STACKED).evaluate(columns)
    assert list(table.refused) == [1] and "connected_layers (6) must not exceed layers (4)" in table.refused[1]
    assert table.runs.tolist() == [True, False, True]
    assert np.isnan(table.latency_s[1])


def test_a_layer_for_a_chip_that_states_its_dram_is_refused() -> None:
    table = Twin(load("demo")).evaluate({"chip.dram.stack.layers": np.array([2, 4])})
    assert sorted(table.refused) == [0, 1] and not table.runs.any()


def test_what_follows_from_a_stated_dram_is_each_column_itself() -> None:
    assert derived_columns(load("demo").chip, {("dram", "t_rcd"): np.array([3, 4])}) == ({}, {})


def test_heat_and_clock_change_the_timings_of_an_array_of_designs() -> None:
    columns = {("dram", "temperature_c"): np.array([40.0, 90.0]), ("dram", "clock_ghz"): np.array([1.6, 0.8])}
    found, refused = derived_columns(STACKED.chip, columns)
    assert refused == {}
    assert found[("dram", "t_refi")].tolist() == [6240, 3120]
    assert found[("dram", "t_rcd")].tolist() == [31, 16]
    plain, _ = derived_columns(load("demo").chip, {("dram", "temperature_c"): np.array([40.0, 90.0])})
    assert plain[("dram", "t_refi")].tolist() == [12480, 6240]
