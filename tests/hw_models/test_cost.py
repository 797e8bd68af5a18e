"""Energy, static power and area against the figures that Voxel publishes."""

from __future__ import annotations

import pytest

from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.cost import (
    COMPONENTS,
    AreaSpec,
    EnergySpec,
    area_mm2,
    die_shortage,
    dynamic_energy_pj,
    power_shortage,
    static_power_w,
)

CODE_GB_PER_S = 12288 * 2**30 / 1e9


def chip(link: int = 32, gb_per_s: float = CODE_GB_PER_S, tsv_mm2: float = 18.4, **changes: object) -> ChipSpec:
    content = {
        "name": "voxel",
        "source": "defaults",
        "dram": {"bandwidth_gb_per_s": gb_per_s},
        "noc": {"link_bytes_per_cycle": link},
        "area": {"tsv_mm2": tsv_mm2},
        **changes,
    }
    return ChipSpec.model_validate(content)


@pytest.mark.parametrize(
    ("component", "mm2"), [("matrix", 260.7), ("sram", 433.7), ("vector", 89.6), ("noc", 18.37), ("tsv", 18.4)]
)
def test_areas_of_the_default_chip_are_the_evaluated_ones(component: str, mm2: float) -> None:
    """reference/stacked3d/voxel.yaml (vx.area.*), 256 cores at 32 B/cycle."""
    assert area_mm2(chip())[component] == pytest.approx(mm2, rel=5e-4)


def test_with_the_larger_tsv_area_the_die_is_that_of_the_released_runs() -> None:
    """883.162 mm2: logic_area_mm2 of every default row of reference/stacked3d/voxel_runs.csv, links of 16 B/cycle."""
    assert sum(area_mm2(chip(link=16, tsv_mm2=90.0)).values()) == pytest.approx(883.162, abs=0.2)


def test_static_power_of_the_released_runs_is_ours_with_the_tsv_counted_twice() -> None:
    """607.922 mJ in 7.29247 ms (llama2-13.decode.best): 83.36 W; we count the TSV area once."""
    spec = chip(link=16, tsv_mm2=90.0)
    power = static_power_w(spec)
    assert sum(power.values()) + power["tsv"] == pytest.approx(607.922 / 7.29247, rel=1e-3)


def test_dram_draws_an_eighth_of_a_watt_per_gigabyte() -> None:
    assert static_power_w(chip())["dram"] == pytest.approx(24.0)


def test_areas_scale_with_cells_lanes_width_and_bandwidth() -> None:
    half = chip(
        link=16,
        gb_per_s=CODE_GB_PER_S / 2,
        matrix_unit={"rows": 16, "columns": 32},
        vector_unit={"lanes": 16},
    )
    for component in ("matrix", "vector", "noc", "tsv"):
        assert area_mm2(half)[component] == pytest.approx(area_mm2(chip())[component] / 2)


def test_each_event_is_charged_to_its_component() -> None:
    energy = dynamic_energy_pj(
        EnergySpec(), macs=100, vector_ops=10, sram_bytes=2, noc_bytes=3, noc_hop_bytes=9, dram_bytes=5, dram_row_bits=0
    )
    assert tuple(energy) == COMPONENTS
    assert energy == pytest.approx({"matrix": 44.0, "vector": 2.2, "sram": 1.67, "noc": 36.0, "dram": 35.0, "tsv": 3.0})


def test_the_network_is_charged_per_hop_on_request() -> None:
    energy = dynamic_energy_pj(
        EnergySpec(noc_per_hop=True), macs=0, vector_ops=0, sram_bytes=0, noc_bytes=3, noc_hop_bytes=9, dram_bytes=0,
        dram_row_bits=0,
    )
    assert energy["noc"] == pytest.approx(108.0)


def test_dram_and_tsv_energy_of_the_released_decode_run_follow_from_its_bytes() -> None:
    """79.5973 GB read and 0.976866 GB written: 564.019 mJ and 48.3445 mJ (llama2-13.decode.best)."""
    moved = (79.5973 + 0.976866) * 1e9
    energy = dynamic_energy_pj(
        EnergySpec(), macs=0, vector_ops=0, sram_bytes=0, noc_bytes=0, noc_hop_bytes=0, dram_bytes=moved,
        dram_row_bits=0,
    )
    assert energy["dram"] / 1e9 == pytest.approx(564.019, rel=1e-5)
    assert energy["tsv"] / 1e9 == pytest.approx(48.3445, rel=1e-5)


def test_a_die_beyond_the_limit_says_which_part_is_largest() -> None:
    assert die_shortage(chip()) is None
    problem = die_shortage(chip(sram={"capacity_kib": 4096}))
    assert problem is not None
    assert (problem.bound, problem.unit) == (850.0, "mm2")
    assert "largest part is sram with 784.9 mm2" in problem.remedy


def test_power_beyond_the_density_limit_says_how_much_slower_the_clock_must_be() -> None:
    """Twice the dynamic power that the limit leaves over: half the clock."""
    spec = chip()
    bound = 0.7 * sum(area_mm2(spec).values())
    spare = bound - sum(static_power_w(spec).values())
    assert power_shortage(spec, spare * 0.999) is None
    problem = power_shortage(spec, 2 * spare)
    assert problem is not None
    assert problem.gap == pytest.approx(spare)
    assert "lower chip.clock_ghz by 50% or more" in problem.remedy


def test_static_power_beyond_the_density_limit_cannot_be_helped_by_the_clock() -> None:
    problem = power_shortage(chip(power_limit_w_per_mm2=0.05), 10.0)
    assert problem is not None
    assert problem.remedy.startswith("static power alone is 74.1 W")


def test_the_disagreeing_figures_are_told_beside_the_chosen_ones() -> None:
    fields = AreaSpec.model_fields["tsv_mm2"].json_schema_extra
    assert isinstance(fields, dict)
    assert "90" in str(fields["source"])
