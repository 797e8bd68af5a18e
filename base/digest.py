"""Which code computed something: a digest over the sources that a result depends on."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

ROOMS: Final = ("base", "hw_models", "workloads", "sim")
"""Rooms whose code decides the result of a run."""


@lru_cache(maxsize=1)
def code_digest() -> str:
    """16 hexadecimal digits over every Python file of ROOMS: equal digests and equal run hashes mean equal results."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parent.parent
    for room in ROOMS:
        for file in sorted((package / room).rglob("*.py")):
            digest.update(file.relative_to(package).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
