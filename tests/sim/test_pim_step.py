"""Steps divided between cores and PIM: the rule for experts, small steps by hand, and what holds for all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import CairnError, ConfigError, InfeasibleError
from cairn.hw_models.pim.duplex import DuplexSpec, PimSpec, Unit, duplex_device
from cairn.sim.pim.coprocess import divide
from cairn.sim.pim.step import PARTS, Choice, Machine, StepTime, step_time
from cairn.validation.shipped import shipped_models
from cairn.workloads.build import build_graph
from cairn.workloads.graph import OperatorGraph
from cairn.workloads.routing import RoutingLaw, RoutingSpec
from cairn.workloads.step import Phase, WorkloadSpec


def decode(model: str, batch: int, context: int) -> OperatorGraph:
    step = {"phase": Phase.DECODE, "batch": batch, "context": context, "embedding": False}
    workload = WorkloadSpec.model_validate(step)
    return build_graph(shipped_models()[model], workload, RoutingSpec(law=RoutingLaw.UNIFORM), 1)


def of(graph: OperatorGraph, **more: Any) -> StepTime:
    given = {"device": DuplexSpec(), "devices": 4, "tensor_parallel": 4, **more}
    return step_time(Machine(**given), graph)


MIXTRAL, LLAMA = decode("mixtral8x7b", 32, 1024), decode("llama27b", 16, 2048)


def test_the_experts_with_the_most_tokens_go_to_the_cores_until_the_later_side_is_done_first() -> None:
    """Loads 1, 9, 4: cores take 5 each, PIM 1 a token. {9} on the cores: 5 and 5; {9, 4}: 10; none: 14."""
    found = divide([1, 9, 4], [5, 5, 5], [1, 9, 4])
    assert found.on_cores.tolist() == [False, True, False]
    assert (found.cores_s, found.pim_s, found.seconds) == (5, 5, 5)


def test_experts_of_a_section_go_together() -> None:
    """Two sections, {0, 1} with 3 tokens and {2, 3} with 5: the second to the cores, 2, the first to PIM, 3."""
    found = divide([3, 0, 0, 5], [1, 1, 1, 1], [3, 0, 0, 5], sections=2)
    assert found.on_cores.tolist() == [False, False, True, True]
    assert found.seconds == 3


@given(st.lists(st.tuples(st.integers(0, 99), st.floats(0, 9), st.floats(0, 9)), min_size=1, max_size=24))
def test_experts_divided_are_never_slower_than_on_either_side_alone(experts: list[tuple[int, float, float]]) -> None:
    loads, cores, pim = (np.array(column) for column in zip(*experts, strict=True))
    assert divide(loads, cores, pim).seconds <= min(cores.sum(), pim.sum()) * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize(
    ("loads", "sections", "message"),
    [
        ([], 0, "loads: give as many loads as times of both sides"),
        ([1, 2, 3], 2, "sections: 3 experts cannot be cut into 2 equal sections"),
        ([1, 2, 3], -1, "sections: 3 experts cannot be cut into -1 equal sections"),
    ],
)
def test_experts_that_cannot_be_divided_are_refused(loads: list[int], sections: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        divide(loads, loads, loads, sections)


def test_a_step_of_dense_products_is_the_sum_of_its_parts_on_the_cores() -> None:
    """Llama-2-7B on one device, by the times of the device: 32 layers of four products, and attention."""
    found = of(LLAMA, devices=1, tensor_parallel=1)
    device = duplex_device(DuplexSpec())
    assert found.qkv == pytest.approx(32 * float(device.product_s(Unit.CORES, 16, 4096, 12288, 2)), rel=1e-9)
    assert found.o == pytest.approx(32 * float(device.product_s(Unit.CORES, 16, 4096, 4096, 2)), rel=1e-9)
    keys = 16 * 32 * 128 * 2 * 2047  # the new key is at hand
    assert found.attention == pytest.approx(64 * float(device.bytes_s(Unit.CORES, keys)), rel=2e-3)
    assert found.experts == found.all_reduce == found.exchange == 0
    assert found.seconds == pytest.approx(sum(getattr(found, part) for part in PARTS))


def test_attention_goes_to_pim_and_says_so() -> None:
    cores, logic = of(LLAMA), of(LLAMA, pim=Unit.LOGIC)
    assert logic.attention < cores.attention / 2
    assert logic.units["attention"] is Unit.LOGIC and logic.units["qkv"] is Unit.CORES
    assert (logic.qkv, logic.o, logic.dense) == (cores.qkv, cores.o, cores.dense)


@pytest.mark.parametrize("unit", [Unit.LOGIC, Unit.BANK])
def test_a_step_with_pim_is_no_slower_than_without_and_divided_experts_no_slower_than_either_side(unit: Unit) -> None:
    times = {choice: of(MIXTRAL, pim=unit, choice=choice) for choice in Choice}
    best = times[Choice.FASTEST]
    assert times[Choice.CORES].seconds == of(MIXTRAL).seconds
    assert all(best.seconds <= other.seconds for other in times.values())
    divided = of(MIXTRAL, pim=unit, coprocessing=True)
    assert divided.experts <= min(times[Choice.CORES].experts, times[Choice.PIM].experts)


def test_operations_per_byte_send_what_pim_has_too_few_for_to_the_cores() -> None:
    """Mixtral has four query heads a key head: attention goes to Logic-PIM (8 op/B) and not to bank PIM (1 op/B)."""
    logic, bank = (of(MIXTRAL, pim=unit, choice=Choice.OPS_PER_BYTE) for unit in (Unit.LOGIC, Unit.BANK))
    assert logic.units["attention"] is Unit.LOGIC
    assert bank.units["attention"] is Unit.CORES


def test_attention_of_one_query_head_a_key_head_has_the_one_operation_per_byte_of_bank_pim() -> None:
    """The new key and value, which are at hand and not read, do not make it more."""
    assert of(LLAMA, pim=Unit.BANK, choice=Choice.OPS_PER_BYTE).units["attention"] is Unit.BANK


@settings(max_examples=10, derandomize=True, deadline=None)
@given(scale=st.sampled_from((1, 2, 4)), unit=st.sampled_from((Unit.LOGIC, Unit.BANK)))
def test_more_bandwidth_in_pim_is_never_slower(scale: int, unit: Unit) -> None:
    few, many = (
        DuplexSpec(logic=PimSpec(banks_together=b), bank=PimSpec(banks_together=b, ops_per_byte=1.0))
        for b in (4 * scale, 8 * scale)
    )
    assert of(MIXTRAL, device=many, pim=unit).seconds <= of(MIXTRAL, device=few, pim=unit).seconds * 1.001


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"devices": 0}, "devices: at least 1 belongs here, not 0"),
        ({"tensor_parallel": 3}, "tensor_parallel: 4 devices cannot be cut into groups of 3"),
        ({"pim": Unit.CORES}, "pim: cores are no PIM unit; choose logic or bank, or none"),
        ({"coprocessing": True}, "coprocessing: coprocessing needs a PIM unit; choose logic or bank"),
        (
            {"coprocessing": True, "pim": Unit.LOGIC, "choice": Choice.PIM},
            "choice: coprocessing divides experts by their times; leave choice at fastest",
        ),
    ],
)
def test_machines_that_cannot_be_are_refused_by_field(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        of(LLAMA, **given)


def test_heads_and_experts_that_do_not_divide_are_infeasible_with_the_remedy() -> None:
    with pytest.raises(InfeasibleError, match=r"key heads divided over devices.*choose a degree that divides 8"):
        of(MIXTRAL, devices=16, tensor_parallel=16)
    with pytest.raises(InfeasibleError, match=r"experts divided over devices.*choose a degree that divides 8"):
        of(MIXTRAL, devices=16, tensor_parallel=4)


def test_operators_without_a_model_are_named() -> None:
    with pytest.raises(CairnError, match=r"PIM systems know no operator ssm_scan|conv1d"):
        of(decode("mamba28b", 1, 128), devices=1, tensor_parallel=1)


@pytest.mark.parametrize("coprocessing", [False, True])
def test_operators_say_where_they_are_done_and_add_up_to_their_parts(coprocessing: bool) -> None:
    found = of(MIXTRAL, pim=Unit.LOGIC, coprocessing=coprocessing)
    for part in ("qkv", "attention", "o"):
        mine = sum(each.seconds * each.count for each in found.operators if each.part == part)
        assert mine == pytest.approx(getattr(found, part))
    experts = [each for each in found.operators if each.name == "experts"]
    assert len(experts) == 32
    for each in experts:
        assert each.pim_s is not None
        assert each.seconds <= min(each.cores_s, each.pim_s) * (1 + 1e-12)
        assert 0 <= each.pim_share <= 1 and 4 <= each.ops_per_byte <= 16
    names = {each.name: each for each in found.operators}
    assert names["attention"].pim_share == 1 and names["attention"].ops_per_byte == 4
    assert names["qkv"].pim_s is None and names["qkv"].ops_per_byte == 32


def test_without_pim_nothing_is_done_by_it_and_by_hand_all_experts_are() -> None:
    assert all(each.pim_share == 0 and each.pim_s is None for each in of(MIXTRAL).operators)
    by_hand = of(MIXTRAL, pim=Unit.BANK, choice=Choice.PIM).operators
    assert {each.pim_share for each in by_hand if each.name in ("experts", "attention")} == {1.0}
