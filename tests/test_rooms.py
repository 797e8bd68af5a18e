"""Imports run only downwards through the rooms, and always under the name `cairn.<room>`."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT: dict[str, frozenset[str]] = {
    "base": frozenset(),
    "workloads": frozenset({"base"}),
    "hw_models": frozenset({"base"}),
    "sim": frozenset({"base", "workloads", "hw_models"}),
    "validation": frozenset({"base", "workloads", "hw_models", "sim"}),
    "dse": frozenset({"base", "workloads", "hw_models", "sim", "validation"}),
}
"""What stands below each room; the front door (`cairn` itself) may import every room and no room imports it."""
ROOMS = frozenset(MAY_IMPORT)


def modules(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*.py") if "__pycache__" not in file.parts)


def imported(text: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import; `from a.b import c` gives a.b.c, for c may be a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "")
            separator = "" if name.endswith(".") else "."
            yield from ((node.lineno, f"{name}{separator}{alias.name}") for alias in node.names)


def complaints(room: str, text: str) -> list[str]:
    """What is wrong with the imports of a module of `room`."""
    found = []
    for line, name in imported(text):
        head, _, rest = name.partition(".")
        if name.startswith("."):
            found.append(f"line {line}: relative import {name}")
        elif head in ROOMS:
            found.append(f"line {line}: bare import {name}")
        elif head == "cairn":
            target = rest.partition(".")[0]
            if target not in ROOMS:
                found.append(f"line {line}: {name} is the front door")
            elif target != room and target not in MAY_IMPORT[room]:
                found.append(f"line {line}: {room} imports {name}, which is not below it")
    return found


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    files = modules(ROOT / room)
    assert files, f"{room} holds no modules"
    found = {file.relative_to(ROOT).as_posix(): complaints(room, file.read_text(encoding="utf-8")) for file in files}
    assert {file: wrong for file, wrong in found.items() if wrong} == {}


def test_nothing_outside_the_rooms_imports_a_room_by_its_bare_name() -> None:
    folders = [ROOT / "cairn" / "cli", ROOT / "benchmarks", ROOT / "tests"]
    files = [*(ROOT / "cairn").glob("*.py"), *(file for folder in folders for file in modules(folder))]
    bare = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file in files
        for line, name in imported(file.read_text(encoding="utf-8"))
        if name.partition(".")[0] in ROOMS
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import cairn.dse", "line 1: sim imports cairn.dse, which is not below it"),
        ("from cairn import validation", "line 1: sim imports cairn.validation, which is not below it"),
        ("from cairn.cli.main import main", "line 1: cairn.cli.main.main is the front door"),
        ("from cairn import simulate", "line 1: cairn.simulate is the front door"),
        ("import base.ticks", "line 1: bare import base.ticks"),
        ("def f():\n    from workloads import graph", "line 2: bare import workloads.graph"),
        ("from . import plan", "line 1: relative import .plan"),
    ],
)
def test_the_check_itself_finds_each_kind_of_wrong_import(text: str, complaint: str) -> None:
    assert complaints("sim", text) == [complaint]


def test_the_check_itself_allows_what_stands_below() -> None:
    text = "import numpy\nfrom cairn.base import ticks\nfrom cairn.workloads.graph import Block\nimport cairn.sim.plan"
    assert complaints("sim", text) == []


def test_the_linter_refuses_a_bare_room_import(tmp_path: Path) -> None:
    file = tmp_path / "notebook.py"
    file.write_text("".join(f"import {room}\n" for room in sorted(ROOMS)))
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", "--output-format", "concise"]
    run = subprocess.run(
        [*command, "--config", str(ROOT / "pyproject.toml"), str(file)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert sum("TID251" in line for line in run.stdout.splitlines()) == len(ROOMS)


def test_every_room_is_reached_through_the_package_and_is_the_top_level_folder() -> None:
    for room in [*sorted(ROOMS), "configs"]:
        link = ROOT / "cairn" / room
        assert link.is_symlink()
        assert link.resolve() == (ROOT / room).resolve()
