"""A block on AiM channels: counts worked out by hand, and what holds for all."""

from __future__ import annotations

import pytest

from cairn.base.errors import ConfigError, InfeasibleError
from cairn.hw_models.pim.cent import PARTS, CentMapping, LlamaBlock, block_clocks, block_parts, whole_program
from cairn.hw_models.pim.cent_host import CentHostSpec, accelerators_s, links_s
from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.simulate import simulate_program, verdict_of

AIM = pim_device("GDDR6_AiM")
SMALL = LlamaBlock(hidden=1024, heads=8, kv_heads=8, ffn=2816, context=300)
EIGHT = CentMapping(channels=8)


def test_products_open_a_row_for_each_output_of_a_bank_and_fill_the_buffer_for_each_row_of_inputs() -> None:
    """1,024 outputs over 128 banks are 8 a bank, inputs one row: four products, so 32 rows, 4 fills, 32 sums."""
    products = block_parts(AIM, SMALL, EIGHT)["fc-kqvo"].instructions
    assert (products["MAC16"], products["WRGB"], products["WRMAC16"], products["RDMAC16"]) == (32, 4, 32, 32)
    assert products["EWMUL16"] == 2


def test_the_first_product_of_the_network_activates_and_holds_half_the_sums() -> None:
    """2,816 outputs are 22 a bank. w1: 22 sums, each activated; w3: 22; w2: 8 outputs of three rows of inputs."""
    found = block_parts(AIM, SMALL, EIGHT)["fc-ffn"].instructions
    assert found["AF16"] == found["RDAF16"] == 22
    assert found["MAC16"] == 22 + 22 + 8 * 3
    assert found["WRGB"] == 1 + 1 + 3


def test_scores_read_each_key_row_head_by_head_and_contexts_each_part_of_a_head() -> None:
    """300 tokens over 128 banks are 3 rows of 8 heads of 8 columns; a head a channel has 8 parts of 19 columns."""
    found = block_parts(AIM, SMALL, EIGHT)["attention"]
    assert found.instructions["MAC16"] == 3 * 8 + 8
    assert found.instructions["WRGB"] == 3 + 1
    assert found.instructions["WRA16"] == 8 * 8
    assert found.host_writes == 64 * 4  # the key, a row of 64 columns in each of four blocks
    clocks = block_clocks(AIM, {"attention": found}, EIGHT)["attention"]
    assert clocks.commands["MAC16"] == 3 * 8 * 8 + 8 * 19
    assert clocks.commands["ACT16"] == 3 + 8 + 8  # keys; values, first written, then read


def test_grouped_queries_read_keys_and_values_once_more_for_each_query_head() -> None:
    grouped = LlamaBlock(hidden=1024, heads=8, kv_heads=8, ffn=2816, context=300)
    shared = LlamaBlock(hidden=2048, heads=16, kv_heads=8, ffn=2816, context=300)
    one, two = (block_parts(AIM, block, EIGHT)["attention"].instructions["MAC16"] for block in (grouped, shared))
    assert two == 2 * one


def test_parts_follow_each_other_and_the_host_takes_a_clock_for_each_request() -> None:
    parts = block_parts(AIM, SMALL, EIGHT)
    times = block_clocks(AIM, parts, EIGHT)
    slow = block_clocks(AIM, parts, CentMapping(channels=8, host_clocks=2))
    assert list(times) == list(PARTS)
    for name, part in parts.items():
        assert times[name].host_clocks == part.host_writes + part.host_reads
        assert slow[name].clocks - times[name].clocks == times[name].host_clocks


def test_a_block_breaks_no_rule_of_the_device() -> None:
    program = whole_program(block_parts(AIM, SMALL, EIGHT))
    verdict = verdict_of(simulate_program(program, trace=True))
    assert verdict.commands > 1000
    assert not verdict.violations


@pytest.mark.parametrize("more", [{"channels": 16}, {"devices": 2}])
def test_more_channels_or_devices_make_no_product_slower(more: dict[str, int]) -> None:
    few = block_clocks(AIM, block_parts(AIM, SMALL, EIGHT), EIGHT)
    many = CentMapping.model_validate({"channels": 8, **more})
    assert block_clocks(AIM, block_parts(AIM, SMALL, many), many)["fc-ffn"].clocks <= few["fc-ffn"].clocks


def test_beside_the_channels_the_cost_model_is_that_of_the_reference() -> None:
    """cent.blk.Llama2-13B, 1,024 tokens: 6.75525 us beside the channels, and 9.40622 us of links over 20 devices."""
    block = LlamaBlock(5120, 40, 40, 13824, 1024)
    assert accelerators_s(CentHostSpec(), block) == pytest.approx(6.75525e-6, rel=1e-6)
    assert links_s(CentHostSpec(), block, 20, 20, divided=True) == pytest.approx(9.40622e-6, rel=1e-5)


@pytest.mark.parametrize(
    ("block", "mapping", "message"),
    [
        (LlamaBlock(1024, 8, 8, 2816, 0), EIGHT, "context: at least 1 belongs here, not 0"),
        (LlamaBlock(1000, 7, 7, 2816, 64), EIGHT, "heads: hidden must be a multiple of heads, and heads of kv_heads"),
        (LlamaBlock(1200, 8, 8, 2816, 64), EIGHT, "hidden: a head of 150 must be a multiple of 16 and divide 1024"),
        (SMALL, CentMapping(channels=33), "channels: a block has at most the 32 channels of a device"),
    ],
)
def test_blocks_that_cannot_be_are_refused_by_field(block: LlamaBlock, mapping: CentMapping, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        block_parts(AIM, block, mapping)


def test_a_block_that_does_not_fit_its_rows_is_infeasible_with_the_remedy() -> None:
    with pytest.raises(InfeasibleError, match=r"rows of a bank: needs .* give the block more channels"):
        block_parts(AIM, LlamaBlock(8192, 64, 8, 28672, 1024), CentMapping(channels=1))
