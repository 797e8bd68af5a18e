"""The shipped analysis examples run from top to bottom, and find what their text says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.py"))


def test_there_is_an_example() -> None:
    assert [file.name for file in NOTEBOOKS] == ["read_a_result.py"]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_an_example_runs_and_its_sweep_shows_what_it_says(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = runpy.run_path(str(file))
    assert "attention" in capsys.readouterr().out
    sweep = names["sweep"]
    gain = sweep["latency_ms"].shift() / sweep["latency_ms"]
    assert (gain.dropna() > 1).all() and gain.dropna().is_monotonic_decreasing
    assert (sweep["efficiency"] <= 1).all() and sweep["efficiency"].is_monotonic_decreasing
    assert names["usage"]["dram"].between(0, 1).all()
    assert len(names["tasks"]) == len(names["result"].tasks)
