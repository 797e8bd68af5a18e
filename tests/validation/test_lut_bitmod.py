"""The suite `lut`, part BitMoD: equal cycles; a wrong constant breaks its gates."""

from __future__ import annotations

import pytest

from cairn.validation.gates import Verdict, judge
from cairn.validation.reference import Entry, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suite import load_suite
from cairn.validation.suites.lut import bitmod


def entry(key: str, value: object) -> dict[str, Entry]:
    return {key: Entry(key, "", value, "cycles", "", "by hand", "file")}


def verdicts(rows: list[Row]) -> dict[str, Verdict]:
    results = [judge(gate, rows) for gate in load_suite("lut").sheet.gates]
    return {result.gate.name: result.verdict for result in results if result.rows}


def test_all_points_have_equal_cycles_and_energies() -> None:
    rows = list(bitmod.rows(ReferenceDir().entries(bitmod.FILE)))
    gates = ("bitmod_cycles", "bitmod_dram_energy", "bitmod_on_chip_energy")
    assert verdicts(rows) == dict.fromkeys(gates, Verdict.PASS)
    assert [sum(gate in row.counts for row in rows) for gate in gates] == [40, 40, 40]


def test_a_cycle_more_or_a_microjoule_less_breaks_the_gates() -> None:
    key = "fp16_prefill_opt-1.3b"
    rows = list(bitmod.rows(entry(f"bitmod_cycles_{key}", 669255681)))
    assert verdicts(rows) == {"bitmod_cycles": Verdict.FAIL}
    rows = list(bitmod.rows(entry(f"bitmod_energy_{key}", [656660, 2549495])))
    assert verdicts(rows) == {"bitmod_dram_energy": Verdict.FAIL, "bitmod_on_chip_energy": Verdict.FAIL}


def test_a_model_that_is_not_shipped_fails_with_the_reason() -> None:
    (row,) = bitmod.rows(entry("bitmod_cycles_ant_decode_opt-9b", 1))
    assert row.prediction is None and row.remark == "Refused: no shipped model is called 'opt-9b'"
    assert verdicts([row]) == {"bitmod_cycles": Verdict.FAIL}


def test_means_over_the_six_models_are_those_that_are_printed() -> None:
    rows = {row.id: row for row in bitmod.rows(ReferenceDir().entries(bitmod.FILE)) if row.kind == "BitMoD means"}
    assert len(rows) == 5
    assert [row.error() for row in rows.values()] == pytest.approx([0, 0, 0, 0, 0], abs=0.003)
