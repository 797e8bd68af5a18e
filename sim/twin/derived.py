"""What of a chip's DRAM follows from other parameters (a stack, the temperature), for many designs as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.geometry import DERIVED
from cairn.hw_models.dram.spec import DERATED, WHOLE_BURSTS, DramSpec
from cairn.sim.mapping.different import different
from cairn.sim.twin.swept import Path

Column = npt.NDArray[Any]

CHIP: Final = "chip."
FOLLOWING: Final = tuple(dict.fromkeys((*DERIVED, *WHOLE_BURSTS, *DERATED, "t_refi")))
"""Fields of DramSpec that may follow from others."""
DECIDING: Final = (
    "dram.stack.", "dram.temperature_c", "dram.hot_derating_ns", "dram.clock_ghz", "dram.t_", "clock_ghz",
    "sram.write_bytes_per_cycle", *(f"dram.{name}" for name in (*DERIVED, *WHOLE_BURSTS)),
)  # fmt: skip
"""Beginnings of the key paths in a chip on which they depend, and of their own."""
MAY_DECIDE: Final = ("dram.stack.", "dram.temperature_c")
"""Those that make the others matter."""


def derived_columns(chip: ChipSpec, columns: Mapping[Path, Column]) -> tuple[dict[Path, Column], dict[int, str]]:
    """Columns of the fields in FOLLOWING for designs that differ from `chip` in `columns` (n,), by path in the chip;
    and the designs that cannot be, by number, with what is wrong with them.

    Nothing where every field is stated: then each column stands for itself.
    """
    names = {path: ".".join(path) for path in columns}
    deciding = [path for path, name in names.items() if name.startswith(DECIDING)]
    follows = any(name.startswith(MAY_DECIDE) for name in names.values())
    if not deciding or not (follows or chip.dram.stack is not None or chip.dram.hot):
        return {}, {}
    number, first = different(*(columns[path] for path in deciding))
    plain = chip.model_dump(by_alias=True)
    drams: list[DramSpec | None] = []
    refused: dict[int, str] = {}
    for group, row in enumerate(first.tolist()):
        try:
            drams.append(_changed(plain, {path: columns[path][row].item() for path in deciding}).dram)
        except ValueError as trouble:
            refused |= dict.fromkeys(np.flatnonzero(number == group).tolist(), str(trouble))
            drams.append(None)
    found = [dram for dram in drams if dram is not None] or [chip.dram]
    filled = [found[0] if dram is None else dram for dram in drams]
    values = {name: np.array([getattr(dram, name) for dram in filled]) for name in FOLLOWING if name != "channels"}
    return {("dram", name): column[number] for name, column in values.items()}, refused


def _changed(plain: Mapping[str, Any], values: Mapping[Path, Any]) -> ChipSpec:
    """The chip of `plain` with values at paths; ValueError when they do not fit together."""
    content = dict(plain)
    for path, value in values.items():
        inner = content
        for name in path[:-1]:
            inner[name] = dict(inner.get(name) or {})
            inner = inner[name]
        inner[path[-1]] = value
    return ChipSpec.model_validate(content)
