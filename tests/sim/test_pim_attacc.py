"""GPUs whose attention stacks do: a step by hand, and what holds for all."""

from __future__ import annotations

from typing import Any

import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.attacc import AttaccSpec, Placement
from cairn.hw_models.pim.attention import Attended, attention_cycles
from cairn.sim.pim.attacc import AttaccSystem, GpuSpec, LayerTime, stack_bytes_per_s, system_time
from cairn.validation.shipped import shipped_models
from cairn.workloads.build import build_graph
from cairn.workloads.graph import OperatorGraph
from cairn.workloads.routing import RoutingSpec
from cairn.workloads.step import WorkloadSpec

GPU, STACK = GpuSpec(), AttaccSpec()


def step(model: str, **more: Any) -> OperatorGraph:
    given = {"phase": "decode", "batch": 8, "context": 2048, "embedding": False, "lm_head": False, **more}
    return build_graph(shipped_models()[model], WorkloadSpec.model_validate(given), RoutingSpec(), 0)


GPT = step("gpt3175b", context=2000)


def of(**more: Any) -> LayerTime:
    return system_time(AttaccSystem(**{"gpu": GPU, "devices": 8, **more}), GPT)


def test_projections_of_a_gpu_are_their_weights_at_its_share_of_the_bandwidth() -> None:
    """GPT-3: 96 layers, 12288 x (36864 + 12288) weights of two bytes over eight GPUs at 0.85 of 3352 GB/s."""
    assert of().projections == pytest.approx(96 * 12288 * 49152 * 2 / 8 / (3352e9 * 0.85), rel=1e-3)


def test_attention_of_a_gpu_runs_a_head_on_a_core() -> None:
    """96 heads of 8 requests over 8 GPUs are 96 on 108 cores: 96/108 of the bandwidth."""
    cache = 96 * 8 * 2000 * 128 * 2 * 2 / 8
    assert of().attention == pytest.approx(96 * cache / (3352e9 * 0.85 * 96 / 108), rel=2e-3)


def test_attention_of_stacks_is_their_closed_form() -> None:
    """96 heads a device over five stacks: 20 on the fullest."""
    found = of(stack=STACK)
    clocks = float(attention_cycles(STACK, Placement.BANK, Attended(20, 2000, 128)))
    assert found.attention == pytest.approx(96 * clocks * 769e-12)
    assert of().transfers == 0 < found.transfers


def test_a_ring_over_eight_devices_has_seven_hops() -> None:
    """Of 8 x 12288 elements an eighth a hop, twice a layer."""
    assert of().all_reduce == pytest.approx(96 * 2 * 7 * (6.06e-6 + 9e-12 * 8 * 12288 * 2 / 8))
    alone = system_time(AttaccSystem(GPU, devices=1), GPT)
    assert alone.all_reduce == 0


def test_stacks_take_a_part_of_the_feed_forward_once_for_each_token() -> None:
    gpu, stacks = 3352e9, 5 * stack_bytes_per_s(STACK, Placement.BANK) / 8
    left = of(stack=STACK, shared_ffn=True).feed_forward / of(stack=STACK).feed_forward
    assert left == pytest.approx(gpu / (gpu + stacks))


def test_the_multipliers_of_a_stack_take_what_their_columns_and_rows_allow() -> None:
    """64 banks of 16 channels, 32 bytes, 32 columns a row in 32 * 6 + 40 clocks of 0.769 ns."""
    expected = 16 * 64 * 32 * 32 / ((32 * 6 + 40) * 769e-12)
    assert stack_bytes_per_s(STACK, Placement.BANK) == pytest.approx(expected)


@pytest.mark.parametrize("placement", list(Placement))
def test_overlaps_are_never_slower_than_one_part_after_the_other(placement: Placement) -> None:
    plain = of(stack=STACK, placement=placement)
    for more in ({"pipelined": True}, {"shared_ffn": True}, {"pipelined": True, "shared_ffn": True}):
        assert of(stack=STACK, placement=placement, **more).seconds < plain.seconds


def test_banks_are_faster_than_groups_and_groups_than_the_buffer_die() -> None:
    times = [of(stack=STACK, placement=placement).attention for placement in Placement]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"devices": 0}, "devices: at least 1 belongs here, not 0"),
        ({"stacks": 0}, "stacks: at least 1 belongs here, not 0"),
        ({"pipelined": True}, "stack: overlaps need stacks that compute; give the system a stack"),
    ],
)
def test_systems_that_cannot_be_are_refused_by_field(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        of(**given)


def test_prefills_and_experts_are_refused() -> None:
    prefill = step("gpt3175b", phase="prefill", context=None, new_tokens=64)
    with pytest.raises(ConfigError, match="phase: AttAcc attends to one new token of each request"):
        system_time(AttaccSystem(GPU), prefill)
    with pytest.raises(ConfigError, match="model: AttAcc systems have dense decoder layers, not grouped_matmul"):
        system_time(AttaccSystem(GPU), step("mixtral8x7b"))
