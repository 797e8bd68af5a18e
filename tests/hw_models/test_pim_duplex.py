"""A device with cores, Logic-PIM and bank PIM: rates and times worked out by hand, and what holds for all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.duplex import DuplexDevice, DuplexSpec, PimSpec, Unit, duplex_device

SPEC = DuplexSpec()
SIMULATED, ROOFLINE = duplex_device(SPEC), duplex_device(DuplexSpec(simulated_memory=False))
UNITS = st.sampled_from(list(Unit))


def test_eight_banks_every_four_clocks_are_four_times_the_bus_and_32_banks_sixteen_times() -> None:
    """The bus gives one column in two clocks. 107 TFLOP/s at 8 op/B, 53.6 at 1 (README of the reference)."""
    assert SIMULATED.peak_bytes(Unit.LOGIC) == 4 * 3352e9
    assert SIMULATED.peak_bytes(Unit.BANK) == 16 * 3352e9
    assert SIMULATED.peak_flops(Unit.LOGIC) == pytest.approx(107.3e12, rel=1e-3)
    assert SIMULATED.peak_flops(Unit.BANK) == pytest.approx(53.6e12, rel=1e-3)


def test_pim_loses_a_row_cycle_with_each_row_and_refreshes() -> None:
    """Ten rows of 32 columns of 32 bytes in 8 banks of 160 pseudo-channels: 10 (32 * 4 + 6 + 19 + 19 - 4) clocks, over
    the share without refresh (6 + 19 + 585 + 19 - 4) / 5070, and 21 to the last data."""
    size = 10 * 32 * 32 * 8 * 160
    clocks = 10 * (128 + 40) / (1 - 625 / 5070) + 21
    assert float(SIMULATED.bytes_s(Unit.LOGIC, size)) == pytest.approx(clocks * 769e-12, rel=1e-12)


def test_a_long_read_of_the_cores_reaches_four_fifths_of_the_bus() -> None:
    """The reference's channel gives 0.80 of its peak to long reads (OPT-66B, batch 128, 4096 tokens)."""
    share = 1e10 / 3352e9 / float(SIMULATED.bytes_s(Unit.CORES, 1e10))
    assert share == pytest.approx(0.80, abs=0.01)


def test_a_roofline_product_is_the_longer_of_operations_and_bytes() -> None:
    m, k, n = 32, 4096, 1536
    assert float(ROOFLINE.product_s(Unit.CORES, m, k, n, 2)) == pytest.approx((m * k + k * n + m * n) * 2 / 3352e9)
    assert float(ROOFLINE.product_s(Unit.BANK, m, k, n, 2)) == pytest.approx(2 * m * k * n / (16 * 3352e9))
    assert float(ROOFLINE.product_s(Unit.LOGIC, 0, k, n, 2)) == 0


def test_heads_that_share_keys_read_them_again_beside_the_banks_only() -> None:
    size, shared = 1e8, 8
    once = float(SIMULATED.bytes_s(Unit.BANK, size))
    assert SIMULATED.attend_s(Unit.BANK, size, shared * size) == shared * once
    assert SIMULATED.attend_s(Unit.BANK, size, size / 2) == once
    assert SIMULATED.attend_s(Unit.LOGIC, size, shared * size) == float(SIMULATED.bytes_s(Unit.LOGIC, size))


def test_a_ring_sums_in_two_hops_for_each_other_device() -> None:
    """The reference's Mixtral, batch 32: six hops of 0.8 us and a quarter of 256 KiB each."""
    seconds = SIMULATED.all_reduce_s(4, 32 * 4096 * 2)
    assert seconds == pytest.approx(6 * (0.8e-6 + 65536 / 450e9))
    assert SIMULATED.all_reduce_s(1, 1e6) == 0
    assert SIMULATED.exchange_s(1e6, 2) == pytest.approx(0.13e-6 + 1e6 / 50e9)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(unit=UNITS, size=st.integers(1, 1 << 30), more=st.integers(0, 1 << 28))
def test_no_read_beats_its_bytes_at_peak_and_none_is_slower_with_fewer(unit: Unit, size: int, more: int) -> None:
    bus = 32 / (2 * 769e-12) * 160 / 3352e9  # the clocks of the reference give the bus 0.7 % less than its roofline
    seconds = float(SIMULATED.bytes_s(unit, size))
    assert seconds >= size / (SIMULATED.peak_bytes(unit) * bus) * (1 - 1e-9)
    assert seconds <= float(SIMULATED.bytes_s(unit, size + more)) * 1.001


@settings(max_examples=20, derandomize=True, deadline=None)
@given(banks=st.sampled_from((2, 4, 8, 16)), size=st.integers(1, 1 << 28))
def test_more_banks_together_are_never_slower(banks: int, size: int) -> None:
    few, many = (DuplexDevice(DuplexSpec(logic=PimSpec(banks_together=b))) for b in (banks, 2 * banks))
    assert float(many.bytes_s(Unit.LOGIC, size)) <= float(few.bytes_s(Unit.LOGIC, size))


def test_arrays_of_sizes_answer_as_each_alone() -> None:
    sizes = np.array([[0.0, 1e5], [1e6, 1e5]])
    found = SIMULATED.bytes_s(Unit.CORES, sizes)
    assert found.shape == (2, 2) and found[0, 0] == 0 and found[0, 1] == found[1, 1]
    assert found[1, 0] == float(SIMULATED.bytes_s(Unit.CORES, 1e6))


def test_what_no_device_has_is_refused_by_field() -> None:
    with pytest.raises(ConfigError, match="unit: cores are no PIM unit; ask for logic or bank"):
        SPEC.pim(Unit.CORES)
    with pytest.raises(ConfigError, match="size: bytes cannot be negative"):
        SIMULATED.bytes_s(Unit.CORES, -1.0)
    with pytest.raises(ConfigError, match="refresh_ns: refreshes take all the time; make them shorter"):
        DuplexDevice(DuplexSpec(refresh_ns=3880)).bytes_s(Unit.LOGIC, 1e6)
