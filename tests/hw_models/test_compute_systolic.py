"""The systolic array: closed forms against the clocked oracle, and what no array can beat."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.hw_models.compute.matrix_unit import MatrixUnit
from cairn.hw_models.compute.systolic.analytical import folded_cycles, peak_cycles
from cairn.hw_models.compute.systolic.cycle import tile_cycles, tile_traffic, utilisation
from cairn.hw_models.compute.systolic.oracle import multiply
from cairn.hw_models.compute.systolic.spec import SystolicSpec

DATAFLOWS = ("output_stationary", "weight_stationary")
MODES = [(dataflow, pipelined) for dataflow in DATAFLOWS for pipelined in (True, False)]


def array(rows: int, columns: int, dataflow: str = "output_stationary", pipelined: bool = True) -> SystolicSpec:
    return SystolicSpec.model_validate(
        {"rows": rows, "columns": columns, "dataflow": dataflow, "pipelined_folds": pipelined}
    )


def check_against_the_oracle(spec: SystolicSpec, m: int, n: int, k: int) -> None:
    """Numbers have a fixed pattern with zeros and negative ones; NumPy says what the product is."""
    a = (np.arange(m * k).reshape(m, k) * 7 + 3) % 11 - 5
    b = (np.arange(k * n).reshape(k, n) * 5 + 1) % 13 - 6
    product, cycles = multiply(spec, a.tolist(), b.tolist())
    assert product == (a @ b).tolist()
    assert cycles == int(tile_cycles(spec, m, n, k)), (spec, m, n, k)


@pytest.mark.parametrize(("dataflow", "pipelined"), MODES)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 2), (2, 3), (3, 2), (1, 4)])
def test_cycles_equal_the_clocked_array_on_every_small_shape(
    rows: int, columns: int, dataflow: str, pipelined: bool
) -> None:
    spec = array(rows, columns, dataflow, pipelined)
    for m, n, k in itertools.product((1, 2, 3, 4), (1, 2, 3, 5), (1, 2, 3, 5)):
        check_against_the_oracle(spec, m, n, k)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(MODES),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 13),
    st.integers(1, 13),
    st.integers(1, 9),
)
def test_cycles_equal_the_clocked_array_on_random_shapes(
    mode: tuple[str, bool], rows: int, columns: int, m: int, n: int, k: int
) -> None:
    check_against_the_oracle(array(rows, columns, *mode), m, n, k)


@pytest.mark.parametrize("pipelined", [True, False])
def test_a_narrow_last_fold_does_not_hide_the_wide_one_before_it(pipelined: bool) -> None:
    """With k = 1 the full-width fold is still draining when the one-column fold has finished."""
    check_against_the_oracle(array(1, 12, "output_stationary", pipelined), 1, 13, 1)
    check_against_the_oracle(array(1, 12, "weight_stationary", pipelined), 1, 13, 1)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_unpipelined_full_folds_take_the_published_two_r_plus_c_plus_t_minus_two(dataflow: str) -> None:
    """SCALE-Sim, Samajdar et al., ISPASS 2020, eq. 1, times the number of folds (its eq. 4)."""
    spec = array(32, 16, dataflow, pipelined=False)
    one = 2 * 32 + 16 + 100 - 2
    m, n, k = (96, 32, 100) if dataflow == "output_stationary" else (100, 32, 96)
    assert int(tile_cycles(spec, m, n, k)) == 3 * 2 * one


def test_one_output_stationary_fold_takes_its_depth_two_skews_and_the_drain() -> None:
    assert int(tile_cycles(array(32, 32), 32, 32, 5120)) == 5120 + 31 + 31 + 32


def test_one_weight_stationary_fold_takes_its_load_its_rows_and_two_skews() -> None:
    assert int(tile_cycles(array(32, 32, "weight_stationary"), 500, 32, 32)) == 32 + 500 + 31 + 31


def test_pipelined_folds_follow_each_other_at_the_peak_rate_when_the_reduction_is_deep() -> None:
    """Within two fills and a drain of Voxel's padded formula, m n k / side^2 + side (digest of comp.py)."""
    cycles = int(tile_cycles(array(32, 32), 256, 256, 640))
    voxel = 256 * 256 * 640 // 32**2 + 32
    assert voxel < cycles <= voxel + 3 * 32


def test_a_reduction_shorter_than_the_array_is_bound_by_the_drain() -> None:
    spec = array(8, 8)
    deep, shallow = (int(tile_cycles(spec, 64, 64, k)) for k in (8, 2))
    assert shallow == deep - 6, "only the last fold's own depth is saved; the interval stays 8"


sizes = st.integers(0, 200)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(MODES), st.integers(1, 40), st.integers(1, 40), sizes, sizes, sizes)
def test_cycles_are_never_below_the_peak_rate_nor_below_whole_folds(
    mode: tuple[str, bool], rows: int, columns: int, m: int, n: int, k: int
) -> None:
    spec = array(rows, columns, *mode)
    cycles = int(tile_cycles(spec, m, n, k))
    assert cycles >= int(folded_cycles(spec, m, n, k)) >= int(peak_cycles(spec, m, n, k))
    assert 0.0 <= float(utilisation(spec, m, n, k)) <= 1.0
    assert (cycles == 0) == (m * n * k == 0)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(MODES), st.integers(1, 40), st.integers(1, 40), sizes, sizes, sizes, st.sampled_from("mnk"))
def test_a_larger_product_never_takes_less_time(
    mode: tuple[str, bool], rows: int, columns: int, m: int, n: int, k: int, grown: str
) -> None:
    spec = array(rows, columns, *mode)
    size = {"m": m, "n": n, "k": k}
    assert int(tile_cycles(spec, **{**size, grown: size[grown] + 1})) >= int(tile_cycles(spec, **size))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(DATAFLOWS), st.integers(1, 40), st.integers(1, 40), sizes, sizes, sizes)
def test_pipelining_folds_never_costs_time(dataflow: str, rows: int, columns: int, m: int, n: int, k: int) -> None:
    pipelined, plain = (tile_cycles(array(rows, columns, dataflow, p), m, n, k) for p in (True, False))
    assert int(pipelined) <= int(plain)


@pytest.mark.parametrize(("dataflow", "pipelined"), MODES)
def test_arrays_of_sizes_give_what_each_size_gives_alone(dataflow: str, pipelined: bool) -> None:
    spec = array(5, 7, dataflow, pipelined)
    m, n, k = np.arange(12)[:, None, None], np.arange(15)[None, :, None], np.arange(6)[None, None, :]
    together = tile_cycles(spec, m, n, k)
    assert together.shape == (12, 15, 6)
    assert together.dtype == np.int64
    assert all(together[i] == int(tile_cycles(spec, *i)) for i in np.ndindex(12, 15, 6))


def test_traffic_streams_an_operand_once_for_every_fold_of_the_other() -> None:
    output = tile_traffic(array(4, 4), 10, 9, 6)
    assert [int(x) for x in output] == [3 * 60, 3 * 54, 90, 0]
    weight = tile_traffic(array(4, 4, "weight_stationary"), 10, 9, 6)
    assert [int(x) for x in weight] == [3 * 60, 54, 2 * 90, 90]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(MODES), st.integers(1, 9), st.integers(1, 9), sizes, sizes, sizes)
def test_operands_never_enter_faster_than_the_edges_take_them(
    mode: tuple[str, bool], rows: int, columns: int, m: int, n: int, k: int
) -> None:
    spec = array(rows, columns, *mode)
    traffic = tile_traffic(spec, m, n, k)
    assert int(traffic.inputs + traffic.weights) <= spec.operands_per_cycle * int(tile_cycles(spec, m, n, k))


@pytest.mark.parametrize("bad", [-1, 1.5])
def test_sizes_that_are_negative_or_fractional_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="tile size k must"):
        tile_cycles(array(4, 4), 1, 1, bad)


def test_a_systolic_array_is_a_matrix_unit() -> None:
    unit: MatrixUnit = array(4, 6)
    assert (unit.peak_macs_per_cycle, unit.operands_per_cycle) == (24, 10)
    assert int(unit.tile_cycles(4, 6, 9)) == 9 + 3 + 5 + 4
