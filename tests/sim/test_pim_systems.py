"""Steps on AttAcc, CENT and PIM-GPT: times and energies worked out by hand, and what the systems refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError, InfeasibleError
from cairn.hw_models.pim.asic import AsicSpec
from cairn.hw_models.pim.attacc import AttaccSpec, Placement
from cairn.hw_models.pim.cent import CentMapping, block_clocks, block_parts
from cairn.hw_models.pim.cent_host import links_bytes
from cairn.hw_models.pim.cost import energy_of
from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.duplex import DuplexSpec, Unit
from cairn.hw_models.pim.gemv import lower_gemv
from cairn.hw_models.pim.pim_gpt import HeadLayout, context, new_key, new_value, scores
from cairn.hw_models.pim.simulate import simulate_program, verdict_of
from cairn.hw_models.pim.system_energy import AttaccEnergySpec, DuplexEnergySpec, attacc_units
from cairn.sim.pim.attacc_run import AttaccRunSpec, AttendOn, attacc_times
from cairn.sim.pim.cent_run import CentRunSpec, cent_time, llama_block
from cairn.sim.pim.duplex_energy import step_energy
from cairn.sim.pim.outcome import SystemTime
from cairn.sim.pim.pim_gpt import PimGptSpec, pim_gpt_time
from cairn.sim.pim.step import Choice, Machine, step_time
from cairn.validation.shipped import shipped_models
from cairn.workloads.build import build_graph
from cairn.workloads.graph import OperatorGraph, Role
from cairn.workloads.routing import RoutingSpec
from cairn.workloads.step import Phase, WorkloadSpec

GPT, LLAMA = shipped_models()["gpt3xl"], shipped_models()["llama27b"]


def graph(model: str = "gpt3xl", batch: int = 1, context: int = 1024, **more: Any) -> OperatorGraph:
    step = {"phase": Phase.DECODE, "batch": batch, "context": context, **more}
    return build_graph(shipped_models()[model], WorkloadSpec.model_validate(step), RoutingSpec(), 0)


def seconds(time: SystemTime, operator: str) -> float:
    return sum(each.seconds for each in time.spent if each.operator == operator)


def joules(time: SystemTime, operator: str) -> float:
    return sum(each.joules or 0.0 for each in time.spent if each.operator == operator)


# PIM-GPT


def test_inputs_wider_than_a_row_are_chunks_whose_results_the_asic_adds() -> None:
    """Down of GPT-3-XL: 8192 inputs are eight rows; 7 x 2048 sums on 64 lanes are 224 clocks of 1 ns."""
    found = pim_gpt_time(PimGptSpec(refresh="none"), graph())
    device = PimGptSpec().device()
    chunk = simulate_program(lower_gemv(device, 2048, 1024).program)
    assert seconds(found, "down") == pytest.approx(24 * 8 * chunk.seconds)
    assert joules(found, "down") == pytest.approx(24 * 8 * energy_of(chunk).total_pj * 1e-12)
    assert seconds(found, "down, sums") == pytest.approx(24 * 224e-9)
    assert joules(found, "down, sums") == pytest.approx(24 * 7 * 2048 * 1.1e-12)
    assert not any(each.operator == "qkv, sums" for each in pim_gpt_time(PimGptSpec(), graph("gpt2medium")).spent)


def test_heads_fill_rows_with_keys_and_channels_with_values() -> None:
    """16 heads of 128: a token's keys are two rows of eight heads; a channel has the values of two heads, of each head
    8 elements in a bank; 1,500 tokens are 12 in a bank, and two rows of an element's values."""
    device = pim_device("PIM_GPT")
    shape = HeadLayout.of(device, 16, 16, 128, 1500)
    assert (shape.key_rows, shape.key_columns(0), shape.tokens) == (2, 64, 12)
    assert (shape.heads_of_channel, shape.rounds, shape.segments) == (2, 8, 2)
    assert (shape.context_columns(0), shape.context_columns(1)) == (64, 30)
    made = {"scores": scores(device, shape, 4), "context": context(device, shape, 4)}
    counts = {name: simulate_program(program).counts for name, program in made.items()}
    assert counts["scores"]["MAC16"] == 2 * 12 * 8 * 8 and counts["scores"]["RDMAC16"] == 2 * 12 * 8
    assert counts["scores"]["ACT16"] == 2 * 12, "a row is opened once for all its heads"
    assert counts["context"]["MAC16"] == 2 * 8 * (64 + 30) and counts["context"]["RDMAC16"] == 2 * 8 * 2
    assert shape.rows == 12 * 2 + 2 * 8 * 2


@pytest.mark.parametrize("heads", [(16, 16), (16, 4)])
def test_attention_on_banks_breaks_no_rule_of_the_device(heads: tuple[int, int]) -> None:
    device = pim_device("PIM_GPT")
    shape = HeadLayout.of(device, *heads, 64, 300)
    products = (write(device, shape, 2) for write in (scores, context))
    for program in (new_key(device, shape), new_value(device, shape), *products):
        run = simulate_program(program, "all_bank", trace=True)
        assert verdict_of(run, "all_bank").count == 0


def test_query_heads_that_share_a_key_head_multiply_its_row_again() -> None:
    device = pim_device("PIM_GPT")
    alone, shared = (HeadLayout.of(device, heads, 4, 128, 512) for heads in (4, 16))
    for write in (scores, context):
        once, again = (simulate_program(write(device, shape, 1)).counts["MAC16"] for shape in (alone, shared))
        assert again == 4 * once


def test_a_slow_asic_costs_as_much_as_its_clock_is_slower() -> None:
    fast = pim_gpt_time(PimGptSpec(), graph())
    slow = pim_gpt_time(PimGptSpec(asic=AsicSpec(clock_ghz=0.1)), graph())
    assert 100 * (slow.seconds / fast.seconds - 1) == pytest.approx(fast.figures["slow_asic_percent"])
    outside = sum(each.seconds for each in fast.spent if each.side == "ASIC") / fast.seconds
    assert fast.figures["outside_products_percent"] == pytest.approx(100 * outside)


def test_two_requests_take_twice_the_attention_of_one() -> None:
    one, two = (pim_gpt_time(PimGptSpec(), graph(batch=batch)) for batch in (1, 2))
    for operator in ("scores", "context", "softmax"):
        assert seconds(two, operator) == pytest.approx(2 * seconds(one, operator))
    assert two.in_flight == 2


@pytest.mark.parametrize(
    ("model", "message"),
    [("llama27b", "not rms"), ("opt66b", "not relu"), ("mixtral8x7b", "not rms"), ("gpt3175b", "rows of a bank")],
)
def test_pim_gpt_refuses_what_its_asic_or_its_rows_have_not(model: str, message: str) -> None:
    with pytest.raises((ConfigError, InfeasibleError), match=message):
        pim_gpt_time(PimGptSpec(), graph(model, context=128))
    with pytest.raises(ConfigError, match="a head of 48 must be a multiple of 16 and divide a row of 1024"):
        HeadLayout.of(pim_device("PIM_GPT"), 16, 16, 48, 128)


@settings(max_examples=12, derandomize=True, deadline=None)
@given(channels=st.sampled_from((8, 16, 32)), held=st.integers(1, 40), context=st.integers(1, 1024))
def test_no_step_beats_its_bytes_at_the_rate_of_all_banks(channels: int, held: int, context: int) -> None:
    """A unit takes 32 bytes a nanosecond; the ASIC adds to that."""
    step = graph("gpt2medium", context=context)
    found = pim_gpt_time(PimGptSpec(channels=channels, accumulators=held, refresh="none"), step)
    tensors = [t for s in step.segments for t in s.block.tensors * s.repeat if t.role in (Role.WEIGHT, Role.KV)]
    read = sum(t.bytes for t in tensors if t.rows > 1 and t.name not in ("embedding_w", "positions_w"))
    banks = sum(each.seconds for each in found.spent if each.side == "banks")
    assert banks >= read / (channels * 16 * 32e9)


# CENT


def test_a_token_takes_all_blocks_on_their_channels_and_the_lm_head() -> None:
    spec, device = CentRunSpec(), pim_device("GDDR6_AiM")
    found = cent_time(spec, LLAMA, 32, 1024)
    parts = block_parts(device, llama_block(LLAMA, 1024), CentMapping(channels=8))
    times = block_clocks(device, parts, CentMapping(channels=8))
    for name, time in times.items():
        assert seconds(found, name) == pytest.approx(32 * device.seconds(time.clocks))
    assert found.total()["tokens_per_s"] == pytest.approx(32 / found.seconds)
    few = cent_time(spec, LLAMA, 4, 1024)
    assert few.seconds == found.seconds, "fewer requests leave stages idle"
    assert joules(found, "fc-ffn") == pytest.approx(8 * joules(few, "fc-ffn"))
    assert joules(found, "standby") > joules(few, "standby") > joules(found, "standby") / 8, "power flows without work"


@pytest.mark.parametrize(
    ("channels", "devices", "stages"), [(8, 1, 32), (32, 1, 8), (32, 4, 2), (10, 1, 24), (4, 1, 32)]
)
def test_stages_are_the_blocks_that_the_devices_hold(channels: int, devices: int, stages: int) -> None:
    spec = CentRunSpec(channels=channels, block_devices=devices)
    assert spec.stages(pim_device("GDDR6_AiM"), LLAMA.layers) == stages


def test_vectors_of_a_divided_block_go_to_all_others_and_come_back() -> None:
    """Five of 4,096 and one of 11,008 elements to three others, and a quarter of each back from each of them."""
    block = llama_block(LLAMA, 128)
    assert links_bytes(block, 4, divided=True) == pytest.approx(2 * (5 * 4096 + 11008) * (3 + 3 / 4))
    assert links_bytes(block, 1, divided=False) == 2 * 4096


@pytest.mark.parametrize("channels", [4, 8, 32])
def test_no_block_of_cent_beats_its_weights_at_the_rate_of_its_banks(channels: int) -> None:
    found = cent_time(CentRunSpec(channels=channels), LLAMA, 1, 512)
    weights = 32 * (4 * 4096**2 + 3 * 4096 * 11008) * 2
    on_channels = seconds(found, "fc-kqvo") + seconds(found, "fc-ffn")
    assert on_channels >= weights / (channels * 16 * 32e9)


# AttAcc


def test_bits_pay_for_the_stretches_that_they_go() -> None:
    """pJ a bit by AttAcc's table: 0.55 beside a bank, 1.56 for a group, 3.29 on the buffer die, 3.59 to a GPU."""
    energy = AttaccEnergySpec()
    paths = [*(energy.read_pj_per_bit(placement) for placement in Placement), energy.read_pj_per_bit(None)]
    assert paths == pytest.approx([0.55, 1.56, 3.29, 3.59])
    assert energy.move_pj_per_bit(Placement.BANK) == pytest.approx(1.01 + 1.23 + 0.5)
    assert [attacc_units(AttaccSpec(), placement) for placement in Placement] == [1024, 256, 32]


def test_keys_read_beside_banks_take_less_than_over_the_interposer_by_those_figures() -> None:
    """One request, 96 heads of 128 on 40 stacks: three on each, padded to 16 channels in no way; 2,048 keys."""
    alone, stacked = attacc_times(AttaccRunSpec(pipelined=False, shared_ffn=False), graph("gpt3175b", context=2048))
    macs = 96 * 96 * 128 * 2048 * 2 * 0.32e-12
    bits = 96 * 96 * 128 * 2048 * 2 * 16
    assert joules(alone, "attention") == pytest.approx(bits * 3.59e-12 + macs, rel=1e-3)
    moved = joules(stacked, "attention") - macs - 120 / 96 * bits * 0.55e-12  # 3 heads on each of 40 stacks
    assert 0 < moved < 0.2 * joules(stacked, "attention")
    for operator in ("projections", "feed forward", "small", "all reduce"):
        assert joules(stacked, operator) == pytest.approx(joules(alone, operator))


def test_feed_forward_weights_on_the_stacks_are_read_for_every_request() -> None:
    many = [attacc_times(AttaccRunSpec(shared_ffn=shared), graph("gpt3175b", batch=54))[1] for shared in (False, True)]
    assert many[1].seconds < many[0].seconds and joules(many[1], "feed forward") > joules(many[0], "feed forward")
    one = [attacc_times(AttaccRunSpec(shared_ffn=shared), graph("gpt3175b"))[1] for shared in (False, True)]
    assert joules(one[1], "feed forward") < joules(one[0], "feed forward")


@pytest.mark.parametrize(
    ("keys", "placement", "faster"), [(2048, Placement.BANK, True), (64, Placement.BUFFER, False)]
)
def test_attention_goes_where_the_step_is_done_first(keys: int, placement: Placement, faster: bool) -> None:
    given = {"placement": placement, "pipelined": False, "shared_ffn": False}
    step = graph("gpt3175b", batch=9, context=keys)
    (gpu,) = attacc_times(AttaccRunSpec(attention=AttendOn.GPU, **given), step)
    stacks = attacc_times(AttaccRunSpec(**given), step)[1]
    best = attacc_times(AttaccRunSpec(attention=AttendOn.FASTEST, **given), step)[1]
    assert (stacks.seconds < gpu.seconds) is faster
    assert best.seconds == min(gpu.seconds, stacks.seconds)


# Duplex


def test_energy_of_a_step_is_bytes_by_their_unit_and_operations() -> None:
    """Llama-2-7B, one device, all on the cores: rows of 1 KiB opened once each, 3.48 pJ a bit, 0.46 a multiply-add."""
    step, machine = graph("llama27b", batch=4, context=2048, embedding=False), Machine(DuplexSpec(), 1)
    found = step_energy(machine, step_time(machine, step), DuplexEnergySpec())
    weights = (32 * (4 * 4096**2 + 3 * 4096 * 11008) + 32000 * 4096) * 2
    keys = 2 * 32 * 4 * 4096 * 2 * 2047
    assert found.memory_j == pytest.approx((weights + keys) * 8 * (3.48 + 909 / 8192) * 1e-12, rel=0.01)
    macs = 4 * (weights / 2 + 32 * 2 * 4096 * 2048)
    assert found.compute_j == pytest.approx(macs * 0.46e-12, rel=1e-3)


def test_what_pim_reads_costs_less_the_nearer_it_is_and_again_for_query_heads_beside_banks() -> None:
    step = graph("llama38b", batch=4, context=4096, embedding=False)
    joule = {}
    for unit in (None, Unit.LOGIC, Unit.BANK):
        machine = Machine(DuplexSpec(), 1, pim=unit, choice=Choice.PIM if unit else Choice.FASTEST)
        time = step_time(machine, step)
        attention = next(op for op in time.operators if op.name == "attention")
        joule[unit] = step_energy(machine, time, DuplexEnergySpec()).memory_j
        if unit is Unit.BANK:
            four_heads_a_key_head = 4 * (4 * 2 * 8 * 128 * 2 * 4095)
            assert attention.pim_bytes == pytest.approx(four_heads_a_key_head, rel=1e-3)
    assert joule[Unit.LOGIC] < joule[None]
    assert joule[Unit.BANK] > joule[Unit.LOGIC], "3.36 pJ for four reads of a bit, 1.92 for one"


def test_inputs_and_outputs_are_charged_their_own_bits() -> None:
    """Weights of 2 bits instead of 16 take an eighth of the bytes; inputs and outputs of 16 bits take what they did."""
    model = shipped_models()["llama27b"]
    narrow = model.model_copy(update={"precision": model.precision.model_copy(update={"weight_bits": 2.0})})
    step = {"phase": Phase.DECODE, "batch": 256, "context": 16, "embedding": False, "lm_head": False}
    graphs = [build_graph(each, WorkloadSpec.model_validate(step), RoutingSpec(), 0) for each in (model, narrow)]
    machine = Machine(DuplexSpec(simulated_memory=False), 1)
    moved = [next(op.cores_bytes for op in step_time(machine, each).operators if op.name == "o") for each in graphs]
    weights = 4096**2 * 2
    assert moved[0] - moved[1] == pytest.approx(weights - weights / 8)
    assert moved[0] == pytest.approx(weights + 2 * 256 * 4096 * 2)
