"""Products on banks that listen to one buffer: placement, order, numbers, and what does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cairn.base.errors import ConfigError, InfeasibleError
from cairn.hw_models.pim.device import PimDevice, pim_device
from cairn.hw_models.pim.gemv import GemvMapping, GemvPlan, gemv_layout, lower_gemv
from cairn.hw_models.pim.numbers import place_weights, run_on_numbers
from cairn.hw_models.pim.program import COMMAND, COUNT
from cairn.hw_models.pim.simulate import simulate_program, verdict_of

AIM = pim_device("GDDR6_AiM")
SMALL = pim_device("GDDR6_AiM", channels=4, row=64)

MAPPINGS: tuple[dict[str, Any], ...] = (
    {}, {"accumulators": 2}, {"accumulators": 64}, {"k_parts": 2}, {"k_parts": 4, "accumulators": 8},
    {"share_rows": True}, {"accumulators": 4, "vectors_together": 2},
    {"accumulators": 8, "vectors_together": 2, "inner": "vectors"},
    {"accumulators": 3, "vectors_together": 3, "inner": "vectors", "share_rows": True, "k_parts": 2},
)  # fmt: skip


def plan(device: PimDevice, outputs: int, inputs: int, vectors: int = 1, **mapping: Any) -> GemvPlan:
    return lower_gemv(device, outputs, inputs, GemvMapping(**mapping), vectors=vectors)


def counts(of: GemvPlan) -> dict[str, int]:
    return dict(simulate_program(of.program).counts)


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize(("outputs", "inputs", "vectors"), [(64, 1024, 1), (200, 2100, 3), (70, 33, 5), (1, 1, 2)])
@pytest.mark.parametrize("buffer_bytes", [2048, 512, 8192])
def test_the_right_weights_meet_the_right_inputs(
    mapping: dict[str, Any], outputs: int, inputs: int, vectors: int, buffer_bytes: int
) -> None:
    rng = np.random.default_rng(outputs + inputs)
    weights = rng.integers(-9, 10, (outputs, inputs))
    given, bias = rng.integers(-9, 10, (vectors, inputs)), rng.integers(-99, 100, outputs)
    of = plan(SMALL.changed(buffer_bytes=buffer_bytes), outputs, inputs, vectors, **mapping)
    result = run_on_numbers(of, place_weights(of.layout, weights), given, bias)
    np.testing.assert_array_equal(result, given @ weights.T + bias)


def test_a_weight_in_another_row_and_an_input_that_was_not_brought_show_in_the_result() -> None:
    rng = np.random.default_rng(1)
    weights, given = rng.integers(1, 9, (128, 2048)), rng.integers(1, 9, (1, 2048))
    of = plan(SMALL, 128, 2048)
    banks = place_weights(of.layout, weights)
    swapped = banks.copy()
    swapped[:, :, [0, 1]] = banks[:, :, [1, 0]]
    wrong = run_on_numbers(of, swapped, given) != given @ weights.T
    assert wrong[:, :64].all(), "the outputs of the first round, whose two rows were exchanged"
    assert not wrong[:, 64:].any()
    words = of.program.words.copy()
    fill = of.layout.device.standard.traced_commands.index("WRGB")
    words[np.flatnonzero(words[:, COMMAND] == fill)[1], COUNT] = 1
    short = GemvPlan(of.layout, 1, type(of.program)(SMALL, words))
    assert (run_on_numbers(short, banks, given) != given @ weights.T).any()


def test_every_weight_is_placed_once_and_no_place_is_used_twice() -> None:
    weights = np.arange(1, 1 + 200 * 500).reshape(200, 500)
    for mapping in MAPPINGS:
        layout = gemv_layout(SMALL, 200, 500, GemvMapping(**mapping))
        placed = place_weights(layout, weights)
        assert sorted(placed[placed != 0]) == list(range(1, 1 + 200 * 500)), mapping


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_multiplications_are_conserved_and_no_channel_beats_its_peak(mapping: dict[str, Any]) -> None:
    of = plan(SMALL, 300, 1500, 4, **mapping)
    run = simulate_program(of.program, trace=True)
    unit = SMALL.unit
    made = run.counts["MAC16"] * unit.lanes * unit.units * unit.channels
    assert made == of.layout.padded_macs * 4
    assert made >= of.macs
    assert run.cycles >= run.counts["MAC16"] * SMALL.dram.clocks["nCCDL"]
    assert verdict_of(run).count == 0


def test_one_accumulator_fills_the_buffer_for_every_segment_and_many_fill_it_once() -> None:
    outputs_first, reuse = plan(AIM, 4096, 4096), plan(AIM, 4096, 4096, accumulators=8)
    assert counts(outputs_first)["WRGB"] == 8 * 256
    assert counts(reuse)["WRGB"] == 256
    assert counts(plan(AIM, 4096, 1024))["WRGB"] == 64, "one segment stays in the buffer"
    assert counts(plan(AIM.changed(buffer_bytes=8192), 4096, 4096))["WRGB"] == 256, "all four segments stay"


def test_a_row_that_is_kept_open_for_all_vectors_is_opened_once() -> None:
    inner: dict[str, Any] = {"accumulators": 8, "vectors_together": 4}
    assert counts(plan(AIM, 4096, 4096, 4, **inner, inner="vectors"))["ACT16"] == 32
    assert counts(plan(AIM, 4096, 4096, 4, **inner))["ACT16"] == 4 * 32


def test_rounds_of_few_inputs_share_rows_where_they_may() -> None:
    apart, shared = plan(AIM, 4096, 128), plan(AIM, 4096, 128, share_rows=True)
    assert (apart.layout.rows, shared.layout.rows) == (8, 1)
    assert counts(shared)["ACT16"] == 1
    assert {shared.layout.place(round_, 0) for round_ in range(8)} == {(0, 8 * at) for at in range(8)}


def test_parts_of_the_inputs_leave_sums_to_the_host() -> None:
    whole, parts = plan(AIM, 512, 16384), plan(AIM, 512, 16384, k_parts=4)
    assert (whole.host_adds, parts.host_adds) == (0, 3 * 512)
    assert parts.result_bytes == 4 * whole.result_bytes
    assert simulate_program(parts.program).cycles < simulate_program(whole.program).cycles * 1.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"outputs": 0, "inputs": 4}, "outputs: must be at least 1, got 0"),
        ({"outputs": 4, "inputs": 4, "vectors": 0}, "vectors: must be at least 1, got 0"),
        ({"outputs": 4, "inputs": 4, "weight_bits": 4}, "multiply elements of 16 bits, not 4; convert the weights"),
        ({"outputs": 4, "inputs": 4, "mapping": GemvMapping(k_parts=3)}, "32 channels cannot be split in 3 equal"),
        ({"outputs": 4, "inputs": 4, "mapping": GemvMapping(vectors_together=2)}, "need as many accumulators, not 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lower_gemv(AIM, **arguments)


def test_a_buffer_that_holds_not_one_column_is_refused() -> None:
    with pytest.raises(ConfigError, match="16 bytes hold not one column of 32"):
        lower_gemv(AIM.changed(buffer_bytes=16), 4, 4)


def test_weights_beyond_the_rows_and_sums_beyond_the_accumulators_are_infeasible_with_a_remedy() -> None:
    device = pim_device("GDDR6_AiM", channels=1, row=8, accumulators=2)
    with pytest.raises(InfeasibleError, match=r"rows of a bank: needs 16 rows, has 8 rows .*; use more channels"):
        lower_gemv(device, 64, 4096)
    with pytest.raises(InfeasibleError, match=r"accumulators of a bank: needs 4 sums, has 2 sums"):
        lower_gemv(device, 16, 1024, GemvMapping(accumulators=4))
