"""Measures of the flit network: latencies and their parts, accepted beside offered, saturation as a result."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.base.errors import CairnError
from cairn.hw_models.noc.flit.measure import (
    LoadResult,
    SamplingSpec,
    latency_load_curve,
    run_batch,
    run_load,
    run_packets,
)
from cairn.hw_models.noc.flit.saturation import find_saturation, full_load
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.traffic import Bernoulli, Pattern, PatternSpec, build_pattern, trace
from tests.hw_models.noc_flit_cases import build

MESH = build(kind="mesh", shape=(4, 4))
UNIFORM = Pattern("uniform", 16)
SHORT = SamplingSpec(period=200)


def at_load(load: float, pattern: Pattern = UNIFORM, sampling: SamplingSpec = SHORT, seed: int = 1) -> LoadResult:
    return run_load(*MESH, RouterSpec(), pattern, load, packet_flits=4, seed=seed, sampling=sampling)


def test_latency_is_queueing_and_network_and_counts_from_creation() -> None:
    result = run_packets(*MESH, RouterSpec(), trace([0, 0], [0, 0], [3, 3], [4, 4], MESH[0]))
    # h routers: 2 + 5 h and three more flits; the second packet waits for the first one's four flits at its source
    assert result.latency.longest == 2 + 5 * 4 + 3 + 4
    assert result.latency.queueing == pytest.approx((0 + 4) / 2)
    assert result.latency.mean == pytest.approx(result.latency.queueing + result.latency.network)
    assert result.hops == 3
    assert result.cycles == result.latency.longest + 1
    assert result.link_flits.sum() == 2 * 4 * 3
    assert (result.injected_flits[0], result.ejected_flits[3]) == (8, 8)


def test_a_batch_of_packets_to_their_own_node_passes_no_link() -> None:
    pattern = Pattern("own", 16, fixed=np.arange(16))
    result = run_batch(*MESH, RouterSpec(), pattern, batch_size=2, packet_flits=1)
    assert (result.hops, result.link_flits.sum()) == (0, 0)


def test_below_saturation_what_is_accepted_is_what_is_created() -> None:
    result = at_load(0.3, sampling=SamplingSpec())
    assert not result.saturated
    assert result.converged
    assert result.accepted == pytest.approx(result.created, rel=0.01)
    assert result.created == pytest.approx(0.3, rel=0.05)
    assert result.accepted_lowest < result.accepted < result.accepted_highest
    assert result.latency.packets == pytest.approx(result.created * 16 / 4 * result.measured_cycles, rel=0.02)
    assert result.link_flits_per_cycle.sum() == pytest.approx(result.accepted * 16 * result.hops, rel=0.03)
    assert 1000 <= result.measured_cycles <= 7000 < result.cycles + 1000


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    again, other = at_load(0.3), at_load(0.3, seed=2)
    assert at_load(0.3).latency == again.latency != other.latency


def test_what_is_measured_does_not_depend_on_how_long_the_run_is_drained() -> None:
    assert at_load(0.5).latency == at_load(0.5, sampling=SHORT.model_copy(update={"drain_periods": 40})).latency


def test_beyond_saturation_a_run_ends_and_says_so() -> None:
    all_to_one = build_pattern(PatternSpec(kind="all_to_one"), 16)
    result = at_load(1.0, all_to_one, SamplingSpec(period=1000))
    assert result.saturated
    assert not result.converged
    assert "mean latency exceeds 1500 cycles" in result.why
    assert result.accepted == pytest.approx(1 / 16, rel=0.02)
    assert result.cycles <= 10_000


def test_packets_that_never_arrive_in_time_are_saturation_too() -> None:
    unlimited = SamplingSpec(period=200, latency_limit=1e12, drain_periods=1)
    result = at_load(1.0, build_pattern(PatternSpec(kind="all_to_one"), 16), unlimited)
    assert result.saturated
    assert "packets are still under way 200 cycles after the measurement" in result.why


def test_warming_up_may_show_saturation_already() -> None:
    result = at_load(1.0, sampling=SamplingSpec(period=200, latency_limit=30))
    assert result.saturated
    assert result.measured_cycles == 0
    assert result.cycles <= 600


def test_a_run_that_would_measure_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"max_periods \(3\) must exceed warmup_periods \(3\)"):
        SamplingSpec(max_periods=3)


def test_saturation_is_where_latency_is_three_times_that_of_the_low_load() -> None:
    found = find_saturation(*MESH, RouterSpec(), UNIFORM, packet_flits=4, precision=0.02)
    assert found.below <= found.load <= found.above <= found.below * 1.02
    # BookSim2: 0.5654 (reference/noc/booksim2_summary.csv, mesh4x4_uniform_p4_v2_b4_std4)
    assert found.load == pytest.approx(0.5654, rel=0.04)
    assert found.full_load_accepted == pytest.approx(0.576, rel=0.05)
    assert found.low_load == pytest.approx(0.05 * found.full_load_accepted)
    loads = [probe.offered for probe in found.probes]
    assert loads == sorted(loads)
    for probe in found.probes:
        beyond = probe.saturated or probe.latency.mean > 3 * found.low_load_latency
        assert beyond == (probe.offered >= found.above)


def test_a_network_that_never_saturates_is_named() -> None:
    own, router = Pattern("own", 16, fixed=np.arange(16)), RouterSpec(virtual_channels=4, buffer_flits=16)
    with pytest.raises(CairnError, match="mesh 4 x 4 does not saturate: at a load of 1"):
        find_saturation(*MESH, router, own, packet_flits=1, sampling=SHORT, low_load=0.05)


def test_a_low_load_at_which_nothing_is_measured_is_named() -> None:
    with pytest.raises(CairnError, match="the low load of 1e-06 measures no packet"):
        find_saturation(*MESH, RouterSpec(), UNIFORM, packet_flits=4, sampling=SHORT, low_load=1e-6)
    all_to_one = build_pattern(PatternSpec(kind="all_to_one"), 16)
    with pytest.raises(CairnError, match=r"the low load of 0\.9 saturates already"):
        find_saturation(*MESH, RouterSpec(), all_to_one, packet_flits=4, low_load=0.9)


def test_saturation_outside_the_range_that_was_given_is_found_all_the_same() -> None:
    for between in ((0.1, 0.2), (0.8, 0.9)):
        found = find_saturation(
            *MESH, RouterSpec(), UNIFORM, packet_flits=4, precision=0.05, low_load=0.03, between=between
        )
        assert found.load == pytest.approx(0.5654, rel=0.05)


def test_a_curve_has_a_run_for_every_load_and_latency_grows() -> None:
    curve = latency_load_curve(*MESH, RouterSpec(), UNIFORM, [0.1, 0.3, 0.5], packet_flits=4, sampling=SamplingSpec())
    assert [run.offered for run in curve] == [0.1, 0.3, 0.5]
    means = [run.latency.mean for run in curve]
    assert means == sorted(means)


def test_full_load_is_what_a_bottleneck_lets_through() -> None:
    pattern = build_pattern(PatternSpec(kind="all_to_one", target=5), 16)
    assert full_load(*MESH, RouterSpec(), pattern, 4, sampling=SHORT) == pytest.approx(1 / 16, rel=0.01)


def test_the_means_of_five_seeds_are_those_of_booksim2() -> None:
    # reference/noc/booksim2_summary.csv, mesh4x4_uniform_p4_v2_b4_std4: 25.65 at half of 0.5654
    means = [at_load(0.5 * 0.5654, sampling=SamplingSpec(), seed=seed).latency.mean for seed in range(1, 6)]
    assert np.mean(means) == pytest.approx(25.6515, rel=0.03)


def test_bernoulli_runs_offer_the_packets_of_their_source() -> None:
    source = Bernoulli(UNIFORM, 0.3, 4)
    created = sum(int(source.period(200).flits.sum()) for _ in range(4))
    result = at_load(0.3, sampling=SamplingSpec(period=200, warmup_periods=3, max_periods=4))
    first = Bernoulli(UNIFORM, 0.3, 4)
    warm = sum(int(first.period(200).flits.sum()) for _ in range(3))
    assert result.created * 16 * 200 == pytest.approx(created - warm)
