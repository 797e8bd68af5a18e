"""Names, paths, `base:`, chips and models by reference or inline, and overrides: one complete document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cairn.base.errors import ConfigError
from cairn.sim.config.document import Document, Place, merge
from cairn.sim.config.resolve import CHIP, KINDS, MODEL, RUN, Kind, load_document, override, shipped


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the test, with a small run, chip and model in it."""
    monkeypatch.chdir(tmp_path)
    write("chips/c.yaml", "schema: cairn.chip/1\nname: c\nnoc:\n  links: 4\n  hops: [1, 2]\n")
    write("m.yaml", "schema: cairn.model/1\nname: m\nlayers: 2\n")
    write("run.yaml", "schema: cairn.run/1\nname: r\nchip: chips/c.yaml\nmodel: m.yaml\nwork: {batch: 1, new: 3}\n")
    return tmp_path


def write(name: str, text: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def data(name: str, *settings: str, kind: Kind = RUN) -> dict[str, Any]:
    document = load_document(name, kind)
    for setting in settings:
        document = override(document, setting, kind)
    return document.data


def refused(name: str, *settings: str, kind: Kind = RUN) -> str:
    with pytest.raises(ConfigError) as caught:
        data(name, *settings, kind=kind)
    return str(caught.value)


CHIP_DATA = {"name": "c", "noc": {"links": 4, "hops": [1, 2]}}


def test_a_chip_and_a_model_are_read_from_paths_beside_the_file_that_names_them(folder: Path) -> None:
    expected = {"name": "r", "chip": CHIP_DATA, "model": {"name": "m", "layers": 2}, "work": {"batch": 1, "new": 3}}
    assert data("run.yaml") == expected
    write("deep/run.yaml", "schema: cairn.run/1\nbase: ../run.yaml\n")
    assert data("deep/run.yaml") == expected


def test_every_key_keeps_the_place_it_was_written_at(folder: Path) -> None:
    write("child.yaml", "schema: cairn.run/1\nbase: run.yaml\nchip:\n  noc:\n    links: 8\nname: child\n")
    document = load_document("child.yaml", RUN)
    assert document.place(("chip", "noc", "links")) == Place("child.yaml", 5)
    assert document.place(("chip", "noc", "hops", 1)) == Place("chips/c.yaml", 5)
    assert document.place(("name",)) == Place("child.yaml", 6)
    assert document.place(("work", "batch")) == Place("run.yaml", 5)
    assert document.place(("model", "nothing")) == Place("m.yaml", 1)


def test_maps_merge_and_lists_replace(folder: Path) -> None:
    write("child.yaml", "schema: cairn.run/1\nbase: run.yaml\nwork: {new: 5}\nchip: {noc: {hops: [7]}}\n")
    assert data("child.yaml")["work"] == {"batch": 1, "new": 5}
    assert data("child.yaml")["chip"] == {"name": "c", "noc": {"links": 4, "hops": [7]}}


def test_a_map_replaces_a_value_and_a_value_a_map(folder: Path) -> None:
    write("child.yaml", "schema: cairn.run/1\nbase: run.yaml\nwork: 3\nname: {a: 1}\n")
    assert data("child.yaml")["work"] == 3 and data("child.yaml")["name"] == {"a": 1}


def test_another_chip_replaces_the_inherited_one_whole(folder: Path) -> None:
    write("chips/d.yaml", "schema: cairn.chip/1\nbase: c.yaml\nname: d\nnoc: {links: 9}\n")
    d = {"name": "d", "noc": {"links": 9, "hops": [1, 2]}}
    write("named.yaml", "schema: cairn.run/1\nbase: run.yaml\nchip: chips/d.yaml\n")
    assert data("named.yaml")["chip"] == d
    write("inline.yaml", "schema: cairn.run/1\nbase: run.yaml\nchip: {base: chips/d.yaml, noc: {links: 10}}\n")
    assert data("inline.yaml")["chip"] == d | {"noc": {"links": 10, "hops": [1, 2]}}
    write("whole.yaml", "schema: cairn.run/1\nname: r\nchip: {schema: cairn.chip/1, name: e}\n")
    assert data("whole.yaml") == {"name": "r", "chip": {"name": "e"}}


def test_overrides_are_laid_over_in_order(folder: Path) -> None:
    settings = ("chip.noc.links=8", "chip.noc.hops=[5]", "work.batch=2", "work.batch=3", "new.key=a: b", "seed=")
    found = data("run.yaml", *settings)
    assert found["chip"] == {"name": "c", "noc": {"links": 8, "hops": [5]}}
    assert found["work"]["batch"] == 3 and found["new"] == {"key": {"a": "b"}} and found["seed"] is None


def test_an_override_may_name_another_chip_or_start_from_one(folder: Path) -> None:
    write("chips/d.yaml", "schema: cairn.chip/1\nname: d\nnoc: {links: 9}\n")
    assert data("run.yaml", "chip=chips/d.yaml")["chip"] == {"name": "d", "noc": {"links": 9}}
    assert data("run.yaml", "chip.noc.links=5", "chip.base=chips/d.yaml")["chip"] == {"name": "d", "noc": {"links": 9}}
    assert data("run.yaml", "chip=chips/d.yaml", "chip.noc.links=5")["chip"] == {"name": "d", "noc": {"links": 5}}


def test_an_override_is_named_as_the_place_of_what_it_sets(folder: Path) -> None:
    document = load_document("run.yaml", RUN)
    whole = override(document, "work={new: 4, old: 5}", RUN)
    assert {key: whole.place(("work", key)).file for key in ("batch", "new", "old")} == {
        "batch": "run.yaml",
        "new": "--set work={new: 4, old: 5}",
        "old": "--set work={new: 4, old: 5}",
    }
    changed = override(document, "chip.noc.links=-1", RUN)
    assert str(changed.error(("chip", "noc", "links"), "no")) == "--set chip.noc.links=-1: chip.noc.links: no"
    assert document.data["chip"] == CHIP_DATA


def test_a_routing_trace_is_relative_to_the_file_that_names_it(folder: Path) -> None:
    write("deep/run.yaml", "schema: cairn.run/1\nbase: ../run.yaml\nrouting: {law: trace, trace: loads.csv}\n")
    assert data("deep/run.yaml")["routing"]["trace"] == str(folder / "deep" / "loads.csv")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["chip.noc.links"], "--set chip.noc.links: must read key.path=value, such as workload.batch=8"),
        (["=3"], "--set =3: must read key.path=value, such as workload.batch=8"),
        (["a..b=3"], "--set a..b=3: must read key.path=value, such as workload.batch=8"),
        (["base=x"], "--set base=x: base: cannot be set here; start from the other file instead"),
        (["name.x=3"], "--set name.x=3: name: is a string; set it as a whole"),
        (["chip.noc.hops.0=3"], "--set chip.noc.hops.0=3: chip.noc.hops: is a list; set it as a whole"),
        (["x=!!a 3"], "--set x=!!a 3: x: has the YAML tag 'tag:yaml.org,2002:a'; tags are not allowed"),
        (["x=a: b: c"], "--set x=a: b: c: x: is not valid YAML: mapping values are not allowed in this context"),
        (["chip=none.yaml"], "--set chip=none.yaml: chip: no such file: 'none.yaml'"),
        ([".".join("a" * 60) + "=1"], f"--set {'.'.join('a' * 60)[:80]}: names a key more than 50 levels deep"),
    ],
)  # fmt: skip
def test_a_wrong_override_is_refused(folder: Path, settings: list[str], message: str) -> None:
    assert refused("run.yaml", *settings) == message


def test_a_file_needs_the_schema_id_of_its_kind(folder: Path) -> None:
    write("a.yaml", "name: x\n")
    assert refused("a.yaml") == "a.yaml:1: has no schema id; a run file begins with 'schema: cairn.run/1'"
    write("a.yaml", "name: x\nschema: cairn.run/2\n")
    assert refused("a.yaml") == (
        "a.yaml:2: schema: is cairn.run/2, written for a newer Cairn; this version reads cairn.run/1"
    )
    for given, shown in (
        ("cairn.chip/1", "'cairn.chip/1'"), ("cairn.run/0", "'cairn.run/0'"), ("3", "3"), ("[]", "[]"),
        (f"cairn.run/{'9' * 40}", f"'cairn.run/{'9' * 40}'"),
    ):  # fmt: skip
        write("a.yaml", f"schema: {given}\n")
        assert refused("a.yaml") == f"a.yaml:1: schema: is {shown}; a run file has cairn.run/1"
    write("a.yaml", "schema: cairn.run/1\nchip:\n  schema: cairn.chip/7\n")
    assert refused("a.yaml") == (
        "a.yaml:3: chip.schema: is cairn.chip/7, written for a newer Cairn; this version reads cairn.chip/1"
    )


def test_a_circle_of_bases_is_named(folder: Path) -> None:
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        write(f"{name}.yaml", f"schema: cairn.run/1\nbase: {name and base}.yaml\n")
    assert refused("a.yaml") == "c.yaml:2: base: goes round in a circle: a.yaml -> b.yaml -> c.yaml -> a.yaml"
    write("self.yaml", "schema: cairn.run/1\nbase: self.yaml\n")
    assert refused("self.yaml") == "self.yaml:2: base: goes round in a circle: self.yaml -> self.yaml"


def test_a_long_chain_of_bases_is_refused(folder: Path) -> None:
    for index in range(40):
        write(f"c{index}.yaml", f"schema: cairn.run/1\nbase: c{index + 1}.yaml\n")
    assert refused("c0.yaml") == "c19.yaml:2: base: starts from more than 20 files, one after the other"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: 3", "a.yaml:2: base: must be a shipped run or a path, not an integer"),
        ("base: none.yaml", "a.yaml:2: base: no such file: 'none.yaml'"),
        ("base: ./m.yaml", "m.yaml:1: schema: is 'cairn.model/1'; a run file has cairn.run/1"),
        ("chip: {base: [1]}", "a.yaml:2: chip.base: must be a shipped chip or a path, not a list"),
        ("chip: {base: x.yaml}", "a.yaml:2: chip.base: no such file: 'x.yaml'"),
        ("chip: chips/", "a.yaml:2: chip: 'chips' is a folder; a file is needed"),
        ("model: m.yaml/x", "a.yaml:2: model: no such file: 'm.yaml/x'"),
        ('chip: "a\\0b.yaml"', "a.yaml:2: chip: no such file: 'a\\x00b.yaml'"),
        ("chip: ~nobody_here/x.yaml", "a.yaml:2: chip: cannot read '~nobody_here/x.yaml': not a possible file name"),
        (f"chip: {'x' * 300}.yaml", f"a.yaml:2: chip: cannot read '{'x' * 56}...: File name too long"),
    ],
)  # fmt: skip
def test_a_wrong_reference_is_refused_where_it_is_written(folder: Path, text: str, message: str) -> None:
    write("a.yaml", f"schema: cairn.run/1\n{text}\n")
    assert refused("a.yaml") == message


def test_an_unknown_name_is_refused_with_the_nearest_shipped_one(folder: Path) -> None:
    name = next(iter(shipped(CHIP)))
    write("a.yaml", f"schema: cairn.run/1\nchip: {name}x\n")
    assert refused("a.yaml").startswith(
        f"a.yaml:2: chip: no shipped chip is called '{name}x'; did you mean '{name}'? (allowed: "
    )
    assert refused("a.yaml").endswith("; a path ends in .yaml")
    assert refused(f"{name}x.yaml", kind=CHIP) == f"no such file: '{name}x.yaml'; a shipped chip is called '{name}'"


def test_a_file_without_an_ending_is_found_when_no_shipped_one_has_its_name(folder: Path) -> None:
    write("mine", "schema: cairn.chip/1\nname: x\n")
    assert data("mine", kind=CHIP) == {"name": "x"}


def test_everything_shipped_is_read_by_its_name(folder: Path) -> None:
    for kind in KINDS:
        assert shipped(kind)
        for name in shipped(kind):
            assert load_document(name, kind).data
    assert {"voxel-code", "voxel-paper"} <= set(shipped(CHIP)) and "llama-2-13b" in shipped(MODEL)


def test_laying_over_edits_neither_document() -> None:
    below = Document("b", {"a": {"x": 1}}, {("a",): Place("b", 1), ("a", "x"): Place("b", 2)})
    above = Document("c", {"a": {"y": [1]}}, {("a",): Place("c", 1), ("a", "y"): Place("c", 1)})
    both = merge(below, above)
    assert both.data == {"a": {"x": 1, "y": [1]}}
    assert below.data == {"a": {"x": 1}} and above.data == {"a": {"y": [1]}}
    assert both.place(("a", "x")) == Place("b", 2) and both.place(("a", "y")) == Place("c", 1)
