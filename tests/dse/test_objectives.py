"""Units, expressions, named objectives and the fields that runs really have."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cairn
from cairn.dse.evaluate import SweepEvaluator
from cairn.dse.expressions import parse
from cairn.dse.fields import FIELDS, derived, fields_of, static_fields
from cairn.dse.objectives import NAMED, constraint, quantity
from cairn.dse.outcome import Status
from cairn.dse.price import WAFER_USD, cost_usd
from cairn.dse.sweep import load_sweep
from cairn.dse.units import parse_unit

RESULT = {"latency_s": 0.004, "energy_j": 2.0, "area_mm2": 50.0, "tokens": 8.0, "dram_capacity_gb": 0.0}


def test_values_are_in_the_unit_that_was_asked_for() -> None:
    fields = derived(RESULT)
    assert quantity("latency").of(fields) == pytest.approx(4.0)
    assert quantity("latency", "us").of(fields) == pytest.approx(4000.0)
    assert quantity("power_density", "W/cm2").of(fields) == pytest.approx(1000.0)
    assert quantity("edp").of(fields) == pytest.approx(0.25 * 0.0005)
    assert quantity("energy_j * latency_s", "mJ s").of(fields) == pytest.approx(8.0)


def test_expressions_work_on_columns_as_on_numbers() -> None:
    expression = parse("max(a, 2) * -b / (a - 1) ** 2", frozenset("ab"))
    columns = {"a": np.array([1.0, 2.0, 4.0]), "b": np.array([1.0, 1.0, 3.0])}
    each = [expression({name: float(column[i]) for name, column in columns.items()}) for i in range(3)]
    assert expression(columns).tolist() == each == [-math.inf, -2.0, -12 / 9]


NOT_ARITHMETIC = ("__import__('os')", "a.real", "a if b else 1", "[a]", "a and b", "'x'", "a < b", "a(1)")


@pytest.mark.parametrize("text", NOT_ARITHMETIC)
def test_nothing_but_arithmetic_is_an_expression(text: str) -> None:
    with pytest.raises(ValueError, match=r"not arithmetic|no function"):
        parse(text, frozenset("ab"))


def test_huge_powers_are_infinite_not_endless() -> None:
    assert parse("9 ** 9 ** 9 ** 9", frozenset())({}) == math.inf


def test_a_constraint_says_what_is_missing() -> None:
    rule = constraint("power_density <= 70 W/cm2")
    assert rule.excess(rule.quantity.of({"power_density_w_per_mm2": 0.7})) == pytest.approx(0.0)
    refusal = rule.refusal(rule.quantity.of({"power_density_w_per_mm2": 0.84}))
    assert (refusal.demand, refusal.bound, refusal.unit) == (pytest.approx(84.0), 70.0, "W/cm2")
    assert refusal.gap == pytest.approx(14.0)
    least = constraint("tokens_per_s >= 2 tokens/ms")
    assert least.excess(least.quantity.of({"tokens_per_s": 1500.0})) == pytest.approx(0.25)


def test_a_run_has_every_field_with_the_unit_its_name_says() -> None:
    result = cairn.simulate("demo", ["workload.context=64", "workload.batch=1"])
    fields = fields_of(result)
    assert set(fields) == set(FIELDS)
    assert [name for name, value in fields.items() if math.isnan(value)] == ["ttft_s"]
    assert fields["energy_per_token_j"] == pytest.approx(result.energy_j / result.tokens)
    static = static_fields(result.record.chip)
    assert static == {name: pytest.approx(fields[name]) for name in static}
    endings = {"s": "s", "J": "j", "W": "w", "mm2": "mm2", "W/mm2": "w_per_mm2", "GHz": "ghz", "USD": "usd"}
    for name, unit in FIELDS.items():
        written = endings.get(unit)
        assert written is None or name.endswith(f"_{written}"), name
    for named in NAMED.values():
        parse_unit(named.unit)


def test_a_larger_die_costs_more_than_its_share_of_the_wafer() -> None:
    small, large, huge = cost_usd(np.array([100.0, 800.0, 80_000.0]), 0.0)
    assert large > 8 * small
    assert WAFER_USD / 700 < small < WAFER_USD / 500
    assert huge == math.inf
    assert cost_usd(100.0, 16.0) - small == pytest.approx(160.0)


def test_a_chip_that_breaks_a_constraint_is_refused_without_simulating(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = load_sweep("voxel-decode")
    monkeypatch.setattr("cairn.dse.evaluate._simulate", lambda config: pytest.fail("simulated"))
    outcome = SweepEvaluator(sweep)(sweep.space.size - 1)
    assert outcome.status is Status.INFEASIBLE
    assert [refusal["constraint"] for refusal in outcome.refusals] == ["area <= 850 mm2"]
    assert outcome.values[0] == outcome.refusals[0]["demand"] > 850
    assert math.isnan(outcome.values[1])
