"""Voxel's DRAM estimator in closed form: worked examples, broadcasting, and what each of its assumptions costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.voxel_estimator import VoxelEstimator
from cairn.hw_models.dram.voxel_oracle import VoxelOracle

RELEASED = DramSpec(bandwidth_gb_per_s=12288 * 2**30 / 1e9, clock_ghz=1.5, row_bytes=34 * 8192, burst_bytes=34)
"""The DRAM of Voxel's released scripts, with rows counted in beats of a core's bus as its code does."""
QKV, KEYS = (614_400, 30_720), (874_240, 10_928)
"""Bytes of a core and chunk of two reads of Llama-2-13B (digest voxel_runs, section 3): 19 519 and 31 549 cycles."""


def test_two_reads_of_llama_2_13b_take_what_voxel_reports() -> None:
    estimator = VoxelEstimator.of(RELEASED, 256, 256)
    size, chunk = np.array([QKV, KEYS]).T
    assert estimator.openings(size, chunk).tolist() == [20, 80]
    assert estimator.cycles(size, estimator.openings(size, chunk)).tolist() == [19_519, 31_549]


def test_rows_bound_the_openings_where_chunks_are_longer() -> None:
    estimator = VoxelEstimator.of(DramSpec(), 128, 128)
    assert estimator.openings(65_536, [1_000_000, 8192, 4096]).tolist() == [8, 8, 16]


def test_bytes_a_cycle_are_rounded_down_to_whole_ones() -> None:
    estimator = VoxelEstimator.of(RELEASED, 256, 256)
    assert estimator.bytes_per_cycle == 34
    assert estimator.nominal_bytes_per_cycle == pytest.approx(34.3597, abs=1e-4)
    assert VoxelEstimator.of(RELEASED, 1024, 1024).bytes_per_cycle == 8


def test_costs_say_what_each_assumption_adds() -> None:
    estimator = VoxelEstimator.of(RELEASED, 256, 256)
    cost = estimator.cost(QKV[0], 20)
    assert cost.bus == pytest.approx(614_400 / 34.359738, rel=1e-6)
    assert cost.floor == pytest.approx(18_071 - 614_400 / 34.359738, rel=1e-4)
    assert cost.opening == 20 * 42 - 14
    assert cost.sharing == pytest.approx(20 * 42 * (2**0.8 - 1), rel=1e-5)


@given(
    size=st.integers(1, 1 << 24), openings=st.integers(1, 5000), cores=st.integers(64, 4096),
    exponent=st.sampled_from([0.0, 0.5, 0.8, 1.0]),
)  # fmt: skip
def test_costs_add_up_and_cycles_are_those_of_the_formula_in_floating_point(
    size: int, openings: int, cores: int, exponent: float
) -> None:
    spec = DramSpec(bandwidth_gb_per_s=200_000, sharing_exponent=exponent)
    estimator = VoxelEstimator.of(spec, cores, cores)
    cost = estimator.cost(size, openings)
    parts = float(cost.bus + cost.floor + cost.opening + cost.sharing)
    if cost.cycles > 1:
        assert 0 <= parts - float(cost.cycles) < 1 + 1e-6
    there = VoxelOracle(spec, cores, cores).cycles(size, openings)
    assert abs(int(estimator.served_cycles(size, openings)) - there) <= 1


def test_more_cores_pay_more_for_a_row_and_no_exponent_turns_that_off() -> None:
    few, many = (VoxelEstimator.of(DramSpec(), cores, cores) for cores in (128, 1024))
    assert float(many.opening) / float(few.opening) == pytest.approx(8**0.8, rel=1e-6)
    alike = DramSpec(sharing_exponent=0)
    assert VoxelEstimator.of(alike, 1024, 1024).opening == VoxelEstimator.of(alike, 128, 128).opening == few.opening


def test_everything_broadcasts_over_accesses_and_designs() -> None:
    designs = [VoxelEstimator.of(DramSpec(), cores, cores) for cores in (128, 256, 512)]
    stacked = VoxelEstimator(
        **{name: np.array([getattr(d, name) for d in designs])[:, None] for name in vars(designs[0])}
    )
    size = np.array([100, 8192, 100_000, 1_000_000])
    together = stacked.cycles(size, stacked.openings(size, 512))
    assert together.shape == (3, 4)
    for row, design in zip(together, designs, strict=True):
        assert row.tolist() == [int(design.cycles(n, design.openings(n, 512))) for n in size.tolist()]


def test_what_is_served_never_ends_before_its_column_latency_and_data() -> None:
    few = VoxelEstimator.of(DramSpec(bandwidth_gb_per_s=1.6 * 4 * 32), 4, 4)
    assert int(few.cycles(3200, 1)) == 100 - 14 + 2
    assert int(few.served_cycles(3200, 1)) == 14 + 100
    many = VoxelEstimator.of(DramSpec(), 256, 256)
    assert int(many.served_cycles(3200, 1)) == int(many.cycles(3200, 1))


def test_less_than_a_byte_a_cycle_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"rounds 0.625 bytes a cycle and channel down to none"):
        VoxelEstimator.of(DramSpec(bandwidth_gb_per_s=256), 256, 256)
