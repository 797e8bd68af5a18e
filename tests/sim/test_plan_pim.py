"""Plans with tasks for PIM units: on both engines, on numbers, and as the report counts them."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.base.errors import CairnError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.build import dram_counters
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import CHIP, load_document
from cairn.sim.plan import actions
from cairn.sim.plan.builder import After, PlanBuilder, Region, Slice, Tile
from cairn.sim.plan.numbers import execute
from cairn.sim.plan.plan import DRAM, PIM, SRAM, Plan
from cairn.sim.plan.storage import load, save

from .test_plan_by_hand import INPUTS, INSTANCE, W1, W2, H, K, M, N, X, on_both_engines

CHIPS = ("hbm3-cube-logic-pim", "hbm3-cube-bank-pim")


def _chip(name: str) -> ChipSpec:
    return validate(load_document(name, CHIP), ChipSpec)


class Hand:
    """Core 0 and the units of channel 0, which do h = x w1 and y = h w2."""

    def __init__(self, chip: ChipSpec):
        self.plan, self.chip = PlanBuilder(chip), chip
        self.first, self.second = self.plan.operator("chain/first"), self.plan.operator("chain/second")
        self.numbers = {name: self.plan.tensor(name) for name in ("x", "w1", "h", "w2", "y")}

    def slice(self, name: str, r0: int, r1: int, c0: int, c1: int) -> Slice:
        return Slice(self.numbers[name], (r0, r1), (c0, c1), (r1 - r0) * (c1 - c0) * 2)

    def load(self, name: str, *rect: int) -> np.ndarray:
        place = Region(DRAM, 0, self.slice(name, *rect), (0, 1, 0, self.chip.dram.row_bytes, 0))
        return self.plan.copy(place, Region(SRAM, 0, self.slice(name, *rect)), self.first)

    def fill(self, name: str, *rect: int, after: After = None, channel: int = 0) -> np.ndarray:
        data = self.slice(name, *rect)
        return self.plan.copy(Region(SRAM, 0, data), Region(PIM, channel, data), self.first, after, cause="pim_input")

    def result(self, name: str, *rect: int, after: After = None) -> np.ndarray:
        data = self.slice(name, *rect)
        return self.plan.copy(Region(PIM, 0, data), Region(SRAM, 0, data), self.first, after, cause="pim_result")

    def work(self, op: int, w: str, m: int, n: int, k: tuple[int, int], row: int, after: After) -> np.ndarray:
        units = self.chip.pim
        banks = 1 if units is None else units.together(self.chip.dram.banks_per_channel)
        operand = Region(DRAM, 0, self.slice(w, *k, 0, n), (0, banks, row, 32, 0))
        tile = Tile(op, actions.MATMUL, (0, m), (0, n), k)
        return self.plan.pim(0, tile, operand, after, 2 * m * n * (k[1] - k[0]))


def chain(chip: ChipSpec, halves: bool = False, forget_to_fill: bool = False) -> Plan:
    """Both products on the units, the first one's reduction in one tile or two."""
    hand = Hand(chip)
    x = hand.load("x", 0, M, 0, K)
    done = []
    for k in ((0, K // 2), (K // 2, K)) if halves else ((0, K),):
        filled = hand.fill("x", 0, M, *k, after=x)
        done.append(hand.work(hand.first, "w1", M, H, k, 5, [*done[-1:], filled]))
    h = hand.result("h", 0, M, 0, H, after=done[-1])
    filled = h if forget_to_fill else hand.fill("h", 0, M, 0, H, after=h)
    y = hand.work(hand.second, "w2", M, N, (0, H), 9, filled)
    hand.result("y", 0, M, 0, N, after=y)
    return hand.plan.build()


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("halves", [False, True])
def test_products_on_pim_units_have_numpys_result_and_one_trace_on_both_engines(name: str, halves: bool) -> None:
    chip = _chip(name)
    plan = chain(chip, halves)
    outcome = execute(plan, on_both_engines(plan, chip), INSTANCE, INPUTS)
    np.testing.assert_allclose(outcome.sram("y", core=0), X @ W1 @ W2, rtol=1e-12)


def test_units_that_were_not_given_their_input_are_told_so() -> None:
    chip = _chip(CHIPS[0])
    with pytest.raises(CairnError, match=r"^the PIM units of channel 0 have no h\[0:4, 0:12\] when task 4 reads it$"):
        execute(chain(chip, forget_to_fill=True), None, INSTANCE, INPUTS)


def test_what_was_taken_from_the_accumulators_is_not_there_any_more() -> None:
    hand = Hand(_chip(CHIPS[0]))
    filled = hand.fill("x", 0, M, 0, K, after=hand.load("x", 0, M, 0, K))
    done = hand.work(hand.first, "w1", M, H, (0, K), 5, filled)
    hand.result("h", 0, M, 0, H, after=hand.result("h", 0, M, 0, H, after=done))
    with pytest.raises(CairnError, match="the PIM units of channel 0 have no h"):
        execute(hand.plan.build(), None, INSTANCE, INPUTS)


def test_bytes_that_are_worked_on_in_the_banks_do_not_pass_the_channel() -> None:
    chip = _chip(CHIPS[0])
    plan = chain(chip)
    counters = dram_counters(chip.dram, on_both_engines(plan, chip).states[0])
    together = 8 * 32
    assert counters["pim_bytes"].sum() == sum(-(-size // together) * together for size in (K * H * 2, H * N * 2))
    assert counters["bytes_read"].sum() == 2 * (M * K + M * H + M * N)  # x, and both results
    assert counters["bytes_written"].sum() == 2 * (M * K + M * H)


def test_a_saved_plan_keeps_its_pim_tasks(tmp_path: object) -> None:
    chip = _chip(CHIPS[1])
    plan = chain(chip)
    save(plan, f"{tmp_path}/plan.npz")
    again = load(f"{tmp_path}/plan.npz")
    np.testing.assert_array_equal(on_both_engines(again, chip).end, on_both_engines(plan, chip).end)


def test_a_chip_without_units_is_told_so() -> None:
    hand = Hand(_chip("hbm3-cube"))
    for call in (lambda: hand.fill("x", 0, M, 0, K), lambda: hand.result("x", 0, M, 0, K)):
        with pytest.raises(CairnError, match=r"^this chip has no PIM units \(chip.pim\)$"):
            call()


def test_buffers_exchange_data_with_the_cores_below_their_channel_alone() -> None:
    hand = Hand(_chip(CHIPS[0]))
    with pytest.raises(CairnError, match="exchange data with the SRAM of the cores below their channel alone"):
        hand.fill("x", 0, M, 0, K, channel=1)


def test_an_operand_in_the_middle_of_a_column_is_refused() -> None:
    hand = Hand(_chip(CHIPS[0]))
    operand = Region(DRAM, 0, hand.slice("w1", 0, K, 0, H), (0, 8, 0, 32, 16))
    with pytest.raises(CairnError, match="a PIM tile begins with a column of all its banks, 32 bytes in each"):
        hand.plan.pim(0, Tile(0, actions.MATMUL), operand)
