"""SRAM: port and bank limits of strided accesses against a bank-by-bank oracle; capacity; area."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cairn.hw_models.sram.cost import AREA_KIB, AREA_MM2, sram_area_mm2
from cairn.hw_models.sram.cycle import access_cycles, stream_cycles
from cairn.hw_models.sram.oracle import simulate
from cairn.hw_models.sram.spec import SramSpec


def sram(banks: int, width: int, read: int, write: int = 1) -> SramSpec:
    return SramSpec(banks=banks, bank_width_bytes=width, read_bytes_per_cycle=read, write_bytes_per_cycle=write)


@st.composite
def accesses(draw: st.DrawFn) -> tuple[SramSpec, int, int, int]:
    """A memory and n_bytes, stride_bytes, word_bytes that it can serve; widths and strides of every kind."""
    word = draw(st.sampled_from([1, 2, 3, 4]))
    width = word * draw(st.integers(1, 6))
    banks = draw(st.integers(2, 9))
    read = draw(st.integers(word, max(word, banks * width - 1)))
    if read >= banks * width:
        banks += 1
    return sram(banks, width, read), draw(st.integers(0, 400)), word * draw(st.integers(0, 40)), word


@settings(max_examples=400, deadline=None)
@given(accesses())
def test_strided_accesses_take_what_a_bank_by_bank_simulation_takes(access: tuple[SramSpec, int, int, int]) -> None:
    spec, n_bytes, stride, word = access
    assert access_cycles(spec, n_bytes, stride, word) == simulate(spec, n_bytes, stride, word)


@pytest.mark.parametrize(
    ("stride_in_lines", "cycles_of_a_group"), [(1, 1), (2, 2), (3, 1), (4, 4), (6, 2), (8, 8), (16, 8), (5, 1)]
)
def test_a_group_meets_banks_over_gcd_different_banks(stride_in_lines: int, cycles_of_a_group: int) -> None:
    """8 words of 4 bytes a group, 8 banks of 8 bytes."""
    spec = sram(8, 8, read=32)
    assert access_cycles(spec, 32, stride_in_lines * 8, 4) == cycles_of_a_group
    assert simulate(spec, 32, stride_in_lines * 8, 4) == cycles_of_a_group


def test_contiguous_words_share_lines_and_move_at_the_rate_of_the_port() -> None:
    spec = SramSpec()
    assert access_cycles(spec, 1280, 2, 2) == 10 == int(stream_cycles(spec, 1280))
    assert access_cycles(spec, 1280, 2, 2, write=True) == 20 == int(stream_cycles(spec, 1280, write=True))


def test_a_stride_of_all_banks_serves_one_word_in_a_cycle() -> None:
    spec = SramSpec()
    stride = spec.banks * spec.bank_width_bytes
    assert access_cycles(spec, 2 * 1000, stride, 2) == 1000


def test_reading_one_word_again_and_again_is_one_access_a_group() -> None:
    assert access_cycles(SramSpec(), 1280, 0, 2) == 10


@settings(max_examples=200, deadline=None)
@given(accesses())
def test_no_stride_is_faster_than_the_port(access: tuple[SramSpec, int, int, int]) -> None:
    spec, n_bytes, stride, word = access
    assert access_cycles(spec, n_bytes, stride, word) >= int(stream_cycles(spec, n_bytes))


def test_the_count_of_a_long_access_needs_no_simulation() -> None:
    """10^15 bytes: 12 words a group; a period of 4 groups was checked against the oracle and is multiplied."""
    spec, stride, word = sram(7, 8, read=24), 6, 2
    words = 12 * 4
    period = simulate(spec, words * word, stride, word)
    assert access_cycles(spec, words * word * 10**13, stride, word) == period * 10**13


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ((64, 6, 4), "word_bytes 4 must divide stride_bytes 6"),
        ((64, 32, 32), "word_bytes 32 must divide bank_width_bytes 16"),
        ((64, 256, 256), "word_bytes 256 is wider than the port of 128 bytes"),
        ((-1, 4, 4), "must be >= 0"),
    ],
)
def test_words_that_straddle_lines_are_refused(arguments: tuple[int, int, int], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        access_cycles(SramSpec(), *arguments)


def test_ports_wider_than_all_banks_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"\(192\) must not exceed banks x bank_width_bytes \(4 x 16 = 64\)"):
        SramSpec(banks=4)


def test_buffers_that_do_not_fit_are_told_with_demand_bound_and_remedy() -> None:
    spec = SramSpec(capacity_kib=4)
    assert spec.shortage({"inputs": 4000, "weights": 96}) is None
    problem = spec.shortage({"inputs": 4000, "weights": 1120})
    assert problem is not None
    assert (problem.demand, problem.bound, problem.gap, problem.unit) == (5120.0, 4096.0, 1024.0, "bytes")
    assert "inputs (4,000 bytes)" in problem.remedy
    assert "capacity_kib >= 5" in problem.remedy


@pytest.mark.parametrize(("kib", "mm2"), list(zip(AREA_KIB, AREA_MM2, strict=True)))
def test_area_meets_every_point_of_its_table(kib: int, mm2: float) -> None:
    assert sram_area_mm2(SramSpec(capacity_kib=kib)) == pytest.approx(mm2)


def test_area_is_linear_between_and_beyond_the_points_of_its_table() -> None:
    assert sram_area_mm2(SramSpec(capacity_kib=1536)) == pytest.approx((1.008 + 1.694) / 2)
    assert sram_area_mm2(SramSpec(capacity_kib=16384)) == pytest.approx(5.811 + 2 * (5.811 - 3.066))
    assert sram_area_mm2(SramSpec(capacity_kib=64)) == pytest.approx(0.28 / 4)


@given(st.integers(1, 50_000))
def test_more_capacity_never_has_less_area(kib: int) -> None:
    assert sram_area_mm2(SramSpec(capacity_kib=kib)) < sram_area_mm2(SramSpec(capacity_kib=kib + 1))
