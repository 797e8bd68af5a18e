"""The suite `pim`: passes as shipped, and fails where it should."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cairn.validation.harness import validate
from cairn.validation.reference import SHIPPED, ReferenceDir
from cairn.validation.suite import SuiteResult, load_suite, run_suite
from cairn.validation.suites.pim import twin_steps

OUTSIDE = {
    "pim/attacc_cycles.csv": ("attacc_bank", "attacc_buffer"),
    "pim/cent_results.csv": ("cent_pim", "cent_acc", "cent_cxl", "cent_tot", "cent_tput", "cent_epj"),
}
"""Files that are not shipped, and how the names of the gates that need them begin."""
AIM, SAMSUNG = "aim_cycles.csv", "hbmpim_samsung.csv"


@pytest.fixture(scope="module")
def shipped() -> Iterator[SuiteResult]:
    """The suite with the first designs alone of those that are simulated step by step (`cairn validate` has all)."""
    with pytest.MonkeyPatch.context() as patch:
        for name, few in (("BY_RULE", 16), ("BY_TIME", 8), ("OF_EXPERTS", 8)):
            patch.setattr(twin_steps, name, replace(getattr(twin_steps, name), few=few))
        yield run_suite(load_suite("pim"), ReferenceDir())


def folder(place: Path, name: str, *lines: str) -> Path:
    """A reference folder with one file of these lines under the header of the shipped one."""
    (place / "pim").mkdir(exist_ok=True)
    head = (SHIPPED / "pim" / name).read_text().splitlines()[0]
    (place / "pim" / name).write_text("\n".join([head, *lines]) + "\n")
    return place


def line(name: str, row: str) -> str:
    return next(text for text in (SHIPPED / "pim" / name).read_text().splitlines() if text.startswith(f"{row},"))


def test_every_shipped_row_of_aim_is_equal_and_the_others_within_their_limits(shipped: SuiteResult) -> None:
    rows = len((SHIPPED / "pim" / AIM).read_text().splitlines()) - 1
    gates = {gate.gate.name: gate for gate in shipped.gates}
    assert shipped.verdict == "pass", shipped.why
    assert (gates["aim_cycles"].rows, gates["aim_cycles"].value) == (rows, 0)
    assert (gates["twin_exact"].rows, gates["twin_exact"].value) == (120, 0)
    without = tuple(name for names in OUTSIDE.values() for name in names)
    assert all(gate.rows > 0 for name, gate in gates.items() if not name.startswith(without))
    assert shipped.unexplained() == []
    assert all(text.startswith(tuple(OUTSIDE)) for text in shipped.skipped)


def test_rows_that_a_constant_is_fitted_on_count_for_no_limit(shipped: SuiteResult) -> None:
    fitted = {row for one in shipped.sheet.fitted for row in one.rows}
    assert fitted
    assert [row.id for row in shipped.rows if row.id in fitted and row.counts] == []


def test_a_product_that_takes_a_cycle_more_in_the_reference_fails(tmp_path: Path) -> None:
    row = line(AIM, "aim.gemv.N512.K4096")
    assert validate(["pim"], reference=folder(tmp_path, AIM, row)) == 0
    assert validate(["pim"], reference=folder(tmp_path, AIM, row.replace(",1632,", ",1633,"))) == 1


def test_products_of_other_shapes_and_listed_instructions_are_run(tmp_path: Path) -> None:
    rows = [
        "aim.gemv.N700.K1500,c,1,cycle,c,s", "aim.micro.mac1.op7,c,71,cycle,c,s",
        'aim.micro.seq.other,c,414,cycle,"WR_GB 64, WR_BIAS, MAC_ABK 64, RD_MAC; all channels",s',
        "aim.micro.unheard,c,1,cycle,c,s",
    ]  # fmt: skip
    result = run_suite(load_suite("pim"), ReferenceDir(folder(tmp_path, AIM, *rows)))
    found = {row.id: row.prediction for row in result.rows if row.unit == "cycles"}
    two_rounds = 2 * (226 + 180 + 158 + 112 + 8)
    assert found == {"aim/gemv.N700.K1500": two_rounds, "aim/micro.mac1.op7": 71, "aim/micro.seq.other": 414}
    assert any("aim.micro.unheard" in text for text in result.skipped)


def test_a_slower_part_of_samsung_fails(tmp_path: Path) -> None:
    folder(tmp_path, AIM, line(AIM, "aim.micro.rdmac.1"))
    row = line(SAMSUNG, "hbmpim.gemv.4096x2048.pim")
    assert validate(["pim"], reference=folder(tmp_path, SAMSUNG, row)) == 0
    assert validate(["pim"], reference=folder(tmp_path, SAMSUNG, row.replace(",6970,", ",7970,"))) == 1
