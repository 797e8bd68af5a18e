"""The contract of compute units (hw_models/compute/units/contract.py) as checks that every unit passes.

A test of a kind of units calls `check_unit` with a few of them; each check is one clause of the contract.
"""

from __future__ import annotations

import numpy as np
import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.units.contract import (
    ComputeUnit,
    density_tops_per_mm2,
    evaluate,
    peak_tops,
    tops_per_w,
    utilisation,
)  # fmt: skip

SIZES = np.array([1, 2, 3, 4, 5, 7, 8, 16, 31, 33, 64, 65, 127, 200, 513])
OPERAND_BITS = {"int8": 8, "int16": 16, "fp8": 8, "fp16": 16}


def check_unit(unit: ComputeUnit, weight_bits: tuple[int, ...] = (1, 2, 3, 4, 8), refused: float = 17) -> None:
    """Every clause for `unit`, at weights of each of `weight_bits`; `refused` is a width that it must not take."""
    for bits in weight_bits:
        no_product_is_faster_than_the_peak_rate(unit, bits)
        a_product_without_work_takes_and_moves_nothing(unit, bits)
        many_products_answer_as_each_alone(unit, bits)
        more_work_never_takes_less_time(unit, bits)
        every_operand_enters_and_every_result_leaves(unit, bits)
        energy_is_at_least_that_of_the_products_asked_for(unit, bits)
    more_bits_never_make_it_faster(unit, weight_bits)
    what_it_does_not_take_is_refused(unit, refused)
    figures_are_positive_and_say_their_node(unit, weight_bits)


def random_sizes(count: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(6)
    m, n, k = draw.choice(SIZES, (3, count))
    return m, n, k


def no_product_is_faster_than_the_peak_rate(unit: ComputeUnit, bits: int) -> None:
    m, n, k = random_sizes()
    share = utilisation(unit, m, n, k, bits)
    assert ((share > 0) & (share <= 1 + 1e-12)).all()
    large = float(utilisation(unit, 4096, 4096, 4096, bits))
    assert large > 0.7, "a large product comes near the peak"


def a_product_without_work_takes_and_moves_nothing(unit: ComputeUnit, bits: int) -> None:
    m, n, k = np.array([0, 4, 4, 0]), np.array([4, 0, 4, 0]), np.array([4, 4, 0, 0])
    assert not unit.cycles(m, n, k, bits).any()
    assert not any(part.any() for part in unit.energy_pj(m, n, k, bits))
    assert not any(part.any() for part in unit.traffic(m, n, k, bits))


def many_products_answer_as_each_alone(unit: ComputeUnit, bits: int) -> None:
    m, n, k = random_sizes(12)
    grid = (m[:, None], n[:, None], k[:, None], np.array([bits, bits]))
    cycles, energy, traffic = unit.cycles(*grid), unit.energy_pj(*grid), unit.traffic(*grid)
    assert cycles.shape == energy.total.shape == traffic.weight_bits.shape == (12, 2)
    for i, sizes in enumerate(zip(m.tolist(), n.tolist(), k.tolist(), strict=True)):
        assert int(unit.cycles(*sizes, bits)) == cycles[i, 0] == cycles[i, 1]
        assert [float(part) for part in unit.energy_pj(*sizes, bits)] == [part[i, 0] for part in energy]
        assert [float(part) for part in unit.traffic(*sizes, bits)] == [part[i, 1] for part in traffic]
    several = evaluate([unit, unit], np.arange(12) % 2, m, n, k, bits)
    assert several.cycles.tolist() == cycles[:, 0].tolist()
    assert several.energy_pj.tolist() == energy.total[:, 0].tolist()


def more_work_never_takes_less_time(unit: ComputeUnit, bits: int) -> None:
    ladder = np.arange(1, 150)
    for sizes in ((ladder, 40, 24), (24, ladder, 40), (40, 24, ladder)):
        assert (np.diff(unit.cycles(*sizes, bits)) >= 0).all()
        assert (np.diff(unit.energy_pj(*sizes, bits).total) >= -1e-9).all()


def every_operand_enters_and_every_result_leaves(unit: ComputeUnit, bits: int) -> None:
    m, n, k = random_sizes()
    traffic = unit.traffic(m, n, k, bits)
    assert (traffic.activation_bits >= m * k * OPERAND_BITS[unit.activation]).all()
    assert (traffic.weight_bits >= k * n * bits).all()
    assert (traffic.output_bits >= m * n * 8).all()


def energy_is_at_least_that_of_the_products_asked_for(unit: ComputeUnit, bits: int) -> None:
    m, n, k = random_sizes()
    energy = unit.energy_pj(m, n, k, bits)
    assert all((part >= 0).all() for part in energy)
    arrays = energy.precompute + energy.look_up + energy.accumulate
    assert (arrays >= m * n * k * unit.mac_pj(bits) * (1 - 1e-9)).all()
    assert (energy.sram > 0).all()


def more_bits_never_make_it_faster(unit: ComputeUnit, weight_bits: tuple[int, ...]) -> None:
    bits = np.array(sorted(weight_bits))
    assert (np.diff(unit.cycles(33, 65, 127, bits)) >= 0).all()
    assert (np.diff(unit.peak_macs_per_cycle(bits)) <= 0).all()
    assert (np.diff(unit.mac_pj(bits)) >= -1e-12).all()


def what_it_does_not_take_is_refused(unit: ComputeUnit, refused: float) -> None:
    for bits in (0, refused, float("nan")):
        for question in (unit.cycles, unit.traffic, unit.energy_pj):
            with pytest.raises(ConfigError, match=r"^weight_bits: .*bits"):
                question(1, 1, 1, bits)
        with pytest.raises(ConfigError, match=r"^weight_bits: .*bits"):
            unit.mac_pj(bits)
    with pytest.raises(ValueError, match="must not be negative"):
        unit.cycles(-1, 1, 1, 2)


def figures_are_positive_and_say_their_node(unit: ComputeUnit, weight_bits: tuple[int, ...]) -> None:
    bits = np.array(weight_bits)
    assert unit.area_mm2 > 0
    for figure in (peak_tops, density_tops_per_mm2, tops_per_w):
        assert (figure(unit, bits) > 0).all()
    assert "nm" in unit.provenance
