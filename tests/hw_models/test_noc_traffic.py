"""Traffic patterns and injection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.hw_models.noc.topologies import TopologySpec, build_network
from cairn.hw_models.noc.traffic import Bernoulli, Pattern, PatternSpec, batch, build_pattern, trace

MESH = build_network(TopologySpec(shape=(4, 4)))


def fixed(kind: str, nodes: int = 16, shape: tuple[int, ...] | None = None, **more: object) -> list[int]:
    pattern = build_pattern(PatternSpec.model_validate({"kind": kind, **more}), nodes, shape)
    assert pattern.fixed is not None
    return pattern.fixed.tolist()


def test_permutations_send_where_their_definitions_say() -> None:
    grid = [(x, y) for y in range(4) for x in range(4)]
    assert fixed("transpose") == [y + 4 * x for x, y in grid]
    assert fixed("bit_complement") == [15 - node for node in range(16)]
    assert fixed("bit_reverse")[0b0011] == 0b1100
    assert fixed("shuffle")[0b1001] == 0b0011
    assert fixed("tornado", shape=(4, 4)) == [(x + 1) % 4 + 4 * ((y + 1) % 4) for x, y in grid]
    assert fixed("tornado", 8, (8,)) == [(x + 3) % 8 for x in range(8)]
    assert fixed("neighbor", shape=(4, 4)) == [(x + 1) % 4 + 4 * ((y + 1) % 4) for x, y in grid]
    assert fixed("neighbor", 6, (2, 3)) == [3, 2, 5, 4, 1, 0]
    assert fixed("all_to_one", target=5) == [5] * 16


@pytest.mark.parametrize("kind", ["transpose", "bit_complement", "bit_reverse", "shuffle", "tornado", "neighbor"])
def test_permutations_send_to_every_node_once(kind: str) -> None:
    assert sorted(fixed(kind, 64, (4, 4, 4))) == list(range(64))


@pytest.mark.parametrize(
    ("values", "nodes", "shape", "message"),
    [
        ({"kind": "transpose"}, 8, None, r"nodes must be 4\^n, got 8"),
        ({"kind": "bit_reverse"}, 12, None, "nodes must be a power of 2, got 12"),
        ({"kind": "tornado"}, 18, (3, 3), r"\[3, 3\] has not 18 nodes"),
        ({"kind": "all_to_one", "target": 16}, 16, None, r"target \(16\) .* nodes 0..15"),
        ({"kind": "hotspot", "hotspots": [[16, 1.0]]}, 16, None, "node 16, which is none of the nodes 0..15"),
        ({"kind": "hotspot", "hotspots": [[3, 0.0]]}, 16, None, "not all of them are 0"),
        ({"kind": "matrix", "matrix": [[1.0, -1.0], [1.0, 1.0]]}, 2, None, "weights are not negative"),
        ({"kind": "matrix", "matrix": [[1.0, 1.0], [1.0, 1.0]]}, 3, None, "3 rows of 3 weights, got 2 rows of 2"),
    ],
)
def test_a_pattern_that_does_not_fit_its_nodes_is_refused(
    values: dict[str, object], nodes: int, shape: tuple[int, ...] | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_pattern(PatternSpec.model_validate(values), nodes, shape)


@pytest.mark.parametrize(
    "values", [{"kind": "hotspot"}, {"kind": "uniform", "target": 3}, {"kind": "uniform", "matrix": [[1.0]]}]
)
def test_arguments_that_a_pattern_does_not_use_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PatternSpec.model_validate(values)


@given(rows=st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=4, max_size=4).filter(any),
                     min_size=4, max_size=4))  # fmt: skip
def test_destinations_are_drawn_by_their_weights(rows: list[list[float]]) -> None:
    pattern = build_pattern(PatternSpec.model_validate({"kind": "matrix", "matrix": rows}), 4)
    numbers = (np.arange(4000) + 0.5) / 4000
    for source in range(4):
        drawn = np.bincount(pattern.destinations(np.full(4000, source), numbers), minlength=4) / 4000
        assert drawn == pytest.approx(np.array(rows[source]) / sum(rows[source]), abs=1e-3)
        assert pattern.weights[source] == pytest.approx(np.array(rows[source]) / sum(rows[source]))


def test_weights_of_all_patterns_sum_to_one_for_every_source() -> None:
    for values in ({}, {"kind": "transpose"}, {"kind": "hotspot", "hotspots": [[0, 1.0], [5, 9.0]]}):
        pattern = build_pattern(PatternSpec.model_validate(values), 16)
        assert pattern.weights.sum(axis=1) == pytest.approx(np.ones(16))


def test_a_batch_creates_a_packet_of_each_node_in_every_cycle() -> None:
    packets = batch(Pattern("uniform", 16), 3, 4)
    assert packets.cycle.tolist() == [0] * 16 + [1] * 16 + [2] * 16
    assert packets.source.tolist() == list(range(16)) * 3
    assert set(packets.flits.tolist()) == {4}
    assert (packets.destination == batch(Pattern("uniform", 16), 3, 4).destination).all()
    assert (packets.destination != batch(Pattern("uniform", 16), 3, 4, seed=2).destination).any()


def test_bernoulli_packets_do_not_depend_on_how_the_time_is_divided() -> None:
    whole = Bernoulli(Pattern("uniform", 16), 0.5, 2, seed=3).period(600)
    source = Bernoulli(Pattern("uniform", 16), 0.5, 2, seed=3)
    parts = [source.period(cycles) for cycles in (1, 99, 500)]
    for name in ("cycle", "source", "destination", "flits"):
        assert np.concatenate([getattr(part, name) for part in parts]).tolist() == getattr(whole, name).tolist()


@pytest.mark.parametrize(("load", "flits"), [(0.05, 1), (0.4, 4), (1.0, 1)])
def test_bernoulli_creates_the_load_that_was_asked_for(load: float, flits: int) -> None:
    packets = Bernoulli(Pattern("uniform", 64), load, flits).period(4000)
    spread = np.sqrt(load / flits / (4000 * 64)) * flits
    assert packets.flits.sum() / (4000 * 64) == pytest.approx(load, abs=4 * spread)
    assert np.bincount(packets.destination, minlength=64).min() > 0


@pytest.mark.parametrize(("load", "flits"), [(0.0, 4), (1.5, 1), (-0.1, 4), (float("nan"), 4)])
def test_a_load_that_no_source_can_create_is_refused(load: float, flits: int) -> None:
    with pytest.raises(ConfigError, match=r"load .* must be above 0 and at most"):
        Bernoulli(Pattern("uniform", 16), load, flits)


def test_a_trace_is_put_in_order_and_keeps_the_order_within_a_cycle() -> None:
    packets = trace([5, 0, 5], [1, 2, 3], [3, 2, 1], [4, 5, 6], MESH)
    assert packets.cycle.tolist() == [0, 5, 5]
    assert packets.source.tolist() == [2, 1, 3]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((-1, 0, 0, 1), "cycle is -1"),
        ((0, 16, 0, 1), "source is 16, allowed are 0 to 15"),
        ((0, 0, -1, 1), "destination is -1"),
        ((0, 0, 0, 0), "flits is 0"),
    ],
)
def test_a_packet_of_a_trace_that_does_not_fit_is_named(row: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(ConfigError, match=f"packet 1: {message}"):
        trace(*zip((0, 0, 0, 1), row, strict=True), MESH)


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"batch_size \(0\)"):
        batch(Pattern("uniform", 4), 0, 1)
    with pytest.raises(ConfigError, match=r"packet_flits \(0\)"):
        batch(Pattern("uniform", 4), 1, 0)
