"""Sweep files: what they mean, and the whole message of every mistake that they can hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cairn.base.errors import ConfigError
from cairn.dse.evaluate import configured
from cairn.dse.objectives import Combine
from cairn.dse.outcome import judge
from cairn.dse.sweep import load_sweep
from cairn.hw_models.dram.effective import core_mm2
from cairn.sim.config.resolve import RUN, SWEEP, shipped
from cairn.sim.config.run_config import load, run_hash

HEAD = "schema: cairn.sweep/1\nname: mine\nrun: demo\n"
PARAMETERS = "parameters: {chip.matrix_unit.rows: [4, 8]}\n"
OBJECTIVES = "objectives: [area]\n"

MISTAKES = {
    "unknown key": (
        HEAD + "parameters:\n  chip.matrix_unit.rowz: [4, 8]\n" + OBJECTIVES,
        "{file}:5: chip.matrix_unit.rowz: is not a known key; did you mean 'rows'? "
        "(allowed: columns, dataflow, kind, pipelined_folds, rows)",
    ),
    "wrong value": (
        HEAD + "parameters:\n  chip.matrix_unit.rows: [4, 0]\n" + OBJECTIVES,
        "{file}:5: chip.matrix_unit.rows: must be >= 1, got 0",
    ),
    "upside down": (
        HEAD + "parameters:\n  workload.batch:\n    range: {from: 9, to: 2, step: 1}\n" + OBJECTIVES,
        "{file}:6: parameters.'workload.batch'.range: is upside down: from 9 is above to 2",
    ),
    "no power of two": (
        HEAD + "parameters: {workload.batch: {powers_of_two: {from: 3, to: 8}}}\n" + OBJECTIVES,
        "{file}:4: parameters.'workload.batch'.powers_of_two: begins and ends with a power of two, and 3 is none",
    ),
    "two sources": (
        HEAD + "parameters: {workload.batch: {choices: [1], range: {from: 1, to: 2, step: 1}}}\n" + OBJECTIVES,
        "{file}:4: parameters.'workload.batch': needs one of choices, range and powers_of_two, has choices and range",
    ),
    "empty choices": (
        HEAD + "parameters: {workload.batch: []}\n" + OBJECTIVES,
        "{file}:4: parameters.'workload.batch'.choices: must have at least 1 entry, got []",
    ),
    "value twice": (
        HEAD + "parameters: {workload.batch: [2, 2]}\n" + OBJECTIVES,
        "{file}:4: parameters.'workload.batch'.choices: has 2 twice",
    ),
    "key twice": (
        HEAD + "parameters:\n  workload.batch: [1, 2]\n  b: {choices: [3], keys: [workload.batch]}\n" + OBJECTIVES,
        "{file}:6: parameters.b: sets workload.batch, which workload.batch sets too",
    ),
    "expression": (
        HEAD + "parameters: {a: {choices: [4], set: {workload.batch: 2 * valeu}}}\n" + OBJECTIVES,
        "{file}:4: parameters.a.set.'workload.batch': 'valeu' is not known; did you mean 'value'? (allowed: value)",
    ),
    "condition": (
        HEAD + "parameters: {workload.batch: {choices: [1, 2], when: {mapping.paradigm: [spmd]}}}\n" + OBJECTIVES,
        "{file}:4: parameters.'workload.batch'.when.'mapping.paradigm': is no other parameter of this sweep",
    ),
    "unknown objective": (
        HEAD + PARAMETERS + "objectives: [latncy]\n",
        "{file}:5: objectives[0]: 'latncy' is not known; did you mean 'latency'? (allowed: area, area_mm2, "
        "clock_within_limit_ghz, cost, cost_usd, dram_bytes, dram_capacity_gb, dram_gb_per_s, dram_peak_gb_per_s, "
        "dram_utilisation, edp, efficiency, energy, energy_j, energy_per_token, energy_per_token_j, latency, "
        "latency_s, matrix_ops, matrix_peak_tera_ops_per_s, ...)",
    ),
    "objective of no run": (
        HEAD + PARAMETERS + "objectives: [ttft]\n",
        "{file}:5: objectives[0]: (ttft_s) needs a prefill run, and no run produces it: demo (decode)",
    ),
    "no direction": (
        HEAD + PARAMETERS + "objectives: [{name: heat, expression: power / area}]\n",
        "{file}:5: objectives[0]: needs a direction: minimize or maximize",
    ),
    "unit of an objective": (
        HEAD + PARAMETERS + "objectives: [{name: area, unit: ms}]\n",
        "{file}:5: objectives[0]: area is m2, which 'ms' does not measure",
    ),
    "unit of a constraint": (
        HEAD + PARAMETERS + OBJECTIVES + "constraints: [area <= 20 W]\n",
        "{file}:6: constraints[0]: area is m2, which 'W' does not measure",
    ),
    "no unit": (
        HEAD + PARAMETERS + OBJECTIVES + "constraints: [area <= 20]\n",
        "{file}:6: constraints[0]: needs a unit: area is m2, such as 'area <= 20 mm2'",
    ),
    "contradiction": (
        HEAD + PARAMETERS + OBJECTIVES + "constraints:\n  - area <= 2 cm2\n  - (area) >= 201 mm2\n",
        "{file}:8: constraints[1]: (area) >= 201 mm2 contradicts area <= 2 cm2; no design can meet both",
    ),
    "impossible": (
        HEAD + PARAMETERS + OBJECTIVES + "constraints: [dram_utilisation >= 120 %]\n",
        "{file}:6: constraints[0]: dram_utilisation >= 120 % cannot be met: dram_utilisation is never above 1",
    ),
    "unknown run": (
        HEAD.replace("demo", "demmo") + PARAMETERS + OBJECTIVES,
        "{file}:3: run: no shipped run is called 'demmo'; did you mean 'demo'? "
        f"(allowed: {', '.join(shipped(RUN))}); a path ends in .yaml",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_in_a_sweep_is_one_message(tmp_path: Path, name: str) -> None:
    text, expected = MISTAKES[name]
    file = tmp_path / "sweep.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_sweep(file)
    assert str(caught.value) == expected.replace("{file}", str(file))


@pytest.mark.parametrize("name", sorted(shipped(SWEEP)))
def test_a_shipped_sweep_loads(name: str) -> None:
    sweep = load_sweep(name)
    assert sweep.name == name
    sizes = {
        "demo": 36, "voxel-decode": 6300, "voxel-prefill": 6300, "chip-mapping-batch": 432, "core-groups": 6,
        "stack-depth": 72, "network": 45, "lut-shapes": 72, "lut-a100": 40, "pim-decode": 102,
    }  # fmt: skip
    assert sweep.space.size == sizes[name]
    assert sweep.inner.size == (4 if name in ("chip-mapping-batch", "network") else 1)


def test_cores_of_the_depth_sweep_fill_its_die() -> None:
    """Its expressions repeat the areas of the models: 8 cores more would not fit."""
    sweep = load_sweep("stack-depth")
    fitting = 0
    for number in np.concatenate(list(sweep.space.blocks())).tolist():
        connected = next(v for name, v in sweep.space.labels(number).items() if name.startswith("connected"))
        if connected > sweep.space.labels(number)["chip.dram.stack.layers"]:
            with pytest.raises(ConfigError, match="connected_layers"):
                configured(sweep.workloads[0], sweep, number)
            continue
        chip = configured(sweep.workloads[0], sweep, number).chip
        assert core_mm2(chip) * chip.core_count <= 160 < core_mm2(chip) * (chip.core_count + 8)
        fitting += 1
    assert fitting == 3 * (4 + 6 + 8)


def test_a_point_is_the_run_that_overrides_make() -> None:
    sweep = load_sweep("demo")
    number = 7
    settings = [f"{key}={value}" for key, value in sweep.space.settings(number).items()]
    expected = load("demo", ["workload.context=128", "workload.batch=2", *settings])
    assert run_hash(configured(sweep.workloads[0], sweep, number)) == run_hash(expected)


def test_core_counts_become_the_most_square_grid() -> None:
    sweep = load_sweep("voxel-decode")
    place = sweep.space.names.index("cores")
    for i, cores in enumerate((32, 48, 64, 96, 128, 192, 256, 384, 512)):
        vector = [[0] * len(sweep.space.names)]
        vector[0][place] = i
        settings = sweep.space.settings(int(sweep.space.numbers(vector)[0]))
        rows, columns = settings["chip.cores.rows"], settings["chip.cores.columns"]
        assert rows * columns == cores
        assert columns / 2 <= rows <= columns


def test_compound_choices_set_several_keys(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    choices = "[{chip.cores.rows: 2, chip.cores.columns: 8}, {chip.cores.rows: 4, chip.cores.columns: 4}]"
    file.write_text(HEAD + f"parameters: {{grid: {choices}}}\n" + OBJECTIVES, encoding="utf-8")
    sweep = load_sweep(file)
    assert sweep.space.settings(0) == {"chip.cores.rows": 2, "chip.cores.columns": 8}
    assert sweep.space.labels(1) == {"grid": "rows=4, columns=4"}


TWO = """\
schema: cairn.sweep/1
name: two
workloads:
  - {name: read, run: llama-2-13b-prefill, weight: 3}
  - {name: write, run: demo}
parameters: {workload.batch: [1, 2]}
objectives:
  - latency
  - ttft
  - {name: write_time, expression: latency, direction: minimize, workload: write}
  - {name: speed, expression: tokens_per_s, direction: maximize}
constraints: [{rule: latency <= 9 ms, workload: write}, power <= 5 W]
"""


@pytest.mark.parametrize(("combine", "latency", "speed"), [("weighted", 4.0, 175.0), ("worst", 10.0, 100.0)])
def test_workloads_are_combined(tmp_path: Path, combine: str, latency: float, speed: float) -> None:
    file = tmp_path / "two.yaml"
    file.write_text(TWO + f"combine: {combine}\n", encoding="utf-8")
    sweep = load_sweep(file)
    assert sweep.combine is Combine(combine)
    read = {"latency_s": 0.002, "ttft_s": 0.002, "tokens_per_s": 200.0, "power_w": 7.0}
    write = {"latency_s": 0.010, "tokens_per_s": 100.0, "power_w": 4.0}
    values, excess = judge(sweep, [read, write])
    assert values[0].tolist() == pytest.approx([latency, 2.0, 10.0, speed])
    assert excess[0].tolist() == pytest.approx([1 / 9, 2 / 5])


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"points": 0}, "--points must be at least 1, got 0"),
        ({"minutes": 0.0}, "--minutes must be above 0, got 0"),
        ({"minutes": float("nan")}, "--minutes must be above 0, got nan"),
    ],
)
def test_a_budget_that_allows_nothing_is_refused(limits: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_sweep("demo").with_budget(**limits)  # type: ignore[arg-type]
    assert str(caught.value) == message
