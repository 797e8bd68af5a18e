"""What every kind of matrix unit answers; kinds are told apart by `kind` in a chip's `matrix_unit`."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

IntArray = npt.NDArray[np.int64]


class TileTraffic(NamedTuple):
    """Elements that a matrix unit moves between itself and its core's SRAM for a tile; arrays shaped like m, n, k."""

    inputs: IntArray
    weights: IntArray
    outputs_written: IntArray
    outputs_read: IntArray


class MatrixUnit(Protocol):
    """A unit that multiplies an m x k by a k x n matrix. Sizes are broadcast integer arrays, 0 for no work."""

    @property
    def peak_macs_per_cycle(self) -> int:
        """Multiply-accumulates that the unit can complete in one cycle, never exceeded by `tile_cycles`."""

    @property
    def operands_per_cycle(self) -> int:
        """Operands (inputs and weights together) that the unit takes from SRAM in a cycle at full speed."""

    def tile_cycles(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> IntArray:
        """Cycles from the first operand entering the idle unit until the last result has left it."""

    def tile_traffic(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> TileTraffic:
        """Elements read from and written to SRAM by the tile."""


def tile_sizes(m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> tuple[IntArray, IntArray, IntArray]:
    """m, n and k as int64 arrays of one shape; ValueError for a size below zero or not a whole number."""
    sizes = np.broadcast_arrays(np.asarray(m), np.asarray(n), np.asarray(k))
    for name, size in zip("mnk", sizes, strict=True):
        if size.dtype.kind not in "iu":
            raise ValueError(f"tile size {name} must be whole numbers, got {size.dtype}")
        if size.size and size.min() < 0:
            raise ValueError(f"tile size {name} must not be negative, got {size.min()}")
    rows, columns, depth = (size.astype(np.int64) for size in sizes)
    return rows, columns, depth


def check_sizes(m: int, n: int, k: int) -> None:
    """ConfigError for a product without a row, a column or an element, and for sizes that are not whole."""
    for name, size in (("m", m), ("n", n), ("k", k)):
        if not isinstance(size, int | np.integer):
            raise ConfigError(f"a product has whole rows, columns and elements; got {size!r}", key=name)
        if size < 1:
            raise ConfigError(f"a product has at least 1 row, column and element; got {size}", key=name)
