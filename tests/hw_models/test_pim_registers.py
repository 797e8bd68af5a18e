"""Products on blocks with register files: padding, tiles, numbers, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.base.errors import ConfigError, InfeasibleError
from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.gemv import lower_gemv as lower_on_buffers
from cairn.hw_models.pim.registers import RegisterPlan, lower_gemv, place_weights, run_on_numbers
from cairn.hw_models.pim.simulate import simulate_program, verdict_of

HBM = pim_device("HBM2_PIM")
SMALL = pim_device("HBM2_PIM", channels=2, row=64)


@pytest.mark.parametrize(("outputs", "inputs", "vectors"), [(128, 128, 1), (130, 300, 2), (1, 1, 1), (300, 500, 3)])
@pytest.mark.parametrize("columns", [32, 16, 8])
def test_the_right_weights_meet_the_right_registers(outputs: int, inputs: int, vectors: int, columns: int) -> None:
    rng = np.random.default_rng(outputs)
    weights, given = rng.integers(-9, 10, (outputs, inputs)), rng.integers(-9, 10, (vectors, inputs))
    plan = lower_gemv(SMALL.changed(col=columns), outputs, inputs, vectors=vectors)
    result = run_on_numbers(plan, place_weights(plan.layout, weights), given)
    np.testing.assert_array_equal(result, given @ weights.T)


def test_a_tile_that_is_not_brought_shows_in_the_result() -> None:
    rng = np.random.default_rng(3)
    weights, given = rng.integers(1, 9, (64, 256)), rng.integers(1, 9, (1, 256))
    plan = lower_gemv(SMALL, 64, 256)
    fill = SMALL.standard.traced_commands.index("WRGRF")
    kept = [at for at, word in enumerate(plan.program.words) if word[0] != fill or word[7] == 0]
    lacking = RegisterPlan(plan.layout, 1, type(plan.program)(SMALL, plan.program.words[kept]))
    wrong = run_on_numbers(lacking, place_weights(plan.layout, weights), given) != given @ weights.T
    assert wrong.mean() > 0.9


def test_outputs_are_padded_to_what_all_blocks_hold() -> None:
    assert lower_gemv(HBM, 1, 1).layout.pass_outputs == 4096
    cycles = [simulate_program(lower_gemv(HBM, outputs, 1024).program).cycles for outputs in (1, 1024, 4096, 4097)]
    assert cycles[0] == cycles[1] == cycles[2]
    assert cycles[3] > 1.9 * cycles[2]


def test_one_row_serves_the_even_and_the_odd_bank_of_a_tile() -> None:
    run = simulate_program(lower_gemv(HBM, 4096, 4096).program, trace=True)
    tiles = 4096 // 128
    assert run.counts["MACEV"] == run.counts["MACOD"] == tiles * 32
    assert run.counts["ACTAB"] == 2 * tiles + 1, "registers, weights, and at the end the results"
    assert verdict_of(run).count == 0


def test_multiplications_are_those_of_whole_passes_and_tiles() -> None:
    plan = lower_gemv(SMALL, 130, 300)
    run = simulate_program(plan.program)
    made = (run.counts["MACEV"] + run.counts["MACOD"]) * 16 * 8 * 2
    assert made == plan.layout.padded_macs
    assert made >= plan.macs
    assert run.cycles >= (run.counts["MACEV"] + run.counts["MACOD"]) * SMALL.dram.clocks["nCCDL"]


def test_the_mean_over_phases_of_refresh_lies_between_the_earliest_and_the_latest() -> None:
    program = lower_gemv(HBM, 4096, 1024).program
    runs = [simulate_program(program, "all_bank", first_refresh=first).cycles for first in (1, 1500, 3000, 3900)]
    plain = simulate_program(program).cycles
    assert all(plain <= cycles <= plain + 2 * 400 for cycles in runs)
    assert max(runs) > min(runs)


def test_units_of_the_other_kind_and_what_does_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="units of GDDR6_AiM have no registers"):
        lower_gemv(pim_device("GDDR6_AiM"), 4, 4)
    with pytest.raises(ConfigError, match="units of HBM2_PIM have registers"):
        lower_on_buffers(HBM, 4, 4)
    with pytest.raises(ConfigError, match="inputs: must be at least 1, got 0"):
        lower_gemv(HBM, 4, 0)
    with pytest.raises(InfeasibleError, match=r"rows of a bank: needs 66 rows, has 64 rows"):
        lower_gemv(SMALL, 128, 128 * 64)
