"""Arrays of dot-product elements: cycles by rules B1 to B3, energy, area and buffer ports."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.base.spec import source_of
from cairn.hw_models.compute.bitserial import cost
from cairn.hw_models.compute.bitserial.cycle import array_cycles, bound_cycles, pass_cycles, passes
from cairn.hw_models.compute.bitserial.spec import FP16, DotArraySpec, ElementSpec
from cairn.hw_models.sram.cacti import buffer_cost

PARALLEL = ElementSpec(dot=1, bits_per_cycle=None, max_weight_bits=16)
sizes = st.integers(0, 5000)
arrays = st.sampled_from(
    [
        DotArraySpec(rows=rows, columns=columns, element=element)
        for rows, columns in ((1, 1), (32, 24), (72, 16), (3, 40))
        for element in (ElementSpec(), PARALLEL, ElementSpec(dot=8, bits_per_cycle=1, group=32))
    ]
)


def test_a_pass_of_a_bit_serial_element_takes_two_bits_a_cycle_and_none_for_the_scale() -> None:
    assert pass_cycles(ElementSpec(), [3.0625, 4.0625, 6.0625, 5, 8, 8.0625]).tolist() == [2, 2, 3, 3, 4, 4]
    assert pass_cycles(PARALLEL, [3, 16]).tolist() == [1, 1]


def test_a_product_takes_its_tiles_times_its_passes() -> None:
    array = DotArraySpec(rows=32, columns=32)
    # 256 tokens by 11008 outputs by 4096 inputs at 6 bits: 8 x 344 tiles of 1024 passes of 3 cycles
    assert array_cycles(array, 256, 11008, 4096, 6.0625) == 8 * 344 * 1024 * 3
    assert passes(array, 256, 11008, 4096) == 8 * 344 * 1024


def test_parts_of_a_tile_and_of_a_dot_product_take_as_long_as_whole_ones() -> None:
    array = DotArraySpec(rows=64, columns=16)
    assert array_cycles(array, 17, 65, 129, 4) == 2 * 2 * 33 * 2


def test_a_group_takes_no_less_than_its_scaling() -> None:
    small = DotArraySpec(rows=1, columns=1, element=ElementSpec(group=8))
    assert array_cycles(small, 1, 1, 64, 4) == 8 * 8  # 8 groups of two passes of 2 cycles, 8 cycles of scaling each
    longer = DotArraySpec(rows=1, columns=1, element=ElementSpec(group=8, bits_per_cycle=1))
    assert array_cycles(longer, 1, 1, 64, 8) == 16 * 8  # 16 passes of 8 cycles hide it


def test_an_array_at_no_size_takes_no_cycles_and_broadcasts() -> None:
    array = DotArraySpec(rows=4, columns=4)
    found = array_cycles(array, np.array([0, 4])[:, None], 4, 512, np.array([2, 4, 8]))
    assert found.tolist() == [[0, 0, 0], [128, 256, 512]]


@given(arrays, sizes, sizes, sizes, st.floats(1, 8))
def test_no_product_is_faster_than_all_elements_at_work(
    array: DotArraySpec, m: int, n: int, k: int, bits: float
) -> None:
    assert array_cycles(array, m, n, k, bits) >= bound_cycles(array, m, n, k, bits)


@given(arrays, sizes, sizes, sizes, st.floats(1, 7))
def test_more_bits_and_larger_products_take_no_less(array: DotArraySpec, m: int, n: int, k: int, bits: float) -> None:
    base = array_cycles(array, m, n, k, bits)
    assert array_cycles(array, m, n, k, bits + 1) >= base
    assert array_cycles(array, m + 1, n + 1, k + 1, bits) >= base


@pytest.mark.parametrize("bits", [0, 0.5, 9, 16, float("nan")])
def test_bits_that_an_element_has_no_data_type_for_are_refused(bits: float) -> None:
    with pytest.raises(ConfigError, match=r"^weight_bits: weights must have 1 to 8 bits beside their scales, got"):
        pass_cycles(ElementSpec(), bits)


def test_an_fp16_element_takes_16_bits_and_no_more() -> None:
    assert pass_cycles(FP16, [1, 16]).tolist() == [1, 1]
    with pytest.raises(ConfigError, match=r"1 to 16 bits beside their scales, got 17"):
        pass_cycles(FP16, 17)


def test_sizes_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="tile size n must not be negative"):
        array_cycles(DotArraySpec(rows=1, columns=1), 1, -1, 1, 4)


def test_a_dot_product_that_does_not_divide_its_group_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"dot \(3\) must divide group \(128\)"):
        DotArraySpec(rows=1, columns=1, element=ElementSpec(dot=3))


def test_energy_counts_all_elements_of_the_array_in_every_cycle() -> None:
    array = DotArraySpec(rows=32, columns=24, element=ElementSpec(dot=1, bits_per_cycle=None, energy_pj=0.77))
    assert cost.energy_pj(array, [0, 10]).tolist() == pytest.approx([0, 10 * 768 * 0.77 * 1.5])
    assert cost.power_mw(array, 1.0) == pytest.approx(768 * 0.77)


def test_area_is_that_of_the_elements() -> None:
    assert cost.area_mm2(DotArraySpec(rows=8, columns=8)) == pytest.approx(64 * 1507.7e-6)


def test_ports_carry_whole_nibbles_and_half_as_much_into_bit_serial_elements() -> None:
    assert cost.port_bits(DotArraySpec(rows=64, columns=16), 6.0625, 16) == (4 * 8 * 64 // 2, 4 * 16 * 16 // 2)
    assert cost.port_bits(DotArraySpec(rows=72, columns=16, element=PARALLEL), 3.75, 16) == (4 * 72, 16 * 16)


def test_buffer_energies_between_tabled_widths_lie_on_a_line() -> None:
    assert buffer_cost(512) == (92.7944, 83.3536, 1.601896)
    assert buffer_cost(352).read_pj == pytest.approx((75.51064 + 82.8304) / 2)


@pytest.mark.parametrize(
    ("port", "kib", "message"),
    [
        (64, 512, "port_bits: energies are tabled for ports of 128 to 2048 bits, got 64"),
        (4096, 512, "port_bits: energies are tabled for ports of 128 to 2048 bits, got 4096"),
        (512, 256, "buffer_kib: energies are tabled for 512 KiB only, got 256"),
    ],
)
def test_buffers_that_are_not_tabled_are_refused(port: int, kib: int, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        buffer_cost(port, kib)


@pytest.mark.parametrize("spec", [ElementSpec, DotArraySpec])
def test_every_parameter_names_its_source(spec: type[ElementSpec] | type[DotArraySpec]) -> None:
    assert [name for name in spec.model_fields if not source_of(spec, name)] == []
