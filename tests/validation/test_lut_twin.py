"""The suite `lut`, its twin: designs differ in what they say, rows are simulated steps, a twin that is off fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cairn.sim.config.run_config import load
from cairn.validation.gates import Verdict, judge
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suite import load_suite
from cairn.validation.suites.lut import twin


def verdicts(rows: list[Row]) -> dict[str, Verdict]:
    results = [judge(gate, rows) for gate in load_suite("lut").sheet.gates]
    return {result.gate.name: result.verdict for result in results if result.rows}


def test_without_all_there_are_more_than_a_hundred_steps() -> None:
    assert 2 * twin.FEW >= 100 and len(set(twin.drawn(twin.FEW))) == twin.FEW
    for axis, values in zip(twin.AXES, zip(*twin.drawn(twin.FEW), strict=True), strict=True):
        assert set(values) == set(axis)


@pytest.mark.parametrize("phase", list(twin.STEPS))
def test_every_design_is_the_run_that_its_remark_describes(phase: str) -> None:
    for design in twin.drawn(8):
        config = load("bitnet-3b-decode", twin.settings_of(phase, design))
        (m, n, k), arrays, model, weight_bits, activation, precompute, grid, *_ = design
        lut = config.chip.lut_unit
        assert lut is not None
        assert (lut.m, lut.n, lut.k, lut.arrays, lut.activation) == (m, n, k, arrays, activation)
        assert (config.chip.cores.rows, config.chip.cores.columns) == grid
        assert config.mapping.precompute.value == precompute and config.workload.phase.value == phase
        if model == "llama-2-7b":
            assert config.model.precision.weight_bits == weight_bits
        assert config.chip.lut_for(config.model.precision.activation_bits, config.model.precision.stored_weight_bits)


def test_steps_pass_their_gates_and_a_twin_that_is_a_tenth_off_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twin, "FEW", 4)
    rows = list(twin.rows(ReferenceDir(), run_all=False))
    assert {row.id for row in rows} == {f"twin/{phase}/{number}" for phase in twin.STEPS for number in range(4)}
    found = verdicts(rows)
    assert {name for name, verdict in found.items() if verdict is not Verdict.PASS} == set()
    wrong = [replace(row, prediction=(row.prediction or 0.0) * 1.1) for row in rows]
    assert verdicts(wrong)["twin_all_median"] is Verdict.FAIL
    turned = [replace(row, prediction=1 / row.reference) for row in rows]
    assert verdicts(turned)["twin_all_tau"] is Verdict.FAIL
