"""The harness: verdicts, exit status, JSON, CSV, plots and the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cairn.base.errors import CairnError
from cairn.validation.gates import Verdict
from cairn.validation.harness import validate, validate_suites
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suite import run_suite
from tests.validation.toys import FILE_SUITE, SHEET, suite_of, toy

GOOD = [toy("near/a", 10, 10.2), toy("near/b", 200, 196, kind="other")]
BAD = [*GOOD, toy("far/c", 3000, 4500)]


def written(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_suite_whose_gates_hold_passes_with_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert validate_suites([suite_of(GOOD)]) == 0
    text = capsys.readouterr().out
    assert "pass: 1 passed; 2 rows checked" in text
    assert "+2.0 %" in text
    assert "<= 5.00 %" in text


def test_a_gate_beyond_its_limit_fails_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert validate_suites([suite_of(GOOD), suite_of(BAD)]) == 1
    text = capsys.readouterr().out
    assert "beyond its limit: close" in text
    assert "fail: 1 passed, 1 failed; 5 rows checked" in text


def test_a_suite_that_evaluated_no_row_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert validate_suites([suite_of([])]) == 1
    assert "no row was evaluated" in capsys.readouterr().out


def test_a_suite_in_which_no_row_counts_for_a_gate_fails() -> None:
    result = run_suite(suite_of([toy("a", 1, 1, counts="mean")]), ReferenceDir())
    assert (result.verdict, result.why) == (Verdict.FAIL, "no row counts for: close")


def test_a_given_folder_may_hold_rows_for_some_gates_but_not_for_none(tmp_path: Path) -> None:
    gates = [*SHEET["gates"], {"name": "tau", "metric": "kendall_tau", "limit": 0.8, "what": "ranks"}]
    one = suite_of([toy("a", 1, 1)], gates=gates)
    assert run_suite(one, ReferenceDir()).verdict is Verdict.FAIL
    given = run_suite(one, ReferenceDir(tmp_path))
    assert (given.verdict, given.why) == (Verdict.PASS, "on this folder no row counts for: tau")
    none = suite_of([toy("a", 1, 1, counts="mean")], gates=gates)
    assert run_suite(none, ReferenceDir(tmp_path)).verdict is Verdict.FAIL


def test_a_refused_row_that_counts_fails_its_gate() -> None:
    result = run_suite(suite_of([*GOOD, toy("refused", 10, None)]), ReferenceDir())
    assert result.verdict is Verdict.FAIL
    assert result.unexplained() == ["refused"]


def test_a_suite_whose_reference_is_not_here_is_skipped_with_where_to_get_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert validate_suites([FILE_SUITE, suite_of(GOOD)]) == 0
    assert "not checked: toys/toys.csv is not there" in capsys.readouterr().out
    assert validate_suites([FILE_SUITE]) == 1, "nothing was checked"
    assert "toys are sold in toy shops" in capsys.readouterr().out


def test_rows_are_taken_from_the_given_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "toys").mkdir()
    (tmp_path / "toys" / "toys.csv").write_text("name,time_us\nmine,3.5\nyours,4.5\n")
    assert validate_suites([FILE_SUITE], reference=tmp_path, json=True) == 0
    suite = json.loads(capsys.readouterr().out)["suites"][0]
    assert suite["reads"] == [{"file": "toys/toys.csv", "from": "given folder"}]
    assert [row["id"] for row in suite["rows"]] == ["mine", "yours"]


def test_a_named_suite_fails_on_a_given_folder_that_holds_nothing_for_it(tmp_path: Path) -> None:
    assert validate_suites([FILE_SUITE, suite_of(GOOD)], reference=tmp_path) == 1
    assert validate_suites([FILE_SUITE, suite_of(GOOD)], named=False, reference=tmp_path) == 0
    assert validate_suites([FILE_SUITE], named=False, reference=tmp_path) == 1, "nothing was checked"


def test_json_holds_every_row_and_gate(capsys: pytest.CaptureFixture[str]) -> None:
    assert validate_suites([suite_of([*BAD, toy("refused", 10, None, counts="")])], json=True) == 1
    document = json.loads(capsys.readouterr().out)
    suite = document["suites"][0]
    assert (document["schema"], document["verdict"], suite["verdict"]) == ("cairn.validation/1", "fail", "fail")
    assert [row["verdict"] for row in suite["rows"]] == ["pass", "pass", "fail", "report only"]
    assert [row["error"] for row in suite["rows"]] == [pytest.approx(0.02), pytest.approx(-0.02), 0.5, None]
    assert suite["rows"][2]["note"] == "Far toys roll."
    close, mean = suite["gates"]
    assert (close["rows"], close["limit"], close["verdict"]) == (3, 0.05, "fail")
    assert (mean["rows"], mean["value"], mean["verdict"]) == (3, pytest.approx(0.18), "report only")
    assert suite["unexplained_outliers"] == ["refused"]


def test_the_report_has_gates_classes_decades_and_explained_outliers(tmp_path: Path) -> None:
    report = tmp_path / "REPORT.md"
    assert validate_suites([suite_of(BAD)], report=report) == 1
    text = report.read_text()
    assert "| close | every toy within 5 % | max_error | 50.00 % | <= 5.00 % | 3 | fail |" in text
    assert "| other | 1 | 2.0 % | 2.0 % | 2.0 % | -2.0 % |" in text
    assert "| 1000 to 10000 us | 1 | 50.0 % |" in text
    assert "* `far/c` +50.0 %: Far toys roll." in text
    assert "Sources: toy shop, shelf 3." in text
    assert "No constant is fitted." in text
    assert list(tmp_path.iterdir()) == [report], "no half-written neighbour stays"


def test_an_outlier_without_a_note_is_called_unexplained(tmp_path: Path) -> None:
    validate_suites([suite_of([toy("odd", 1, 2)])], report=tmp_path / "r.md")
    assert "* `odd` +100.0 %: Not explained." in (tmp_path / "r.md").read_text()


def test_csv_and_a_plot_are_written_for_each_suite(tmp_path: Path) -> None:
    rows = [*GOOD, Row("z", "zero", 0.0, 0.0, "us", "s", excluded={"close": "it is zero"}, baselines={"roofline": 1.0})]
    assert validate_suites([suite_of(rows)], csv=tmp_path / "new" / "csv") == 0
    folder = tmp_path / "new" / "csv"
    assert sorted(file.name for file in folder.iterdir()) == ["toys.csv", "toys.png", "toys_gates.csv"]
    table = written(folder / "toys.csv")
    assert [row["id"] for row in table] == ["near/a", "near/b", "z"]
    assert (table[0]["counts_for"], table[2]["excluded_from"]) == ("close mean", "close: it is zero")
    assert table[2]["baseline_roofline"] == "1.0"
    assert [row["rows"] for row in written(folder / "toys_gates.csv")] == ["2", "2"]
    assert (folder / "toys.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_in_place_of_the_csv_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CairnError, match=r"--csv: .*file is a file, and a folder belongs here"):
        validate_suites([suite_of(GOOD)], csv=tmp_path / "file")


def test_a_report_into_a_folder_that_does_not_exist_is_refused_before_the_suites_run(tmp_path: Path) -> None:
    with pytest.raises(CairnError, match=r"--report: the folder of .* does not exist"):
        validate_suites([suite_of(GOOD)], report=tmp_path / "no" / "r.md")


def test_a_report_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "r.md").mkdir()
    with pytest.raises(CairnError, match=r"cannot write .*r\.md: Is a directory"):
        validate_suites([suite_of(GOOD)], report=tmp_path / "r.md")
    assert list(tmp_path.iterdir()) == [tmp_path / "r.md"]


def test_outliers_must_be_explained_where_the_sheet_asks_for_it(tmp_path: Path) -> None:
    gates = [{"name": "close", "metric": "median_error", "limit": 0.05, "what": "half within 5 %"}, SHEET["gates"][1]]
    strict = {"gates": gates, "every_outlier_explained": True}
    assert run_suite(suite_of(BAD, **strict), ReferenceDir()).verdict is Verdict.PASS
    bare = suite_of([*BAD, toy("odd", 10, 20, counts="")], **strict)
    result = run_suite(bare, ReferenceDir())
    assert (result.verdict, result.why) == (Verdict.FAIL, "no note explains: odd")
    assert run_suite(bare, ReferenceDir(tmp_path)).verdict is Verdict.PASS, "notes are about the shipped rows"


def test_an_unknown_suite_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(CairnError, match="no suite is called 'modles'; did you mean 'models'"):
        validate(["modles"])


def test_fitted_rows_must_not_count_and_the_report_lists_them(tmp_path: Path) -> None:
    fitted = [{"constant": "toy_speed", "value": "3 m/s", "rows": ["near/a"]}]
    with pytest.raises(ValueError, match="row near/a was fitted on and must not count for close, mean"):
        run_suite(suite_of(GOOD, fitted=fitted), ReferenceDir())
    rows = [toy("near/a", 10, 10, counts=""), GOOD[1]]
    validate_suites([suite_of(rows, fitted=fitted)], report=tmp_path / "r.md")
    assert "Fitted, those rows not counting: toy_speed = 3 m/s on rows `near/a`." in (tmp_path / "r.md").read_text()


def test_a_suite_that_contradicts_itself_is_a_bug() -> None:
    with pytest.raises(ValueError, match="row ids repeat"):
        run_suite(suite_of([toy("a", 1, 1), toy("a", 2, 2)]), ReferenceDir())
    with pytest.raises(ValueError, match="speaks of gates that do not exist"):
        run_suite(suite_of([toy("a", 1, 1, counts="closse")]), ReferenceDir())


def test_many_rows_are_shown_by_the_worst_and_all_of_them_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [toy(f"near/{i}", 100, 100 + i / 50) for i in range(100)]
    validate_suites([suite_of(rows)])
    brief = capsys.readouterr().out
    assert "near/99" in brief
    assert "near/5 " not in brief
    validate_suites([suite_of(rows)], verbose=True)
    assert "near/5 " in capsys.readouterr().out


def test_the_report_shows_remarks_beside_the_rows_where_there_are_any(tmp_path: Path) -> None:
    marked = Row("near/m", "toy", 10.0, 10.0, "us", "toy shop", ("close",), remark="as near as toys come")
    validate_suites([suite_of([*GOOD, marked])], report=tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    assert "| error | verdict | remark |" in text
    assert "| near/m | 10 | 10 | us | +0.0 % | pass | as near as toys come |" in text
    validate_suites([suite_of(GOOD)], report=tmp_path / "r.md")
    assert "remark" not in (tmp_path / "r.md").read_text()
