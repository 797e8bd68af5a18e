"""The chip: how its parts fit together, its rates, its servers, the shipped ones, and the sources of every figure."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import cairn.hw_models
from cairn.base.spec import Spec, source_of
from cairn.hw_models.chip import MIN_CHANNEL_REQUESTS, ChipSpec
from cairn.hw_models.cost import area_mm2
from cairn.hw_models.server import NOW
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import CHIP, load_document, shipped


def chip(**content: Any) -> ChipSpec:
    return ChipSpec.model_validate({"name": "test", "source": "assumed: for a test", **content})


def load(name: str) -> ChipSpec:
    return validate(load_document(name, CHIP), ChipSpec)


def test_the_peak_is_two_operations_per_cell_and_cycle() -> None:
    assert load("voxel-code").peak_ops_per_s == pytest.approx(256 * 32 * 32 * 2 * 1.5e9)
    assert load("voxel-code").peak_vector_ops_per_s == pytest.approx(256 * 32 * 1.5e9)


def test_there_is_a_channel_over_each_core_unless_the_dram_says_otherwise() -> None:
    assert chip().channels == 256
    assert np.array_equal(chip().channel_of(np.arange(256)), np.arange(256))
    shared = chip(dram={"channels": 64})
    assert shared.cores_per_channel == 4
    assert shared.channel_of([0, 3, 4, 255]).tolist() == [0, 0, 1, 63]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ({"dram": {"channels": 100}}, r"dram.channels \(100\) must divide the number of cores \(256\)"),
        ({"dram": {"channels": 512}}, r"dram.channels \(512\) must divide the number of cores \(256\)"),
        ({"cores": {"rows": 2048, "columns": 1024}}, r"rows x columns \(2048 x 1024\) must not exceed 1,048,576 cores"),
        ({"dram": {"capacity_gb": 0.01}}, r"256 channels x 16 banks x 8192 bytes need 0.0335544 GB"),
        (
            {"dram": {"model": "voxel_estimator", "bandwidth_gb_per_s": 400}},
            r"dram.bandwidth_gb_per_s \(400\) is less than a byte a cycle .* needs 409.6 GB/s",
        ),
        ({"matrix_unit": {"kind": "abacus"}}, "matrix_unit.kind"),
        ({"clock_ghz": 0}, "clock_ghz"),
        ({"frequency": 1}, "frequency"),
        ({"schema": "cairn.chip/2"}, "schema"),
    ],
)
def test_parts_that_do_not_fit_are_refused_in_one_clear_message(content: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        chip(**content)


def test_the_servers_are_dram_and_network_in_this_order_and_at_rest() -> None:
    servers = load("tiny").servers()
    assert list(servers) == ["dram", "noc"]
    for server in servers.values():
        assert server.state.dtype == np.int64
        assert server.state[NOW] == 0


def test_the_dram_server_has_room_for_all_that_the_cores_of_a_channel_may_start() -> None:
    """Deeper DMA ports make the state larger once they may start more than the smallest table holds."""
    depth = MIN_CHANNEL_REQUESTS // 4
    small, large = (
        chip(dram={"channels": 64}, dma={"load_depth": d, "store_depth": 1}) for d in (depth - 1, 2 * depth)
    )
    assert large.servers()["dram"].state.size > small.servers()["dram"].state.size


def test_a_matrix_tile_takes_longer_when_sram_cannot_feed_the_array() -> None:
    fed, starved = chip(), chip(sram={"read_bytes_per_cycle": 64})
    alone = int(fed.matrix_unit.tile_cycles(32, 320, 5120))
    assert int(fed.matrix_cycles(32, 320, 5120)) == alone
    assert int(starved.matrix_cycles(32, 320, 5120)) == 10 * 5120 * 64 * 2 // 64
    assert int(starved.matrix_cycles(32, 320, 5120, input_bits=8, weight_bits=1.6)) == alone


def test_a_chip_survives_being_written_and_read_again() -> None:
    spec = load("voxel-operators")
    assert ChipSpec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec


def test_four_chips_are_shipped() -> None:
    assert {"tiny", "voxel-code", "voxel-operators", "voxel-paper"} <= set(shipped(CHIP))


@pytest.mark.parametrize("name", sorted(shipped(CHIP)))
def test_a_shipped_chip_loads_says_where_it_comes_from_and_fits_its_die(name: str) -> None:
    spec = load(name)
    assert spec.name == name
    assert spec.source
    assert sum(area_mm2(spec).values()) <= spec.die_limit_mm2


def differences(one: dict[str, Any], other: dict[str, Any], path: str = "") -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    for key, value in one.items():
        if isinstance(value, dict):
            found |= differences(value, other[key], f"{path}{key}.")
        elif value != other[key] and key not in ("name", "source"):
            found[path + key] = (value, other[key])
    return found


def test_paper_and_code_disagree_in_clock_bandwidth_and_links() -> None:
    found = differences(load("voxel-paper").model_dump(), load("voxel-code").model_dump())
    assert found == {
        "clock_ghz": (1.6, 1.5),
        "dram.bandwidth_gb_per_s": (12000.0, 13194.139533312),
        "dram.clock_ghz": (1.6, 1.5),
        "noc.link_bytes_per_cycle": (32, 16),
        "area.tsv_mm2_at_gb_per_s": (12000.0, 13194.139533312),
    }


def test_the_chip_of_the_operator_tables_is_the_code_with_wider_links() -> None:
    found = differences(load("voxel-code").model_dump(), load("voxel-operators").model_dump())
    assert found == {"noc.link_bytes_per_cycle": (16, 32)}


def test_both_descriptions_have_the_tsv_area_of_the_paper() -> None:
    for name in ("voxel-paper", "voxel-code"):
        assert area_mm2(load(name))["tsv"] == pytest.approx(18.4)


def test_the_bandwidth_of_the_code_is_read_as_binary_gigabytes() -> None:
    assert load("voxel-code").dram_bytes_per_s == pytest.approx(12288 * 2**30, rel=1e-12)


def test_the_tiny_chip_keeps_the_balance_of_the_large_one() -> None:
    balance = [spec.peak_ops_per_s / spec.dram_bytes_per_s for spec in (load("tiny"), load("voxel-paper"))]
    assert balance[0] == pytest.approx(balance[1], rel=0.15)


def all_specs() -> list[type[Spec]]:
    """Every Spec of the hardware models."""
    for module in pkgutil.walk_packages(cairn.hw_models.__path__, "cairn.hw_models."):
        importlib.import_module(module.name)
    found, waiting = [], [Spec]
    while waiting:
        children = waiting.pop().__subclasses__()
        found += [child for child in children if child.__module__.startswith("cairn.hw_models.")]
        waiting += children
    return found


def test_every_figure_of_every_hardware_spec_says_where_it_comes_from() -> None:
    specs = all_specs()
    assert {"ChipSpec", "SystolicSpec", "VectorSpec", "SramSpec", "EnergySpec", "DramSpec", "NocSpec"} <= {
        spec.__name__ for spec in specs
    }
    silent = [f"{spec.__name__}.{field}" for spec in specs for field in spec.model_fields if not source_of(spec, field)]
    assert silent == []
