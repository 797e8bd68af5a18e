"""Commands as a person gives them, and what they answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cairn.cli.main import main


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line that a mistake ends with; nothing else is printed."""
    capsys.readouterr()
    assert main(list(words)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("cairn: ") and err.count("\n") == 1
    return err.removeprefix("cairn: ").removesuffix("\n")
