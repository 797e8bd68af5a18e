"""What the benchmarks refuse, in words: a count of which none is left would end in a stack trace."""

from __future__ import annotations

import argparse
from typing import Final

MOST: Final = 1_000_000_000
"""A count beyond this is taken for a mistake."""


def at_least_one(text: str) -> int:
    """The whole number that an option names, for argparse; refused below 1 and above MOST."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= MOST:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST:,}, got {text!r}")
    return value
