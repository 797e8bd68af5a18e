"""The YAML reader: plain data with the line of every key, and one clear error for everything else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.sim.config.yaml_loader import MAX_BYTES, parse_yaml, read_yaml
from cairn.sim.config.yaml_writer import write_yaml


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "f.yaml")
    return str(caught.value)


def test_every_key_knows_its_file_and_line() -> None:
    data, places = parse_yaml("a:\n  b: 1\n  c:\n  - x\n  - y: 2\n", "f.yaml")
    assert data == {"a": {"b": 1, "c": ["x", {"y": 2}]}}
    lines = {path: place.line for path, place in places.items()}
    assert lines == {(): 1, ("a",): 1, ("a", "b"): 2, ("a", "c"): 3, ("a", "c", 0): 4, ("a", "c", 1): 5} | {
        ("a", "c", 1, "y"): 5
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E6", 1e6),
        (".5", 0.5),
        ("-2.", -2.0),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 17),
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("'5'", "5"),
        ("True", True),
        ("~", None),
        ("", None),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    data, _ = parse_yaml(f"a: {text}", "f.yaml")
    assert data["a"] == value and type(data["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3: a: is written twice (first on line 1)"),
        ("a: {b: 1,\n b: 2}", "f.yaml:2: a.b: is written twice (first on line 1)"),
        (
            "a: !!python/object/apply:os.system [ls]",
            "f.yaml:1: a: has the YAML tag 'tag:yaml.org,2002:python/object/apply:os.system'; tags are not allowed",
        ),
        ("a: !!str 5", "f.yaml:1: a: has the YAML tag 'tag:yaml.org,2002:str'; tags are not allowed"),
        ("a: ! 5", "f.yaml:1: a: has the YAML tag '!'; tags are not allowed"),
        ("!!str a: 5", "f.yaml:1: has a key with the YAML tag 'tag:yaml.org,2002:str'; tags are not allowed"),
        ("a:\n  5: x", "f.yaml:2: a: has an integer, 5, as a key; keys are strings"),
        ("true: x", "f.yaml:1: has a boolean, true, as a key; keys are strings"),
        ("? [1, 2]\n: x", "f.yaml:1: has a list or a map as a key; keys are strings"),
        ("a: &x 1\n*x : 2", "f.yaml:2: has an alias as a key; keys are strings"),
        ("a: .nan", "f.yaml:1: a: is .nan; numbers must be finite"),
        ("a: [1, -.inf]", "f.yaml:1: a[1]: is -.inf; numbers must be finite"),
        ("a: 1e999", "f.yaml:1: a: is 1e999, too large for a number"),
        (
            "a: 9223372036854775808",
            "f.yaml:1: a: is 9223372036854775808, beyond the largest integer, 9223372036854775807",
        ),
        ("a: 1\n---\nb: 2", "f.yaml:2: holds several documents ('---'); one is allowed"),
        ("a: &x [1, *x]", "f.yaml:1: a[1]: holds itself through the anchor 'x'"),
        ("a: *x", "f.yaml:1: a: refers to the anchor 'x', which is not defined above"),
        ("<<: {a: 1}", "f.yaml:1: uses the merge key '<<', which is not supported; use 'base:'"),
        ("[" * 900_000, "f.yaml:1: [0][0][0]: is nested more than 50 levels deep"),
        ("a: b: c", "f.yaml:1: is not valid YAML: mapping values are not allowed in this context"),
    ],
)
def test_what_is_no_plain_data_is_refused_with_its_place(text: str, message: str) -> None:
    assert refused(text) == message


def test_control_characters_and_half_surrogates_are_refused() -> None:
    assert "is not valid YAML" in refused("a: \x00")
    assert refused('a: "\\ud800"').startswith("f.yaml:1: ")


def test_aliases_are_copied_and_counted_as_often_as_used() -> None:
    data, _ = parse_yaml("a: &x {b: [1]}\nc: *x\n", "f.yaml")
    assert data["c"] == data["a"] and data["c"] is not data["a"] and data["c"]["b"] is not data["a"]["b"]
    laughs = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
    )
    assert "holds more than 100000 values (aliases counted as often as used)" in refused(laughs)


def test_nesting_through_aliases_is_bounded_too() -> None:
    chain = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [[[[*a{i - 1}]]]]\n" for i in range(1, 400))
    assert "is nested more than 50 levels deep" in refused(chain)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; a map of keys is needed"),
        (b"# nothing\n", "is empty; a map of keys is needed"),
        (b"- 1\n", ":1: must be a map of keys, not a list"),
        (b"\n\nfive\n", ":3: must be a map of keys, not a string"),
        (b"a: 1\nb: \xff\xfe\n", ":2: is not UTF-8 text (byte 8)"),
    ],
)
def test_a_file_that_is_not_a_map_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_yaml(file)
    separator = "" if message.startswith(":") else ": "
    assert str(caught.value) == f"{file}{separator}{message}"


def test_a_byte_order_mark_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(tmp_path / "f.yaml").data == {"a": 1}


def test_a_missing_file_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    for file, message in (
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "is a folder; a YAML file is needed"),
        (Path(os.devnull), "is not a regular file"),
        (tmp_path / "a\0b", "cannot be read: not a possible file name"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
    ):
        with pytest.raises(ConfigError) as caught:
            read_yaml(file)
        assert str(caught.value) == f"{file}: {message}"


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as out:
        out.truncate(100_000_000)
    taken = []
    opened = Path.open

    class Counting:
        def __init__(self, inner):  # type: ignore[no-untyped-def]
            self.inner = inner

        def __enter__(self):  # type: ignore[no-untyped-def]
            return self

        def __exit__(self, *_):  # type: ignore[no-untyped-def]
            self.inner.close()

        def read(self, size: int) -> bytes:
            taken.append(size)
            return self.inner.read(size)

    monkeypatch.setattr(Path, "open", lambda self, mode: Counting(opened(self, mode)))
    with pytest.raises(ConfigError, match="is larger than 1024 KiB, the limit for a configuration"):
        read_yaml(file)
    assert sum(taken) == MAX_BYTES + 1


SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12) | st.sampled_from(
    ["1e-3", "0o17", "no", "12:30", "1_000", "~", "", "<<x", "0x1F", "a: b", "- a", "&a", "!t", "a\nb", "2026-01-01"]
)
KEYS = st.text("abcdefgh_-.019é ", min_size=1, max_size=8)
DATA = st.recursive(
    SCALARS | TEXT, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@settings(max_examples=200, deadline=None)
@given(DATA)
def test_what_is_written_is_read_back(data: object) -> None:
    assert parse_yaml(write_yaml({"a": data}), "f.yaml")[0] == {"a": data}


@settings(max_examples=200, deadline=None)
@given(st.text("ab:-[]{}&*!|>'\"#%@,? \n\t.019~", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_yaml(text, "f.yaml")
    except ConfigError as trouble:
        assert str(trouble).startswith("f.yaml")
