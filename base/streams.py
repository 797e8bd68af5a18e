"""Named random streams: what a stream is used for names it, and its numbers are the same on every NumPy."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """The generator of `purpose` under `seed` (for example `stream(7, "routing", layer)`).

    Purposes do not influence each other: adding one leaves the numbers of all others as they were. The
    bit generator (PCG64) is fixed by NumPy's compatibility policy; draw with `random` and `integers` only,
    whose streams that policy covers in practice, and derive other distributions from them.
    """
    text = "\x1f".join([str(seed), *map(str, purpose)])
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.PCG64(key))
