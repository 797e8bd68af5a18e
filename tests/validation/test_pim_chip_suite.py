"""The parts of the suite `pim` that are about a chip: rows for the right gates, and gates that can fail."""

from __future__ import annotations

import pytest

from cairn.hw_models.dram.pim_analytical import PimTimes
from cairn.sim.pim.step import Choice, Machine
from cairn.validation.suites.pim import choice, coprocessing, units_form


def test_more_than_a_hundred_random_designs_count_for_the_closed_form() -> None:
    assert units_form.DESIGNS >= 100


def test_a_closed_form_without_row_cycles_would_fail_its_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [units_form._row(index) for index in range(12)]
    assert sorted(abs(row.error()) for row in rows)[6] <= 0.05
    whole = PimTimes.of.__func__  # type: ignore[attr-defined]

    def without_rows(cls: type[PimTimes], *arguments: object) -> PimTimes:
        found = whole(cls, *arguments)
        return PimTimes(found.column_ps, 0.0, found.byte_ps, found.left, found.columns, found.banks)

    monkeypatch.setattr(PimTimes, "of", classmethod(without_rows))
    wrong = [units_form._row(index) for index in range(12)]
    assert sorted(abs(row.error()) for row in wrong)[6] > 0.05


def test_a_choice_that_is_slower_than_a_side_shows_as_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"none": 10.0, "all": 8.0, "auto": 9.0}
    monkeypatch.setattr(coprocessing, "_us", lambda chip, run, batch, rule: times[rule])
    choice, sides = coprocessing._rows_of("chip", "model", "run", 1)
    assert choice.counts == ("coprocessing",)
    assert choice.error() == pytest.approx(1 / 8)
    assert not sides.counts
    times["auto"] = 7.0
    assert next(coprocessing._rows_of("chip", "model", "run", 1)).error() == 0.0


def test_the_shipped_steps_count_and_a_choice_of_the_slower_side_would_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(choice.rows())
    counted = [row for row in found if row.counts == ("duplex_choice",)]
    assert len(counted) == 2 * 3 * (3 * 2 + 2), "two units, three batches, three runs with experts of five"
    assert max(row.error() for row in counted) <= 1e-9
    assert len([row for row in found if row.kind == "crossing"]) == 6

    def slower(self: Machine, times: dict[object, object], ops_per_byte: object) -> object:
        cores, *pim = times.values()
        return pim[0] if self.choice is Choice.PIM and pim else cores

    monkeypatch.setattr(Machine, "chosen", slower)
    assert max(row.error() for row in choice.rows() if row.counts) > 0.5
