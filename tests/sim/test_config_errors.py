"""Mistakes that the schemas find, told with file, line, key path, value, rule and what is allowed."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

import pytest
from pydantic import Field, model_validator

from cairn.base.errors import CairnError, ConfigError, Infeasibility, InfeasibleError
from cairn.base.spec import Spec, required, sourced
from cairn.sim.config.document import Document
from cairn.sim.config.problems import refuse_renamed, validate
from cairn.sim.config.yaml_loader import parse_yaml


class Topology(StrEnum):
    MESH = "mesh"
    TORUS = "torus"


class Noc(Spec):
    topology: Topology = sourced(Topology.MESH, "a test")
    link_bytes: int = required(gt=0, le=4096)
    share: float = sourced(0.5, "a test", ge=0, le=1)
    shape: tuple[int, int] = sourced((4, 4), "a test")
    lanes: int | float | None = sourced(None, "a test")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.shape[0] * self.shape[1] > 1024:
            raise ValueError(f"shape has {self.shape[0] * self.shape[1]} cores, 1024 are possible")
        return self


class Decode(Spec):
    phase: Literal["decode"] = required()
    batch: int = required(gt=0)


class Prefill(Spec):
    phase: Literal["prefill"] = required()
    tokens: tuple[int, ...] = required(min_length=1)


class Toy(Spec):
    name: str = required(min_length=1)
    noc: Noc = required()
    work: Annotated[Decode | Prefill, Field(discriminator="phase")] = required()
    exact: bool = sourced(False, "a test")
    widths: dict[str, int] = sourced({}, "a test")


GOOD = """\
name: x
noc:
  link_bytes: 16
work:
  phase: decode
  batch: 2
"""


def checked(text: str) -> Toy:
    data, places = parse_yaml(text, "t.yaml")
    return validate(Document("t.yaml", data, places), Toy, ("noc",))


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        checked(text)
    return str(caught.value)


def test_a_good_document_becomes_a_frozen_spec() -> None:
    toy = checked(GOOD + "exact: true\nwidths: {a: 1}\n")
    assert toy.noc.link_bytes == 16 and toy.exact and toy.noc.shape == (4, 4)
    with pytest.raises(ValueError, match="frozen"):
        toy.name = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("link_bytes: 16", "link_bytes: -3", "t.yaml:3: noc.link_bytes: must be > 0, got -3"),
        ("link_bytes: 16", "link_bytes: 5000", "t.yaml:3: noc.link_bytes: must be <= 4096, got 5000"),
        ("link_bytes: 16", "link_bytes: wide", "t.yaml:3: noc.link_bytes: must be an integer, got 'wide'"),
        ("link_bytes: 16", "link_bytes: '16'", "t.yaml:3: noc.link_bytes: must be an integer, got '16'"),
        ("link_bytes: 16", "link_bytes: 16.5", "t.yaml:3: noc.link_bytes: must be an integer, got 16.5"),
        ("link_bytes: 16", "link_bytes: true", "t.yaml:3: noc.link_bytes: must be an integer, got true"),
        ("link_bytes: 16", "link_bytes:", "t.yaml:3: noc.link_bytes: must be an integer, got null"),
        ("link_bytes: 16", "link_bytes: {a: 1}", "t.yaml:3: noc.link_bytes: must be an integer, got a map"),
        (
            "link_bytes: 16",
            "link_byte: 16\n  link_bytes: 16",
            "t.yaml:3: noc.link_byte: is not a known key; did you mean 'link_bytes'? "
            "(allowed: lanes, link_bytes, shape, share, topology)",
        ),
        (
            "link_bytes: 16",
            "link_bytes: 16\n  topology: meshh",
            "t.yaml:4: noc.topology: is 'meshh'; did you mean 'mesh'? (allowed: mesh, torus)",
        ),
        (
            "link_bytes: 16",
            "link_bytes: 16\n  topology: [mesh]",
            "t.yaml:4: noc.topology: is ['mesh'] (allowed: mesh, torus)",
        ),
        ("link_bytes: 16", "link_bytes: 16\n  share: big", "t.yaml:4: noc.share: must be a number, got 'big'"),
        ("link_bytes: 16", "link_bytes: 16\n  shape: [1, x]", "t.yaml:4: noc.shape[1]: must be an integer, got 'x'"),
        ("link_bytes: 16", "link_bytes: 16\n  shape: [1]", "t.yaml:4: noc.shape[1]: is missing"),
        ("link_bytes: 16", "link_bytes: 16\n  shape: 3", "t.yaml:4: noc.shape: must be a list, got 3"),
        (
            "link_bytes: 16",
            "link_bytes: 16\n  lanes: x",
            "t.yaml:4: noc.lanes: must be an integer or a number, got 'x'",
        ),
        (
            "link_bytes: 16",
            "link_bytes: 16\n  shape: [64, 64]",
            "t.yaml:2: noc: shape has 4096 cores, 1024 are possible",
        ),
        ("  link_bytes: 16\n", "  share: 0.25\n", "t.yaml:2: noc.link_bytes: is missing"),
        ("noc:\n  link_bytes: 16", "noc: 3", "t.yaml:2: noc: must be a shipped name, a path or a map, got 3"),
        ("name: x", "name: ''", "t.yaml:1: name: must have at least 1 character, got ''"),
        ("name: x", "name: [x]", "t.yaml:1: name: must be a string, got ['x']"),
        ("name: x", "name: x\nexact: 1", "t.yaml:2: exact: must be true or false, got 1"),
        ("name: x", "name: x\nwidths: {a: b}", "t.yaml:2: widths.a: must be an integer, got 'b'"),
        ("name: x", "name: x\nwidths: []", "t.yaml:2: widths: must be a map, got []"),
        ("batch: 2", "batch: 0", "t.yaml:6: work.batch: must be > 0, got 0"),
        (
            "batch: 2",
            "batsh: 2",
            "t.yaml: 2 mistakes\n  t.yaml:4: work.batch: is missing\n"
            "  t.yaml:6: work.batsh: is not a known key; did you mean 'batch'? (allowed: batch, phase)",
        ),
        (
            "phase: decode",
            "phase: decod",
            "t.yaml:5: work.phase: is 'decod'; did you mean 'decode'? (allowed: decode, prefill)",
        ),
        ("  phase: decode\n", "", "t.yaml:4: work.phase: is missing"),
        ("work:\n  phase: decode\n  batch: 2\n", "", "t.yaml:1: work: is missing"),
    ],
)  # fmt: skip
def test_one_mistake_gives_one_whole_message(old: str, new: str, message: str) -> None:
    assert old in GOOD
    assert refused(GOOD.replace(old, new)) == message


def test_several_mistakes_are_told_at_once_and_at_most_ten() -> None:
    text = GOOD + "".join(f"extra{index}: 1\n" for index in range(15))
    lines = refused(text).splitlines()
    assert lines[0] == "t.yaml: 15 mistakes"
    assert lines[1].startswith("  t.yaml:7: extra0: is not a known key")
    assert lines[-1] == "  ... and 5 more" and len(lines) == 12


def test_a_long_value_is_cut() -> None:
    message = refused(GOOD.replace("link_bytes: 16", f"link_bytes: {'w' * 5000}"))
    assert len(message) < 150 and message.endswith("...")


def test_a_renamed_key_is_refused_with_its_new_name() -> None:
    data, places = parse_yaml(GOOD.replace("link_bytes", "width"), "t.yaml")
    document = Document("t.yaml", data, places)
    with pytest.raises(ConfigError) as caught:
        refuse_renamed(document, {"noc.lanes.old": "noc.lanes", "noc.width": "noc.link_bytes"})
    assert str(caught.value) == "t.yaml:3: noc.width: is called 'noc.link_bytes' now"
    refuse_renamed(document, {"noc.width.deeper": "x", "elsewhere": "y"})


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (CairnError("that is too much"), "t.yaml: that is too much"),
        (ConfigError("that is too much", file="other.yaml", line=3), "other.yaml:3: that is too much"),
        (InfeasibleError([Infeasibility("SRAM", 2, 1, "KiB", "buy more")]), None),
    ],
)
def test_trouble_raised_inside_a_schema_keeps_its_place(raised: CairnError, message: str | None) -> None:
    class Raising(Spec):
        name: str = required()

        @model_validator(mode="after")
        def _check(self) -> Self:
            raise raised

    with pytest.raises(CairnError) as caught:
        validate(Document("t.yaml", {"name": "x"}), Raising)
    assert str(caught.value) == (message or str(raised))
    assert type(caught.value) is (InfeasibleError if message is None else ConfigError)
