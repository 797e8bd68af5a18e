"""Memory that a process keeps for its next plan."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

PAGES: Final = """
import resource, sys
import numpy as np
from cairn.base.memory import keep_memory
if sys.argv[1] == "keep" and not keep_memory():
    sys.exit(3)
some = [np.ones(3 << 20) for _ in range(8)]
del some
begin = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    some = [np.ones(3 << 20) for _ in range(8)]
    del some
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begin)
"""


def faults(how: str) -> int:
    """Page faults of making eight arrays of 24 MiB ten times."""
    done = subprocess.run([sys.executable, "-c", PAGES, how], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("this C library cannot be told to keep memory")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_memory_that_is_given_back_is_not_mapped_anew() -> None:
    given_back = faults("give back")
    if given_back < 100:
        pytest.skip("this system keeps memory, or has pages of gigabytes")
    assert faults("keep") < given_back / 10
