"""Signs of the Voxel paper's findings (arXiv 2604.26821 section 4): its code's chip, two layers of Llama-2-13B."""

from __future__ import annotations

from functools import cache

import pytest

from cairn.validation.suites.findings.suite import step_ms


@cache
def ms(phase: str, *settings: str) -> float:
    return step_ms(phase, settings)


def test_compute_shift_beats_spmd_in_prefill() -> None:
    assert ms("prefill") < ms("prefill", "mapping.paradigm=spmd")


def test_software_aware_banks_are_never_slower_than_uniform_ones_in_decode() -> None:
    assert ms("decode") <= ms("decode", "mapping.banks=uniform")


def test_banks_matter_more_at_a_higher_bandwidth() -> None:
    faster = "chip.dram.bandwidth_gb_per_s=17592.2"
    gap = ms("decode", "mapping.banks=uniform") / ms("decode")
    assert ms("decode", "mapping.banks=uniform", faster) / ms("decode", faster) > gap


@pytest.mark.parametrize("width", [8, 64])
def test_decode_hardly_reacts_to_the_width_of_links(width: int) -> None:
    assert abs(ms("decode", f"chip.noc.link_bytes_per_cycle={width}") / ms("decode") - 1) < 0.05


def test_prefill_slows_down_below_16_bytes_per_cycle() -> None:
    assert ms("prefill", "chip.noc.link_bytes_per_cycle=8") > 1.1 * ms("prefill")


MANY_CORES = ("chip.cores.rows=16", "chip.cores.columns=16", "chip.dram.channels=32")


def test_larger_core_groups_help_until_all_cores_of_a_channel_are_in_step() -> None:
    groups = {size: ms("decode", *MANY_CORES, f"mapping.core_group={size}") for size in (1, 4, 8, 32)}
    assert groups[1] > 1.1 * groups[4] > 1.1 * groups[8]
    assert groups[32] == groups[8]
