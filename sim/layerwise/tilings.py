"""The loops of a product on an array of the BitFusion family, and the tiling that its simulator chooses.

Source: optimizer.py and accelerator.py of the family (ANT and MixPE carry the same). A product is a convolution of
`batch` squares of `side` outputs, a kernel of `kernel` and `inputs` channels; a matrix has side and kernel 1. Rules:

* T1  each of batch, side (twice), inputs and outputs is cut into tiles of a power of two, or is one tile;
* T2  tiles of weights and inputs, inputs of a row padded to the array, must fit half their buffers;
* T3  of five nested loops over tiles, a loop on which an operand depends moves it again. Others do not as long as all
      that it has moved so far fits half its buffer, and do from the first loop on where it does not;
* T4  first and last transfers cannot be hidden: cycles are those, computing, and what of other transfers exceeds it;
* T5  of all tilings and orders the one of fewest cycles is taken, and of these the one of least energy.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, sourced
from cairn.hw_models.compute.fusion.cycle import array_cycles, split
from cairn.hw_models.compute.fusion.spec import FusedArraySpec

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_CONF: Final = "BitFusion family conf_*.ini, ANT and MixPE alike"
_SWEEP: Final = "mixpe_simulator bitfusion/sram/cacti_sweep.csv: CACTI 7, 28 nm"
_STATS: Final = "BitFusion family stats.py: get_energy_breakdown"
_CHOICE: Final = "BitFusion family stats.py: get_energy, by which tilings are chosen"


class SurroundingsSpec(Spec):
    """Buffers, DRAM and energies around an array; energies per bit, static energy per cycle."""

    weight_kib: int = sourced(128, _CONF, ge=1, le=1 << 20)
    activation_kib: int = sourced(256, _CONF, ge=1, le=1 << 20)
    output_kib: int = sourced(128, _CONF, ge=1, le=1 << 20)
    output_bits: int = sourced(16, "BitFusion family optimizer.py: oprec", ge=1, le=64)
    dram_bits_per_cycle: int = sourced(1024, _CONF, ge=1, le=1 << 20)
    weight_read_pj: float = sourced(16.8924 / 512, _SWEEP + ", 4 KiB of 512 bits", ge=0)
    weight_write_pj: float = sourced(20.3422 / 512, _SWEEP + ", 4 KiB of 512 bits", ge=0)
    activation_read_pj: float = sourced(17.7688 / 512, _SWEEP + ", 8 KiB of 512 bits", ge=0)
    activation_write_pj: float = sourced(24.8866 / 512, _SWEEP + ", 8 KiB of 512 bits", ge=0)
    output_read_pj: float = sourced(0.294945 / 32, _SWEEP + ", 128 bytes of 32 bits", ge=0)
    output_write_pj: float = sourced(0.415925 / 32, _SWEEP + ", 128 bytes of 32 bits", ge=0)
    dram_read_pj: float = sourced(644.304 / 1024, _STATS, ge=0)
    dram_write_pj: float = sourced(784.104 / 1024, _STATS, ge=0)
    dram_static_pj: float = sourced(484615 / 500, _STATS + ", a cycle", ge=0)
    choice_read_pj: float = sourced(1182.94 / 1024, _CHOICE, ge=0)
    choice_write_pj: float = sourced(1477.97 / 1024, _CHOICE, ge=0)


class Layer(NamedTuple):
    """A product: `batch` x side x side rows, `outputs` columns, kernel x kernel x inputs deep, operands of `bits`."""

    batch: int
    outputs: int
    inputs: int
    bits: int
    side: int = 1
    kernel: int = 1

    @property
    def macs(self) -> int:
        return self.batch * self.side**2 * self.outputs * self.kernel**2 * self.inputs


class Tiled(NamedTuple):
    """What the chosen tiling takes: cycles in all and of computing, bits from and to DRAM and at the buffers.

    `weights` and `activations` are read by the array; `written_weights` and `written_activations` come from DRAM;
    `outputs` go to their buffer and back, `stored` from there to DRAM.
    """

    cycles: int
    compute_cycles: int
    weights: int
    activations: int
    written_weights: int
    written_activations: int
    outputs: int
    stored: int

    @property
    def dram_bits(self) -> int:
        return self.written_weights + self.written_activations + self.stored


_LOOPS: Final = ("batch", "width", "height", "inputs", "outputs")
_MOVES: Final = {  # operands that a loop moves anew: weights, activations, outputs
    "batch": (False, True, True),
    "width": (False, True, True),
    "height": (False, True, True),
    "inputs": (True, True, False),
    "outputs": (True, False, True),
}


class _Tiles(NamedTuple):
    """All tilings of a layer, as columns: sizes of tiles and how many there are of them in each loop."""

    batch: IntArray
    side: IntArray
    inputs: IntArray
    outputs: IntArray
    counts: dict[str, IntArray]

    @property
    def number(self) -> IntArray:
        return np.asarray(np.prod(np.stack(list(self.counts.values())), axis=0), dtype=np.int64)


@lru_cache(maxsize=4096)
def choose_tiling(array: FusedArraySpec, layer: Layer, around: SurroundingsSpec) -> Tiled:
    """The tiling of fewest cycles, then least energy (T5); ConfigError where no tile fits half the buffers."""
    tiles = _fitting(array, layer, around)
    single = array_cycles(
        array, tiles.batch * tiles.side**2, tiles.outputs, layer.kernel**2 * tiles.inputs, layer.bits, layer.bits
    )
    compute = tiles.number * single
    best: Tiled | None = None
    key = (np.inf, np.inf)
    for order in _orders(layer):
        moved, first = _traffic(array, layer, around, tiles, order)
        unhidden = -(-first[0] // around.dram_bits_per_cycle) + -(-first[1] // around.dram_bits_per_cycle)
        between = moved.sum(axis=0) - first.sum(axis=0)
        stall = np.maximum(0, -(-between // around.dram_bits_per_cycle) - compute) + unhidden  # T4
        cycles = compute + stall
        candidates = np.flatnonzero(cycles == cycles.min())
        energy = _energy_pj(array, layer, around, tiles, moved, compute)[candidates]
        at = candidates[np.argmin(energy)]
        found = (float(cycles[at]), float(energy.min()))
        if found < key:
            key, best = found, _answer(array, layer, around, tiles, moved, compute, cycles, int(at))
    if best is None:
        raise ConfigError("no order of loops was tried", key="layer")
    return best


def _orders(layer: Layer) -> list[tuple[str, ...]]:
    """Orders of the loops from the outermost in; width and height are alike, so that one of them comes first.

    Of two loops of one tile the outer changes nothing: what the tile moves has been compared with the buffers by then.
    """
    if layer.side == 1:
        return [("width", *order) for order in permutations(_LOOPS[:1] + _LOOPS[2:])]
    return [order for order in permutations(_LOOPS) if order.index("width") < order.index("height")]


def _powers(size: int) -> IntArray:
    """Powers of two below `size`, then `size` (T1)."""
    return np.array(sorted({min(1 << power, size) for power in range((size - 1).bit_length() + 1)}), dtype=np.int64)


def _fitting(array: FusedArraySpec, layer: Layer, around: SurroundingsSpec) -> _Tiles:
    """Tilings whose tiles fit (T1, T2)."""
    sizes = (layer.batch, layer.side, layer.inputs, layer.outputs)
    batch, side, inputs, outputs = (one.ravel() for one in np.meshgrid(*map(_powers, sizes), indexing="ij"))
    held = _tile_bits(array, layer, around, batch, side, inputs, outputs)
    room = 4 * 1024 * np.array([around.weight_kib, around.activation_kib])
    fits = (held[0] <= room[0]) & (held[1] <= room[1])
    if not fits.any():
        message = f"a tile of one row and column exceeds half of the {around.weight_kib} or {around.activation_kib} KiB"
        raise ConfigError(message, key="weight_kib, activation_kib")
    batch, side, inputs, outputs = batch[fits], side[fits], inputs[fits], outputs[fits]
    across = -(-layer.side // side)
    counts = {
        "batch": -(-layer.batch // batch),
        "width": across,
        "height": across,
        "inputs": -(-layer.inputs // inputs),
        "outputs": -(-layer.outputs // outputs),
    }
    return _Tiles(batch, side, inputs, outputs, counts)


def _tile_bits(
    array: FusedArraySpec,
    layer: Layer,
    around: SurroundingsSpec,
    batch: IntArray,
    side: IntArray,
    inputs: IntArray,
    outputs: IntArray,
) -> IntArray:
    """Bits of a tile of weights, activations and outputs: rows of inputs padded to rows and columns of the array."""
    deep = layer.kernel**2 * inputs
    along, across = (side_of * int(split(array, layer.bits)) for side_of in (array.rows, array.columns))
    weights = -(-deep // along) * along * outputs * layer.bits
    activations = side**2 * -(-deep // across) * across * batch * layer.bits
    return np.stack([weights, activations, side**2 * outputs * batch * around.output_bits])


def _traffic(
    array: FusedArraySpec, layer: Layer, around: SurroundingsSpec, tiles: _Tiles, order: tuple[str, ...]
) -> tuple[IntArray, IntArray]:
    """Bits moved of weights, activations and outputs, and of these the first that come and the last that go (T3)."""
    moved = _tile_bits(array, layer, around, tiles.batch, tiles.side, tiles.inputs, tiles.outputs)
    room = 4 * 1024 * np.array([around.weight_kib, around.activation_kib, around.output_kib])
    first = moved.copy()
    held = np.ones(moved.shape, dtype=bool)
    for loop in reversed(order):
        count = tiles.counts[loop]
        for operand, anew in enumerate(_MOVES[loop]):
            again = ~held[operand] | anew
            moved[operand] = np.where(again, moved[operand] * count, moved[operand])
            if anew:
                fits = held[operand] & (moved[operand] <= room[operand])
                largest = moved[operand] if operand < 2 else 0  # optimizer.py: outputs that fit wait for nothing
                first[operand] = np.where(fits, largest, first[operand])
                held[operand] = fits
    return moved, np.stack([first[0] + first[1], first[2]])


def _buffer_bits(
    array: FusedArraySpec, layer: Layer, around: SurroundingsSpec, tiles: _Tiles
) -> tuple[IntArray, IntArray, IntArray]:
    """Bits of weights and activations that the array reads, and of outputs that it writes (and reads as often)."""
    rows = tiles.batch * tiles.side**2
    deep = layer.kernel**2 * tiles.inputs
    products = tiles.number * rows * tiles.outputs * deep
    if array.dataflow == "weight_stationary":
        return tiles.number * deep * tiles.outputs * layer.bits, products * layer.bits, products * around.output_bits
    return products * layer.bits, products * layer.bits, tiles.number * rows * tiles.outputs * around.output_bits


def _energy_pj(
    array: FusedArraySpec,
    layer: Layer,
    around: SurroundingsSpec,
    tiles: _Tiles,
    moved: IntArray,
    compute: IntArray,
) -> FloatArray:
    """The energy by which tilings of equal cycles are told apart (T5); what depends on cycles alone is left out."""
    weights, activations, outputs = _buffer_bits(array, layer, around, tiles)
    return np.asarray(
        compute * array.dynamic_pj
        + weights * around.weight_read_pj
        + activations * around.activation_read_pj
        + moved[0] * (around.weight_write_pj + around.choice_read_pj)
        + moved[1] * (around.activation_write_pj + around.choice_read_pj)
        + outputs * (around.output_write_pj + around.output_read_pj)
        + moved[2] * (around.output_read_pj + around.choice_write_pj)
    )


def _answer(
    array: FusedArraySpec,
    layer: Layer,
    around: SurroundingsSpec,
    tiles: _Tiles,
    moved: IntArray,
    compute: IntArray,
    cycles: IntArray,
    at: int,
) -> Tiled:
    weights, activations, outputs = (int(one[at]) for one in _buffer_bits(array, layer, around, tiles))
    return Tiled(
        cycles=int(cycles[at]),
        compute_cycles=int(compute[at]),
        weights=weights,
        activations=activations,
        written_weights=int(moved[0][at]),
        written_activations=int(moved[1][at]),
        outputs=outputs,
        stored=int(moved[2][at]),
    )
