"""A run that outgrows the machine ends with a message, not with a process that the system kills."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_STATM = Path("/proc/self/statm")
_GROUP = Path("/sys/fs/cgroup")


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Within it, allocating more than the memory that is free now raises MemoryError (on Linux; elsewhere nothing)."""
    free = free_bytes()
    if free is None:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = _mapped_bytes() + free
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def free_bytes() -> int | None:
    """Memory that this process may still take, by the machine and by its control group; None where that is unknown."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text(encoding="ascii").splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    try:
        allowed = int((_GROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_GROUP / "memory.current").read_text(encoding="ascii")) - _cached_bytes()
    except (OSError, ValueError):  # no control group, or no limit ("max")
        return free
    return max(0, min(free, allowed - used))


def _cached_bytes() -> int:
    """Cached files that count as used by the control group but give way to a process that needs memory."""
    lines = (_GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(" ", 1) for line in lines).get("file", "0"))


def _mapped_bytes() -> int:
    """Address space that the process has now."""
    import resource

    return int(_STATM.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
