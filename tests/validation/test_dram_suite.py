"""The suite `dram`: passes as shipped, and fails where it should."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cairn.base.errors import ConfigError
from cairn.validation.harness import validate
from cairn.validation.reference import SHIPPED, ReferenceDir
from cairn.validation.suite import SuiteResult, load_suite, run_suite
from cairn.validation.suites.dram.devices import dramsim3_devices, ramulator_devices

CASES = "ramulator21_cases.csv"
ONLY = ("R001", "R002", "R003", "R004", "R136")
"""Cases that have a row for every gate: streams, random and one bank of DDR4, a stream of HBM3."""


@pytest.fixture(scope="module")
def shipped() -> SuiteResult:
    return run_suite(load_suite("dram"), ReferenceDir())


def copied(folder: Path, change: Callable[[str], str] = lambda line: line, only: tuple[str, ...] = ONLY) -> Path:
    """A reference folder with some of the shipped cases of Ramulator, each line changed."""
    (folder / "dram").mkdir()
    shutil.copy(SHIPPED / "dram" / "presets.yaml", folder / "dram")
    head, *lines = (SHIPPED / "dram" / CASES).read_text().splitlines()
    kept = [change(line) for line in lines if line.split(",")[0] in only]
    (folder / "dram" / CASES).write_text("\n".join([head, *kept]) + "\n")
    return folder


def with_column(name: str, value: object, of: str = "R001") -> Callable[[str], str]:
    """A change of one column of one case."""
    place = (SHIPPED / "dram" / CASES).read_text().splitlines()[0].split(",").index(name)

    def change(line: str) -> str:
        words = line.split(",")
        if words[0] == of:
            words[place] = str(value)
        return ",".join(words)

    return change


def test_all_shipped_cases_are_equal_and_the_forms_within_their_limits(shipped: SuiteResult) -> None:
    cases = len((SHIPPED / "dram" / CASES).read_text().splitlines()) - 1
    gates = {gate.gate.name: gate for gate in shipped.gates}
    assert shipped.verdict == "pass", shipped.why
    assert (gates["cycles"].rows, gates["cycles"].value) == (cases, 0)
    assert (gates["outcomes"].rows, gates["outcomes"].value) == (cases, 1)
    assert all(gates[name].rows > 0 for name in gates)
    assert shipped.unexplained() == []


def test_dramsim3_is_reported_and_counts_for_no_limit(shipped: SuiteResult) -> None:
    rows = [row for row in shipped.rows if row.id.startswith("D")]
    assert len(rows) == len((SHIPPED / "dram" / "dramsim3_cases.csv").read_text().splitlines()) - 1
    limited = {gate.gate.name for gate in shipped.gates if gate.gate.limit is not None}
    assert not any(limited & set(row.counts) for row in rows)
    patterns = {row.id.split("/")[2] for row in rows if abs(row.error()) > 0.05}
    assert patterns == {"pingpong", "mix21_stream"}


def test_a_case_that_differs_by_one_cycle_fails(tmp_path: Path) -> None:
    assert validate(["dram"], reference=copied(tmp_path)) == 0
    (tmp_path / "changed").mkdir()
    assert validate(["dram"], reference=copied(tmp_path / "changed", with_column("cycles", 41914))) == 1


def test_outcomes_that_differ_in_one_case_of_five_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(["dram"], reference=copied(tmp_path, with_column("row_hits", 9903)), json=True) == 1
    (suite,) = json.loads(capsys.readouterr().out)["suites"]
    verdicts = {gate["gate"]: gate["verdict"] for gate in suite["gates"]}
    assert (verdicts["outcomes"], verdicts["cycles"]) == ("fail", "pass")


def test_timings_come_from_the_presets_beside_the_cases(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    file = folder / "dram" / "presets.yaml"
    content = yaml.safe_load(file.read_text())
    content["presets"]["DDR4_2400R"]["timing_tCK"]["nRP"] += 1
    content["presets"]["DDR4_2400R"]["timing_tCK"]["nRC"] += 1
    file.write_text(yaml.safe_dump(content))
    assert ramulator_devices(ReferenceDir(folder))["DDR4_2400R"].clocks["nRP"] == 17
    assert validate(["dram"], reference=folder) == 1


def test_a_preset_of_any_name_is_read_with_its_geometry(tmp_path: Path) -> None:
    folder = copied(tmp_path, lambda line: line.replace("DDR4_2400R", "mine"))
    file = folder / "dram" / "presets.yaml"
    file.write_text(file.read_text().replace("  DDR4_2400R:", "  mine:", 1))
    part = ramulator_devices(ReferenceDir(folder))["mine"]
    assert (part.standard.name, part.organisation.bg, part.organisation.col, part.clock_ps) == ("DDR4", 4, 128, 833)
    assert validate(["dram"], reference=folder) == 0


def test_settings_of_dramsim3_become_rules_of_our_standards() -> None:
    parts = dramsim3_devices(ReferenceDir())
    ddr4, hbm, gddr6 = parts["DDR4_8Gb_x8_2400"], parts["HBM2_4Gb_x128"], parts["GDDR6_8Gb_x16"]
    assert (ddr4.clocks["nRP"], ddr4.clocks["nRC"], ddr4.burst_ticks, ddr4.organisation.density_mb) == (17, 56, 4, 8192)
    assert (hbm.standard.name, hbm.organisation.pc, hbm.organisation.transaction_bytes) == ("HBM2", 1, 64)
    assert (gddr6.clocks["nFAW"], gddr6.clocks["nCCDL"], gddr6.organisation.transaction_bytes) == (53, 3, 256)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("preset", "DDR9", "preset: there is no 'DDR9' here; there are DDR4_2400R, DDR5_4800BN"),
        ("pattern", "zigzag", "pattern: there is no 'zigzag' here; there are stream_rd, stream_wr"),
        ("mapping", "rowfirst", "mapping: there is no 'rowfirst' here; there are bgfirst, colfirst, bankfirst"),
        ("scheduler", "lifo", "scheduler: there is no 'lifo' here; there are frfcfs, frfcfs_rowhit"),
        ("refresh", 2, "refresh: 0 or 1 belongs here, not 2"),
        ("case", "R002", "case: two cases are called 'R002'"),
        ("cycles", "many", "cycles: a finite number belongs here, not 'many'"),
    ],
)
def test_a_case_that_cannot_be_run_is_one_message(tmp_path: Path, column: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(["dram"], reference=copied(tmp_path, with_column(column, value)))


def test_a_preset_of_another_standard_is_refused_by_name(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    file = folder / "dram" / "presets.yaml"
    file.write_text(file.read_text().replace("standard: DDR4", "standard: DDR1", 1))
    with pytest.raises(ConfigError, match="standard: there is no standard 'DDR1'; there are DDR3, DDR4"):
        validate(["dram"], reference=folder)


def test_an_empty_reference_checks_nothing_and_fails(tmp_path: Path) -> None:
    assert validate(["dram"], reference=tmp_path) == 1
    (tmp_path / "rows").mkdir()
    assert validate(["dram"], reference=copied(tmp_path / "rows", only=())) == 1
