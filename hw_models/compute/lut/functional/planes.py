"""Planes of weights, laid out offline for look-up: groups, indices with the sign in the highest bit (L2, L3, L5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.functional.counts import MAX_GROUP
from cairn.hw_models.compute.lut.functional.weights import CodeArray, FloatArray, Weights


@dataclass(frozen=True)
class PackedWeights:
    """Weights as a LUT unit reads them: `indices` is N x tables x bits, one index of `group` bits in each byte (L5).

    half_scales, remapped_zeros   s' and z' of L2, N x scale groups
    starts                        first table of each scale group, then the number of tables
    depth                         K of the weights, without padding
    """

    indices: CodeArray
    group: int
    half_scales: FloatArray
    remapped_zeros: FloatArray
    starts: npt.NDArray[np.int64]
    group_size: int
    depth: int

    @property
    def bits(self) -> int:
        """Planes, which are the bits of a weight."""
        return int(self.indices.shape[2])

    @property
    def tables(self) -> int:
        """Groups of a row: tables that one row of activations needs."""
        return int(self.indices.shape[1])

    @property
    def padded_depth(self) -> int:
        """K with the last group filled."""
        return self.tables * self.group

    @property
    def stored_bits(self) -> int:
        """Bits of all indices, padding included; scales and zero points are not counted."""
        return self.indices.size * self.group


def pack(weights: Weights, group: int = 4) -> PackedWeights:
    """Lay weights out for look-up by tables of `group` activations, 1 to 8; ConfigError if scale groups do not divide.

    A K that is no multiple of `group` is padded. A scale group must be a multiple of `group`, or hold the whole row.
    """
    if not isinstance(group, int | np.integer) or not 1 <= group <= MAX_GROUP:
        raise ConfigError(f"tables of {group} activations are not supported (allowed: 1 to {MAX_GROUP})", key="group")
    rows, depth = weights.shape
    if weights.groups > 1 and weights.group_size % group:
        raise ConfigError(
            f"scale groups of {weights.group_size} weights are no multiple of a table's {group} activations "
            f"(allowed: a multiple of {group}, or one scale group for the whole row)", key="group_size",
        )  # fmt: skip
    tables = -(-depth // group)
    codes = np.zeros((rows, tables * group), np.uint8)
    codes[:, :depth] = weights.codes  # L3: what stands in the padding meets activations of zero
    grouped = codes.reshape(rows, tables, 1, group)
    ones = grouped >> np.arange(weights.bits, dtype=np.uint8)[:, None] & 1  # L2: S = +1 where B = 1
    index = (ones << np.arange(group, dtype=np.uint8)).sum(axis=3, dtype=np.uint8)
    _, half_scales, remapped_zeros = weights.remapped()
    firsts = np.arange(0, depth, weights.group_size) // group
    starts = np.append(firsts, tables).astype(np.int64)
    return PackedWeights(_folded(index, group), group, half_scales, remapped_zeros, starts, weights.group_size, depth)


def unpack(packed: PackedWeights) -> Weights:
    """The weights that were packed: the inverse of `pack`."""
    index = _folded(packed.indices, packed.group)
    ones = index[..., None] >> np.arange(packed.group, dtype=np.uint8) & 1
    planes = ones << np.arange(packed.bits, dtype=np.uint8)[:, None]
    codes = planes.sum(axis=2, dtype=np.uint8).reshape(index.shape[0], packed.padded_depth)[:, : packed.depth]
    zeros = (packed.remapped_zeros + (1 << packed.bits) - 1) / 2
    return Weights(codes, packed.bits, 2 * packed.half_scales, zeros, packed.group_size)


def _folded(index: CodeArray, group: int) -> CodeArray:
    """L5: invert the lower bits where the highest is set; doing it twice changes nothing."""
    top = 1 << (group - 1)
    folded: CodeArray = index ^ np.where(index & top, top - 1, 0).astype(np.uint8)
    return folded
