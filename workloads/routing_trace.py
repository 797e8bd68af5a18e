"""Recorded expert loads: a CSV with columns layer, e0, e1, ... and the number of choices of each expert.

Lines that begin with # are comments.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

MAX_BYTES: Final = 16 << 20
"""assumed: 1000 layers of 2000 experts with seven digits each; a larger file is something else."""


def read_trace(path: str | Path, experts: int) -> dict[int, npt.NDArray[np.float64]]:
    """Shares of the experts of each recorded layer; ConfigError with file and line for anything wrong in the file."""
    name = str(path)
    text = _text(Path(path), name)
    lines = enumerate(text.splitlines(), start=1)
    rows = ((number, line.split(",")) for number, line in lines if line.strip() and line[0] != "#")
    expected = ["layer", *(f"e{expert}" for expert in range(experts))]
    first, head = next(rows, (1, []))
    if head != expected:
        found = f"{len(head) - 1} experts" if head[:2] == ["layer", "e0"] else f"columns {', '.join(head[:3])}, ..."
        raise ConfigError(
            f"a trace for {experts} experts has the columns layer, e0 ... e{experts - 1}; this one has {found}",
            file=name,
            line=first,
        )
    layers: dict[int, npt.NDArray[np.float64]] = {}
    for number, row in rows:
        layer, shares = _layer(row, experts, name, number)
        if layer in layers:
            raise ConfigError(f"layer {layer} stands here a second time", file=name, line=number)
        layers[layer] = shares
    if not layers:
        raise ConfigError("the trace has no layers", file=name)
    return layers


def _text(path: Path, name: str) -> str:
    try:
        if path.exists() and not path.is_file():
            raise ConfigError("is not a file; the routing trace is a CSV file", file=name)
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ConfigError(f"is larger than {MAX_BYTES >> 20} MiB, the limit for a routing trace", file=name)
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text", file=name) from None
    except (OSError, ValueError) as trouble:
        reason = trouble.strerror if isinstance(trouble, OSError) and trouble.strerror else "not a possible file name"
        raise ConfigError(f"the routing trace cannot be read: {reason}", file=name) from None


def _layer(row: list[str], experts: int, name: str, line: int) -> tuple[int, npt.NDArray[np.float64]]:
    if len(row) != experts + 1:
        raise ConfigError(f"has {len(row)} values instead of {experts + 1}", file=name, line=line)
    try:
        layer, counts = int(row[0]), [float(value) for value in row[1:]]
    except ValueError:
        raise ConfigError("has a value that is not a number", file=name, line=line) from None
    if layer < 0 or not all(math.isfinite(count) and count >= 0 for count in counts):
        raise ConfigError("layers and counts must be finite and not negative", file=name, line=line)
    total = math.fsum(counts)
    if not (0 < total < math.inf):
        raise ConfigError("the counts of a layer must have a positive sum", file=name, line=line)
    return layer, np.array(counts) / total
