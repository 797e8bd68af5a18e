"""What the documents say is there is there: the tests that guard assumptions, files, links, shipped configurations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ASSUMPTIONS = (ROOT / "docs" / "assumptions.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
ENTRY = re.compile(r"^(\d+)\. \*\*(.+?)(?=^\d+\. \*\*|^## |\Z)", re.MULTILINE | re.DOTALL)


def entries() -> dict[int, str]:
    """The numbered assumptions and their whole text."""
    return {int(number): text for number, text in ENTRY.findall(ASSUMPTIONS)}


def test_numbers_of_assumptions_are_used_once() -> None:
    numbers = [int(number) for number, _ in ENTRY.findall(ASSUMPTIONS)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("number", sorted(entries()))
def test_an_assumption_names_tests_that_exist_or_says_that_it_is_not_guarded(number: int) -> None:
    text = " ".join(entries()[number].split())
    guards = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert guards or "ot yet guarded" in text
    for file, name in guards:
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), f"{file}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_files_and_links_of_a_document_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    rooms = "base|workloads|hw_models|sim|validation|cairn|configs|tests|benchmarks|notebooks"
    named = re.findall(rf"`((?:{rooms})/[\w./-]*\w)(?:::\w+)?`", text)
    missing = [link for link in links if link and not (document.parent / link).exists()]
    assert missing + [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_lists_the_shipped_chips_and_runs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| (`.+?) \|", readme, re.MULTILINE))
    names: set[str] = set()
    for cell in listed:
        first, *variants = re.findall(r"`([\w.-]+)`", cell)
        names |= {first, *(first + variant for variant in variants)}
    assert names == {file.stem for kind in ("chips", "runs") for file in (ROOT / "configs" / kind).glob("*.yaml")}


def test_the_readme_counts_the_shipped_models() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{len(list((ROOT / 'configs' / 'models').glob('*.yaml')))} models" in readme
