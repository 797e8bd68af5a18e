"""Memory of a process that makes one large plan after the other."""

from __future__ import annotations

import ctypes
from typing import Final

_MMAP_THRESHOLD: Final = -3  # names of parameters in glibc's malloc.h
_TRIM_THRESHOLD: Final = -1
_NEVER: Final = 2**31 - 1
_LARGE: Final = 1 << 25
"""The largest threshold that glibc takes: 32 MB."""


def keep_memory() -> bool:
    """Let this process keep the memory that it gives back, for its next plan; whether its C library can (glibc's can).

    Arrays of a plan have many megabytes. By default they are mapped anew each time, and the kernel clears every page
    again: a tenth of the time of a simulation. Only those of the largest plans still are: kept, they left holes that
    none of another size fills.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGE) and mallopt(_TRIM_THRESHOLD, _NEVER))
