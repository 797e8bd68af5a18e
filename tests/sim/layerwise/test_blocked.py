"""Products against DRAM with blocked reads: traffic by hand, bounds, parts of the energy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.base.spec import source_of
from cairn.hw_models.compute.fusion.spec import FusedArraySpec
from cairn.sim.layerwise.blocked import BlockedSpec, Layers, read_bits, run_blocked

ARRAY = FusedArraySpec(name="a", rows=32, columns=32)
SMALL = BlockedSpec(weight_kib=1, activation_kib=1, output_kib=1)


def layers(*rows: tuple[int, int, int, int, int]) -> Layers:
    return Layers(*np.array(rows, dtype=np.int64).T)


def test_operands_that_fit_half_their_buffer_are_read_once() -> None:
    m, n, k, _, bits = layers((64, 4096, 512, 1, 8))  # 32 KiB of inputs in 128, 2 MiB of weights
    inputs, weights = read_bits(BlockedSpec(), m, n, k, bits)
    assert (inputs.tolist(), weights.tolist()) == ([64 * 512 * 8], [4096 * 512 * 8])


def test_operands_that_do_not_fit_are_read_for_every_block_of_outputs() -> None:
    m, n, k, _, bits = layers((64, 64, 1024, 1, 8))
    inputs, weights = read_bits(SMALL, m, n, k, bits)  # blocks of 256 outputs of 16 bits: 16 x 16 read least
    assert (inputs.tolist(), weights.tolist()) == ([4 * 64 * 1024 * 8], [4 * 64 * 1024 * 8])


shapes = st.tuples(*[st.integers(1, 600)] * 3, st.integers(1, 4), st.sampled_from([2, 4, 8]))


@given(st.lists(shapes, min_size=1, max_size=4))
def test_no_network_is_faster_than_computing_and_dram_or_reads_less_than_its_operands(
    rows: list[tuple[int, int, int, int, int]],
) -> None:
    network = layers(*rows)
    found = run_blocked(ARRAY, network, SMALL)
    operands = ((network.m + network.n) * network.k * network.bits * network.times).sum()
    assert found.cycles >= found.compute_cycles
    assert found.cycles * SMALL.dram_bits_per_cycle >= found.dram_bits >= operands


@given(shapes)
def test_larger_buffers_read_no_more(row: tuple[int, int, int, int, int]) -> None:
    network = layers(row)
    small, large = (run_blocked(ARRAY, network, around) for around in (SMALL, BlockedSpec()))
    assert large.dram_bits <= small.dram_bits and large.cycles <= small.cycles


def test_energy_is_of_cycles_bits_and_operands() -> None:
    around = BlockedSpec()
    found = run_blocked(ARRAY, layers((32, 32, 64, 2, 8)), around)
    assert (found.compute_cycles, found.dram_bits) == (128, 2 * (2 * 32 * 64 * 8 + 32 * 32 * 16))
    assert found.static_pj == found.cycles * around.dram_static_pj
    assert found.core_pj == pytest.approx(found.cycles * ARRAY.leakage_pj + 128 * ARRAY.dynamic_pj)
    outputs = 2 * 32 * 32 * 16
    expected = (found.dram_bits - outputs) * around.dram_read_pj + outputs * around.dram_write_pj
    assert found.dram_pj == pytest.approx(expected)


def test_every_parameter_names_its_source() -> None:
    assert [name for name in BlockedSpec.model_fields if not source_of(BlockedSpec, name)] == []
