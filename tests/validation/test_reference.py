"""Reference folders: where files are looked for, and what is said about what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cairn.base.errors import CairnError, ConfigError
from cairn.validation import reference as module
from cairn.validation.reference import ENVIRONMENT, ReferenceDir, ReferenceFile, ReferenceMissingError


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A shipped, an outside and a given folder, each with a file of its own and one that all hold."""
    made = {}
    for name in ("shipped", "outside", "given"):
        made[name] = tmp_path / name
        (made[name] / "sub").mkdir(parents=True)
        (made[name] / "sub" / f"{name}.csv").write_text(f"a\n{name}\n")
        (made[name] / "sub" / "all.csv").write_text(f"a\n{name}\n")
    monkeypatch.setattr(module, "SHIPPED", made["shipped"])
    monkeypatch.setenv(ENVIRONMENT, str(made["outside"]))
    return made


def test_shipped_files_come_first_and_outside_ones_fill_in(folders: dict[str, Path]) -> None:
    reference = ReferenceDir()
    assert reference.csv("sub/all.csv")[0].text("a") == "shipped"
    assert reference.csv("sub/outside.csv")[0].text("a") == "outside"
    assert reference.used == [ReferenceFile("sub/all.csv", "shipped"), ReferenceFile("sub/outside.csv", "outside")]


def test_a_given_folder_is_the_only_one_that_is_looked_in(folders: dict[str, Path]) -> None:
    reference = ReferenceDir(folders["given"])
    assert reference.csv("sub/all.csv")[0].text("a") == "given"
    assert reference.find("sub/shipped.csv") is None
    assert reference.find("sub/outside.csv") is None


def test_a_missing_file_says_where_such_data_is_to_be_had(folders: dict[str, Path]) -> None:
    reference = ReferenceDir()
    message = "gone.csv is not there, among the shipped files, nor where CAIRN_REFERENCE_DIR points; ask the lab"
    with pytest.raises(ReferenceMissingError) as caught:
        reference.path("gone.csv", "ask the lab")
    assert str(caught.value) == message
    assert reference.optional("gone.csv", "ask the lab") is None
    assert reference.missed == [message]


def test_folders_that_do_not_exist_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CairnError, match=r"--reference: .*nowhere is not a folder"):
        ReferenceDir(tmp_path / "nowhere")
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "nowhere"))
    with pytest.raises(CairnError, match=rf"{ENVIRONMENT} names .*nowhere, which is not a folder"):
        ReferenceDir().find("no/such/file.csv")


def test_a_bad_number_is_reported_with_file_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("# about\nname,time_us\n# more\nx,1.5\ny,fast\nz\nw,nan\nv,2.5\n")
    x, y, z, w, v = ReferenceDir(tmp_path).csv("t.csv")
    assert x.number("time_us") == 1.5
    for record, line, wrong in ((y, 5, "'fast'"), (w, 7, "'nan'")):
        with pytest.raises(ConfigError) as caught:
            record.number("time_us")
        assert str(caught.value) == f"{file}:{line}: time_us: a finite number belongs here, not {wrong}"
    with pytest.raises(ConfigError, match=r"t.csv:6: time_us: this column is missing"):
        z.number("time_us")
    with pytest.raises(ConfigError, match=r"a whole number belongs here, not 2\.5"):
        v.integer("time_us")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1,\n", "t.yaml:2: "),
        ("- 1\n", "a mapping belongs at the top of this file"),
        ("a: !!python/object:os.system x\n", "could not determine a constructor"),
        ("entries: 3\n", "entries: a list belongs here"),
        ("entries: [{id: x, value: 3, unit: us}]\n", r"entries\[0\]: an entry needs source"),
    ],
)
def test_a_malformed_yaml_file_is_one_message(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        ReferenceDir(tmp_path).entries("t.yaml")


def test_a_table_of_an_entry_is_read_by_column(tmp_path: Path) -> None:
    head = "entries:\n- {id: t, unit: us, source: s, value: {columns: [a, b], rows: "
    (tmp_path / "t.yaml").write_text(head + "[[1, x], [2, y]]}}\n")
    table = ReferenceDir(tmp_path).entries("t.yaml")["t"].table()
    assert [(row.integer("a"), row.text("b")) for row in table] == [(1, "x"), (2, "y")]
    (tmp_path / "t.yaml").write_text(head + "[[1]]}}\n")
    with pytest.raises(ConfigError, match=r"t.value.rows: a row of 2 values belongs here, not \[1\]"):
        ReferenceDir(tmp_path).entries("t.yaml")["t"].table()


def test_text_that_is_not_utf8_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a\n\xff\xfe\n")
    with pytest.raises(ConfigError, match="this is not UTF-8 text"):
        ReferenceDir(tmp_path).csv("t.csv")
    (tmp_path / "t.yaml").write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(ConfigError, match="this is not UTF-8 text"):
        ReferenceDir(tmp_path).yaml("t.yaml")
