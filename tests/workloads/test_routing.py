"""Expert routing: loads of each law, draws that realise them, and traces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cairn.base.errors import CairnError, ConfigError
from cairn.base.streams import stream
from cairn.validation.reference import ReferenceDir
from cairn.workloads.architecture import AttentionSpec, ModelSpec, MoESpec
from cairn.workloads.feedforward import sort_by_expert
from cairn.workloads.routing import (
    Router,
    RoutingSpec,
    default_tau,
    draw_experts,
    exponential_rank_loads,
    power_law_loads,
)
from cairn.workloads.routing_trace import read_trace


def model(experts: int, top_k: int, layers: int = 4) -> ModelSpec:
    return ModelSpec(
        name="m", source="t", layers=layers, hidden=8, vocab=10,
        attention=AttentionSpec(heads=2), moe=MoESpec(experts=experts, top_k=top_k, width=4),
    )  # fmt: skip


@given(
    loads=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40).filter(lambda x: sum(x) > 0.1),
    data=st.data(),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_a_token_chooses_different_experts_with_load_only(loads: list[float], data: st.DataObject, seed: int) -> None:
    shares = np.array(loads) / sum(loads)
    top_k = data.draw(st.integers(1, int(np.count_nonzero(shares))))
    tokens = data.draw(st.integers(1, 70))
    chosen = draw_experts(shares, top_k, tokens, stream(seed, "test"))
    assert chosen.shape == (tokens, top_k)
    assert (np.diff(chosen, axis=1) > 0).all()
    assert (shares[chosen] > 0).all()
    counts, rows = sort_by_expert(chosen, len(loads))
    touched = sum(1 for count in counts if count)
    assert sum(counts) == len(rows) == tokens * top_k
    assert max(counts) <= tokens
    assert top_k <= touched <= min(len(loads), tokens * top_k)


@pytest.mark.parametrize(("experts", "top_k", "tau"), [(128, 8, 31.0), (8, 2, 6.0), (64, 6, 10.0)])
def test_draws_realise_the_loads_although_a_token_never_repeats_an_expert(experts: int, top_k: int, tau: float) -> None:
    loads = exponential_rank_loads(experts, tau)
    tokens = 60_000
    counts = np.bincount(draw_experts(loads, top_k, tokens, stream(3, "t")).ravel(), minlength=experts)
    wanted = tokens * top_k * loads
    deviation = np.sqrt(wanted * (1 - top_k * loads))
    assert (np.abs(counts - wanted) < 5 * deviation).all()


def test_an_expert_that_would_be_chosen_twice_takes_every_token_and_the_rest_share_what_is_left() -> None:
    chosen = draw_experts(np.array([0.9, 0.05, 0.05]), 2, 4000, stream(1, "t"))
    counts = np.bincount(chosen.ravel(), minlength=3)
    assert counts[0] == 4000
    assert counts[1] == pytest.approx(2000, abs=160)


def test_every_pair_of_experts_occurs_together_under_uniform_loads() -> None:
    chosen = draw_experts(np.full(8, 1 / 8), 2, 4000, stream(2, "t"))
    assert len({tuple(row) for row in chosen.tolist()}) == 28


def test_few_tokens_touch_few_experts() -> None:
    """256 experts, 8 a token: a batch of 16 touches E (1 - (1 - k/E)^16) of them on average, 102 and not 128."""
    touched = [len(np.unique(draw_experts(np.full(256, 1 / 256), 8, 16, stream(s, "t")))) for s in range(200)]
    assert np.mean(touched) == pytest.approx(256 * (1 - (1 - 8 / 256) ** 16), rel=0.02)


@pytest.mark.parametrize("experts", [2, 8, 16])
def test_a_layer_of_few_experts_has_its_hottest_at_1_4_times_the_mean(experts: int) -> None:
    loads = exponential_rank_loads(experts, default_tau(experts))
    assert loads.max() * experts == pytest.approx(1.4, abs=1e-6)


def test_a_layer_of_many_experts_falls_by_e_every_quarter_of_them() -> None:
    assert default_tau(128) == 32
    loads = exponential_rank_loads(128, default_tau(128))
    assert loads[0] / loads[32] == pytest.approx(np.e)


@pytest.mark.parametrize(
    ("experts", "top_k", "alpha", "skew", "top_fifth"),
    [(128, 8, 1.01, 6.6, 0.73), (128, 8, 1.2, 10.3, 0.83), (8, 2, 1.01, 3.8, None), (8, 2, 1.2, 4.2, None)],
)
def test_power_law_loads_have_the_published_skew(
    experts: int, top_k: int, alpha: float, skew: float, top_fifth: float | None
) -> None:
    """reference/moe/routing_skew.yaml (aic_power_law_stats): 2000 draws at 1024 tokens, before any cap."""
    draws = np.array([np.sort(power_law_loads(experts, top_k, 1024, alpha, stream(s, "t")))[::-1] for s in range(2000)])
    assert np.median(draws[:, 0] * experts) == pytest.approx(skew, rel=0.05)
    if top_fifth is not None:
        assert draws[:, : round(experts / 5)].sum(axis=1).mean() == pytest.approx(top_fifth, abs=0.02)


@pytest.mark.parametrize("alpha", [0.0, 0.999_999_999, 1.0, 1.000_000_001, 5.0, 100.0])
@pytest.mark.parametrize("tokens", [1, 2, 1000])
def test_power_law_loads_are_a_distribution_for_every_exponent(alpha: float, tokens: int) -> None:
    loads = power_law_loads(16, 2, tokens, alpha, stream(1, "t"))
    assert loads.sum() == pytest.approx(1)
    assert (loads > 0).all()


def test_layers_have_their_own_hot_experts_and_each_seed_its_own() -> None:
    router = Router(RoutingSpec(), model(64, 4), 100, seed=1)
    hottest = {int(router.loads(layer).argmax()) for layer in range(20)}
    assert len(hottest) > 10
    assert (router.choose(3) == Router(RoutingSpec(), model(64, 4), 100, seed=1).choose(3)).all()
    assert (router.choose(3) != Router(RoutingSpec(), model(64, 4), 100, seed=2).choose(3)).any()


def trace(tmp_path: Path, text: str) -> str:
    file = tmp_path / "trace.csv"
    file.write_text(text)
    return str(file)


def test_a_trace_gives_each_layer_the_loads_of_the_nearest_recorded_one(tmp_path: Path) -> None:
    file = trace(tmp_path, "# recorded loads\nlayer,e0,e1,e2,e3\n0,1,1,1,1\n6,6,2,1,1\n10,0,0,5,5\n")
    router = Router(RoutingSpec(law="trace", trace=file), model(4, 2), 50, seed=1)
    assert router.loads(0).tolist() == router.loads(3).tolist() == [0.25] * 4
    assert router.loads(4).tolist() == router.loads(8).tolist() == [0.6, 0.2, 0.1, 0.1]
    assert router.loads(60).tolist() == [0, 0, 0.5, 0.5]
    assert set(router.choose(60).ravel().tolist()) == {2, 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer,e0,e1\n0,1,2\n", "trace.csv:1: a trace for 3 experts has the columns layer, e0 ... e2; this one has 2"),
        ("x,y\n", "has the columns layer, e0 ... e2; this one has columns x, y, ..."),
        ("layer,e0,e1,e2\n0,1,2\n", "trace.csv:2: has 3 values instead of 4"),
        ("layer,e0,e1,e2\n\n0,1,2,many\n", "trace.csv:3: has a value that is not a number"),
        ("layer,e0,e1,e2\n0,1,2,-3\n", "trace.csv:2: layers and counts must be finite and not negative"),
        ("layer,e0,e1,e2\n0,1,2,nan\n", "trace.csv:2: layers and counts must be finite and not negative"),
        ("layer,e0,e1,e2\n0,0,0,0\n", "trace.csv:2: the counts of a layer must have a positive sum"),
        ("layer,e0,e1,e2\n1,1,1,1\n1,1,1,1\n", "trace.csv:3: layer 1 stands here a second time"),
        ("layer,e0,e1,e2\n", "trace.csv: the trace has no layers"),
    ],
)  # fmt: skip
def test_a_wrong_trace_is_refused_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as trouble:
        read_trace(trace(tmp_path, text), 3)
    assert message in str(trouble.value)


def test_a_missing_trace_a_folder_and_binary_data_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("missing.csv", "", "binary.csv", "nul\0.csv"):
        with pytest.raises(ConfigError):
            read_trace(f"{tmp_path}/{name}", 3)


def test_a_trace_with_too_few_loaded_experts_is_refused(tmp_path: Path) -> None:
    file = trace(tmp_path, "layer,e0,e1,e2\n0,9,0,0\n")
    with pytest.raises(CairnError, match="routing reaches only 1 experts, but a token needs 2"):
        Router(RoutingSpec(law="trace", trace=file), model(3, 2), 5, seed=1).choose(0)


def test_settings_of_another_law_are_refused() -> None:
    for values in ({"law": "trace"}, {"trace": "x.csv"}, {"law": "uniform", "tau": 3.0}, {"tau": 0}):
        with pytest.raises(ValidationError):
            RoutingSpec.model_validate(values)


def test_the_recorded_qwen3_trace_has_its_stated_statistics() -> None:
    """reference/moe/routing_skew.yaml (qwen3_235b_math): medians over the layers without layer 0, and the fit."""
    found = ReferenceDir().find("moe/expert_load_qwen3_235b_math.csv")
    if found is None:
        pytest.skip("moe/expert_load_qwen3_235b_math.csv is not shipped; CAIRN_REFERENCE_DIR names a folder with it")
    layers = read_trace(found[0], 128)
    loads = np.array([np.sort(shares)[::-1] for layer, shares in sorted(layers.items()) if layer])
    skew = loads[:, 0] * 128
    assert [skew.min(), np.median(skew), skew.max()] == pytest.approx([4.34, 5.73, 7.89], abs=0.02)
    assert np.median(loads.std(axis=1) * 128) == pytest.approx(1.17, abs=0.01)
    shares = [np.median(loads[:, :top].sum(axis=1)) for top in (13, 26)]
    assert shares == pytest.approx([0.391, 0.587], abs=0.01)
    law = exponential_rank_loads(128, default_tau(128))
    assert law[:26].sum() == pytest.approx(0.587, abs=0.03)
    assert law[64:].sum() == pytest.approx(0.117, abs=0.01)
