"""A decode layer on a wafer: one column and one row stand for the mesh, and what a core cannot hold is refused."""

from __future__ import annotations

import numpy as np
import pytest

import cairn
from cairn.base.errors import ConfigError, InfeasibleError
from cairn.hw_models.noc.server import counters
from cairn.sim.config.resolve import WAFER, shipped
from cairn.sim.plan.plan import COMPUTE, COPY
from cairn.sim.run import run_plan
from cairn.sim.wafer.decode import check_paths, closed_form, load_wafer, simulate_layer, wafer_decode
from cairn.sim.wafer.layer import chip_of, write_layers
from cairn.sim.wafer.steps import Tiles, layer_steps
from cairn.validation.suites.wafer.layers import small

KERNEL_CONFIGS = {  # reference/wafer/waferllm_algorithms.yaml, decode_configs_in_repo: P, dim, ffn, seq
    "llama-3-8b": [(360, 4320, 14400, 4320), (420, 4200, 14700, 4200), (660, 4620, 14520, 4620)],
    "qwen2.5-72b": [(420, 8400, 29820, 4200), (660, 8580, 29700, 4620)],
}


def spec(*settings):
    return load_wafer("llama-3-8b-decode-420", settings)


@pytest.mark.parametrize("model", KERNEL_CONFIGS)
def test_tiles_are_padded_as_the_kernels_pad_them(model):
    for side, hidden, ffn, tokens in KERNEL_CONFIGS[model]:
        tiles = Tiles.of(spec(f"model={model}", f"mesh={side}"))
        assert (tiles.hidden * side, tiles.ffn * side, tiles.tokens * side) == (hidden, ffn, tokens)
        assert tiles.kv == tiles.hidden


def test_key_value_heads_narrow_the_keys_of_model_widths_alone():
    assert Tiles.of(spec("widths=model")).kv == 3  # 1024 columns on 420 cores
    kernel, own = ({step.name: step for step in layer_steps(spec(f"widths={w}"))} for w in ("kernel", "model"))
    assert (kernel["qkv"].elements, own["qkv"].elements) == (30, 16)
    assert kernel["scores"] == own["scores"]


def test_a_layer_has_ten_all_reduces_of_the_sizes_of_the_kernel():
    summed = [(step.axis, step.elements) for step in layer_steps(spec()) if step.axis]
    assert summed == [("y", 1), ("y", 30), ("x", 10), ("y", 1), ("y", 1), ("y", 10), ("x", 10), ("y", 1), ("y", 70),
                      ("x", 10)]  # fmt: skip


@pytest.mark.parametrize(("side", "tile"), [(6, 5), (15, 2)])
def test_a_column_and_a_row_take_the_time_of_the_whole_mesh(side, tile):
    run = small(side, tile)
    whole = simulate_layer(run, whole=True)
    assert simulate_layer(run) == pytest.approx(whole, rel=2e-3)
    form = closed_form(run)
    assert form["work_cycles"].sum() + form["all_reduce_cycles"].sum() == pytest.approx(whole, rel=0.01)


def test_a_column_works_and_a_row_only_sums():
    run = small(6, 2)
    column, row, whole = (write_layers(run, part, 1) for part in ("y", "x", "whole"))
    assert int((row.kind == COMPUTE).sum()) < int((column.kind == COMPUTE).sum())
    copies = [int((plan.kind == COPY).sum()) for plan in (column, row, whole)]
    assert (copies[0] + copies[1]) * 6 == copies[2]


@pytest.mark.parametrize("part", ["x", "y", "whole"])
def test_no_transfer_of_a_layer_waits_for_a_link_so_that_routers_hand_out_data_in_time(part):
    """What routers hand out as a broadcast passes is timed as if nothing held it up (`PlanBuilder.tap`)."""
    run = small(12, 7)
    chip = chip_of(run, part)
    counted = counters(run_plan(write_layers(run, part, 2), chip).states[1])
    assert counted["link_bytes"].sum() > 0
    assert counted["link_wait_cycles"].sum() == counted["injection_wait_cycles"].sum() == 0


def test_tokens_per_second_are_the_clock_over_all_layers():
    found = wafer_decode(small(6, 2))
    assert found.tokens_per_s == pytest.approx(1.1e9 / (32 * found.layer_cycles))
    assert f"{found.tokens_per_s:,.1f} tokens/s" in found.summary()


def test_a_routing_stage_costs_each_transfer_that_the_latest_sum_takes():
    """Half a group, half the groups, and the broadcast: 21 on 420 cores. Where 70 elements are on the ports, they hide
    one of them."""
    free, dear = (closed_form(spec("mesh=420", f"routing_stage_cycles={n}")) for n in (0, 1))
    more = (dear["all_reduce_cycles"] - free["all_reduce_cycles"])[free["axis"] != ""]
    assert sorted(more) == [20] + 9 * [21 // 2 + 20 // 2 + 1]


def test_the_shipped_wafer_runs_are_simulated_by_name():
    assert set(shipped(WAFER)) == {"llama-3-8b-decode-420", "llama-3-8b-decode-660"}
    found = cairn.simulate_wafer("llama-3-8b-decode-420", ["mesh=60", "model.hidden=60", "model.ffn.width=120"])
    assert found.layer_cycles == pytest.approx(found.closed_form_cycles, rel=0.02)
    assert np.isclose(cairn.simulate_wafer(found.spec).layer_cycles, found.layer_cycles)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("mesh=800",), r"mesh \(800\) must not exceed rows and columns of the chip \(750 x 750\)"),
        (("groups=11",), r"groups \(11\) must divide the side of the mesh \(420\)"),
        (("model=mixtral-8x7b",), r"model 'Mixtral-8x7B' must be dense"),
        (("model=opt-1.3b",), "model 'OPT-1.3B' must have a gated feed-forward network"),
        (("mesh=1",), "mesh.*must be >= 2"),
        (("widths=wide",), "widths"),
        (("routing_stages=3",), "routing_stages"),
    ],
)
def test_a_mistake_in_a_wafer_run_is_told_with_its_key(settings, message):
    with pytest.raises(ConfigError, match=message):
        spec(*settings)


def test_what_a_core_cannot_hold_is_infeasible():
    with pytest.raises(InfeasibleError, match="SRAM capacity of a core"):
        wafer_decode(spec("mesh=60"))
    check_paths(small(12, 1))
    with pytest.raises(InfeasibleError, match="paths that a core knows"):
        check_paths(spec("mesh=60", "model.hidden=60", "model.ffn.width=120", "paths_per_core=9"))


def test_an_ordinary_run_on_the_wafer_is_refused_for_want_of_dram():
    with pytest.raises(InfeasibleError, match="DRAM capacity"):
        cairn.simulate("demo", ["chip=wse-2"])
