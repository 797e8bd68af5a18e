"""Energy and area of memories that compute."""

from __future__ import annotations

import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.cost import TERMS, energy_of, units_area_mm2
from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.gemv import GemvMapping, lower_gemv
from cairn.hw_models.pim.program import ProgramBuilder
from cairn.hw_models.pim.registers import lower_gemv as lower_registers
from cairn.hw_models.pim.simulate import ChannelRun, simulate_program

AIM = pim_device("GDDR6_AiM")


def full_row() -> ChannelRun:
    program = ProgramBuilder(AIM)
    program.add("MAC16", 64)
    return simulate_program(program.build())


def test_a_full_row_of_aim_takes_47_nj_to_open_and_84_nj_to_compute() -> None:
    energy = energy_of(full_row(), 1)
    assert energy.by_term["activate"] == pytest.approx(47.2e3, rel=1e-3)
    assert energy.by_term["compute"] == pytest.approx(84.1e3, rel=1e-3)
    assert energy.activate_share == pytest.approx(0.36, abs=0.01)


def test_standby_counts_the_time_that_rows_are_open_and_the_rest_apart() -> None:
    run = full_row()
    assert run.open_ticks == run.cycles - 1, "the row opens at tick 1 and stays open"
    given = AIM.energy
    assert given is not None
    expected = 0.5 * (run.open_ticks * given.open_mw + given.closed_mw)
    assert energy_of(run, 1).by_term["standby"] == pytest.approx(expected)


def test_energy_of_a_product_is_that_of_all_channels_and_falls_when_the_buffer_is_used_again() -> None:
    first, again = (
        simulate_program(lower_gemv(AIM, 4096, 4096, GemvMapping(accumulators=count)).program) for count in (1, 8)
    )
    assert energy_of(first).total_pj == pytest.approx(32 * energy_of(first, 1).total_pj)
    assert set(energy_of(first).by_term) == set(TERMS)
    assert energy_of(again).by_term["move"] < energy_of(first).by_term["move"]
    assert energy_of(again).by_term["activate"] == energy_of(first).by_term["activate"]


def test_blocks_with_registers_pay_for_rows_weights_and_writes() -> None:
    run = simulate_program(lower_registers(pim_device("HBM2_PIM"), 4096, 4096).program)
    terms = energy_of(run, 1).by_term
    assert terms["compute"] == pytest.approx(2048 * (256 * 8 * 0.44 + 128 * 0.32), rel=1e-3)
    assert terms["activate"] == pytest.approx(65 * 16 * 8192 * 0.11, rel=1e-3)
    assert units_area_mm2(pim_device("HBM2_PIM")) == pytest.approx(0.081 * 8 * 64)


def test_a_device_whose_file_has_no_figures_is_refused() -> None:
    device = pim_device("UniNDP_AiM")
    with pytest.raises(ConfigError, match="the file of UniNDP_AiM gives no energies"):
        energy_of(simulate_program(lower_gemv(device, 64, 64).program))
    with pytest.raises(ConfigError, match="gives no area of a unit"):
        units_area_mm2(device)
