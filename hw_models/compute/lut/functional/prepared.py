"""Tables formed once from activations, for all products that read them: Q, K and V, or gate and up (LTC, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.functional.counts import MAX_GROUP
from cairn.hw_models.compute.lut.functional.formats import Activations
from cairn.hw_models.compute.lut.functional.tables import in_half, precompute, quantise

TableKind = Literal["exact", "int8", "float16"]
Accumulator = Literal["float32", "float64"]


@dataclass(frozen=True)
class PreparedTables:
    """The tables of M x K activations, ready for look-up.

    entries     M x tables x 2^(group-1), in the accumulator's type; integers with exact tables in int32
    steps       M x tables with INT8 tables, whose entries are then whole numbers (L7); None otherwise
    additions   that forming them took (L4)
    """

    activations: Activations
    group: int
    table: TableKind
    accumulator: Accumulator
    entries: npt.NDArray[Any]
    steps: npt.NDArray[Any] | None
    additions: int

    @property
    def table_bits(self) -> int:
        """Bits of all tables: 8 an entry with INT8, 16 with FP16 tables, else those of a sum or the accumulator's."""
        fmt = self.activations.format
        exact = fmt.bits + (self.group - 1).bit_length() if fmt.is_integer else 8 * self.entries.itemsize
        return int(self.entries.size) * {"int8": 8, "float16": 16, "exact": exact}[self.table]


def prepare(
    activations: Activations | npt.NDArray[Any],
    group: int = 4,
    *,
    table: TableKind = "exact",
    accumulator: Accumulator = "float32",
) -> PreparedTables:
    """Form the tables of M x K activations for groups of 1 to 8 (L3, L4, L7).

    ConfigError for groups and options that are not there, FP16 tables of integers or of sums beyond FP16.
    """
    given = activations if isinstance(activations, Activations) else Activations.of(activations)
    if not isinstance(group, int | np.integer) or not 1 <= group <= MAX_GROUP:
        raise ConfigError(f"tables of {group} activations are not supported (allowed: 1 to {MAX_GROUP})", key="group")
    if table not in ("exact", "int8", "float16"):
        raise ConfigError(f"no table is called {table!r} (allowed: exact, int8, float16)", key="table")
    if table == "float16" and given.format.is_integer:
        raise ConfigError(f"{given.format} activations have no float16 tables (allowed: exact, int8)", key="table")
    if accumulator not in ("float32", "float64"):
        raise ConfigError(f"no accumulator is called {accumulator!r} (allowed: float32, float64)", key="accumulator")
    held = given.values if given.format.is_integer else given.values.astype(accumulator)
    tables = precompute(held, group)
    entries, steps = tables.entries, None
    if table == "int8":
        whole, steps = quantise(entries, accumulator)
        entries = whole.astype(accumulator)
    elif table == "float16":
        entries = in_half(entries)
    return PreparedTables(given, group, table, accumulator, entries, steps, tables.additions)


def group_sums(activations: Activations, firsts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """M x scale groups: the sum A of the activations of each group (L8), whose first ones are given, in float64."""
    return np.add.reduceat(activations.values.astype(np.float64), firsts, axis=1)
