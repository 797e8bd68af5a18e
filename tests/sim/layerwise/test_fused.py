"""Networks on arrays of the BitFusion family: tilings by hand and by trying all, bounds, parts of the energy."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.base.spec import source_of
from cairn.hw_models.compute.fusion.cycle import bound_cycles
from cairn.hw_models.compute.fusion.spec import FusedArraySpec
from cairn.sim.layerwise.fused import run_network
from cairn.sim.layerwise.tilings import Layer, SurroundingsSpec, choose_tiling

INT8 = FusedArraySpec(name="INT8", rows=32, columns=32)
AROUND = SurroundingsSpec()
SMALL = SurroundingsSpec(weight_kib=2, activation_kib=2, output_kib=1, dram_bits_per_cycle=64)


@pytest.mark.parametrize(
    ("layer", "cycles", "wait", "weights", "activations", "stored"),
    [
        # yuzhang712/mixpe_simulator results/int.csv: the first layers of its vision transformer
        (Layer(64, 768, 3, 8, 14, 16), 7225536, 192, 924844032, 77070336, 462422016),
        (Layer(64, 2304, 768, 8), 110640, 48, 56623104, 28311552, 2359296),
        (Layer(64, 768, 768, 8), 36912, 48, 18874368, 9437184, 786432),
        (Layer(64, 3072, 768, 8), 147504, 48, 75497472, 37748736, 3145728),
        (Layer(64, 768, 3072, 8), 147480, 24, 18874368, 37748736, 786432),
    ],
)
def test_layers_of_the_simulators_own_table_take_its_cycles_and_bits(
    layer: Layer, cycles: int, wait: int, weights: int, activations: int, stored: int
) -> None:
    found = choose_tiling(INT8, layer, AROUND)
    assert (found.cycles, found.cycles - found.compute_cycles) == (cycles, wait)
    assert (found.written_weights, found.written_activations, found.stored) == (weights, activations, stored)


def test_a_layer_of_one_tile_moves_its_operands_once() -> None:
    found = choose_tiling(INT8, Layer(32, 32, 64, 8), AROUND)
    assert found.compute_cycles == 64
    assert (found.written_weights, found.written_activations, found.stored) == (64 * 32 * 8, 64 * 32 * 8, 32 * 32 * 16)


def _powers(size: int) -> list[int]:
    return sorted({min(1 << power, size) for power in range(16)})


def fewest_cycles(array: FusedArraySpec, layer: Layer, around: SurroundingsSpec) -> int:
    """Rules T1 to T5 for a matrix, tiling by tiling and loop by loop."""
    factor = array.high_bits // max(layer.bits, array.low_bits)
    along, across, width = array.rows * factor, array.columns * factor, around.dram_bits_per_cycle
    room = [4096 * kib for kib in (around.weight_kib, around.activation_kib, around.output_kib)]
    needs = {"b": (0, 1, 1), "i": (1, 1, 0), "o": (1, 0, 1), "w": (0, 1, 1), "h": (0, 1, 1)}
    best = None
    for b in _powers(layer.batch):
        for i in _powers(layer.inputs):
            for o in _powers(layer.outputs):
                tile = [-(-i // along) * along * o * layer.bits, -(-i // across) * across * b * layer.bits, o * b * 16]
                if tile[0] > room[0] or tile[1] > room[1]:
                    continue
                counts = {"b": -(-layer.batch // b), "i": -(-layer.inputs // i), "o": -(-layer.outputs // o)}
                counts |= {"w": 1, "h": 1}
                compute = counts["b"] * counts["i"] * counts["o"] * -(-b // along) * -(-o // across) * i
                for order in permutations("biowh"):
                    moved, first, held = list(tile), list(tile), [True] * 3
                    for loop in reversed(order):
                        for one in range(3):
                            if not held[one]:
                                moved[one] *= counts[loop]
                            elif needs[loop][one]:
                                moved[one] *= counts[loop]
                                held[one] = moved[one] <= room[one]
                                if held[one]:
                                    first[one] = moved[one] if one < 2 else 0
                    ends = -(-(first[0] + first[1]) // width) + -(-first[2] // width)
                    middle = -(-(sum(moved) - sum(first)) // width)
                    cycles = max(compute, middle) + ends
                    best = cycles if best is None else min(best, cycles)
    assert best is not None
    return best


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 70), st.integers(1, 90), st.integers(1, 300), st.sampled_from([2, 4, 8]), st.integers(1, 16))
def test_the_choice_is_the_best_of_all_tilings_and_orders(m: int, n: int, k: int, bits: int, side: int) -> None:
    array, layer = FusedArraySpec(name="a", rows=side, columns=17 - side), Layer(m, n, k, bits)
    assert choose_tiling(array, layer, SMALL).cycles == fewest_cycles(array, layer, SMALL)


layers = st.builds(
    Layer,
    st.integers(1, 64),
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from([2, 4, 8]),
    st.sampled_from([1, 7, 14]),
    st.sampled_from([1, 3]),
)


@settings(max_examples=40, deadline=None)
@given(layers)
def test_no_layer_is_faster_than_computing_and_dram_or_moves_less_than_its_operands(layer: Layer) -> None:
    found = choose_tiling(INT8, layer, AROUND)
    assert found.compute_cycles >= bound_cycles(INT8, layer.macs, 1, 1, layer.bits, layer.bits)
    assert found.cycles * AROUND.dram_bits_per_cycle >= found.dram_bits
    assert found.written_weights >= layer.outputs * layer.inputs * layer.kernel**2 * layer.bits
    assert found.stored >= layer.batch * layer.side**2 * layer.outputs * 16


def test_wider_operands_take_no_less() -> None:
    cycles = [choose_tiling(INT8, Layer(64, 500, 700, bits), AROUND).cycles for bits in (2, 4, 8)]
    assert cycles == sorted(cycles)


def test_energies_are_those_of_cycles_and_bits() -> None:
    layer = Layer(64, 2304, 768, 8)
    part, found = choose_tiling(INT8, layer, AROUND), run_network(INT8, [(layer, 3)])
    assert (found.cycles, found.dram_bits) == (3 * part.cycles, 3 * part.dram_bits)
    assert found.static_pj == pytest.approx(found.cycles * 484615 / 500)
    assert found.core_pj == pytest.approx(found.cycles * INT8.leakage_pj + found.compute_cycles * INT8.dynamic_pj)
    read = part.written_weights + part.written_activations
    assert found.dram_pj == pytest.approx(3 * (read * 644.304 + part.stored * 784.104) / 1024)
    assert part.weights == part.activations == layer.macs * 8


def test_weights_in_place_are_read_once_for_each_tile() -> None:
    array = INT8.model_copy(update={"dataflow": "weight_stationary"})
    part = choose_tiling(array, Layer(64, 256, 256, 8), AROUND)
    assert part.weights == 256 * 256 * 8 and part.outputs >= 64 * 256 * 256 * 16


def test_tiles_that_fit_no_buffer_are_refused() -> None:
    wide = FusedArraySpec(name="wide", rows=65536, columns=1)
    with pytest.raises(ConfigError, match="a tile of one row and column exceeds half of the 1 or 256 KiB"):
        choose_tiling(wide, Layer(1, 1, 1, 8), SurroundingsSpec(weight_kib=1))


def test_every_parameter_names_its_source() -> None:
    assert [name for name in SurroundingsSpec.model_fields if not source_of(SurroundingsSpec, name)] == []
