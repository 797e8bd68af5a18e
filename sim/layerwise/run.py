"""Cycles and energy of a model's step on an accelerator, product by product. Rules L1 to L5 of the package."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cairn.hw_models.compute.bitserial import cost
from cairn.hw_models.compute.bitserial.cycle import array_cycles, passes
from cairn.hw_models.compute.bitserial.spec import DotArraySpec
from cairn.hw_models.compute.matrix_unit import IntArray
from cairn.hw_models.sram.cacti import buffer_cost
from cairn.sim.layerwise.products import Products, model_products
from cairn.sim.layerwise.spec import AcceleratorSpec, Phase
from cairn.workloads.architecture import ModelSpec

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BufferUse:
    """Accesses of both buffers (L5): a read of each in every pass, and what DRAM brings written word by word."""

    kib: int
    word_bits: int
    ports: tuple[int, int]
    passes: int
    words: tuple[int, int]

    def energy_pj(self) -> float:
        """Energy of all accesses; a word takes its share of the energy of the whole port."""
        total = 0.0
        for port, words in zip(self.ports, self.words, strict=True):
            cost_of = buffer_cost(port, self.kib)
            total += self.passes * cost_of.read_pj + words * cost_of.write_pj * self.word_bits / port
        return total


@dataclass(frozen=True)
class LayerwiseResult:
    """A step: cycles (computing alone, and with DRAM), energies in pJ, and a table with a row for each product.

    Columns of `table`: count, macs, passes, compute_cycles, dram_cycles, cycles, dram_bits, of one such product each.
    """

    compute_cycles: int
    cycles: int
    macs: int
    dram_bits: int
    dram_pj: float
    core_pj: float
    buffers: BufferUse
    clock_ghz: float
    table: pd.DataFrame

    @property
    def sram_pj(self) -> float:
        """Energy of both buffers; ConfigError where CACTI's table has no such buffer."""
        return self.buffers.energy_pj()

    @property
    def on_chip_pj(self) -> float:
        return self.core_pj + self.sram_pj

    @property
    def total_pj(self) -> float:
        return self.on_chip_pj + self.dram_pj

    @property
    def seconds(self) -> float:
        return self.cycles / self.clock_ghz / 1e9


@dataclass(frozen=True)
class Traffic:
    """Bytes of one product each: what is held, and how often weights and inputs are fetched (L1, L2)."""

    weights: IntArray
    inputs: IntArray
    outputs: IntArray
    weight_fetches: IntArray
    input_fetches: IntArray

    @property
    def dram_bits(self) -> IntArray:
        return 8 * (self.weights * self.weight_fetches + self.inputs * self.input_fetches + self.outputs)


def run_layers(
    accelerator: AcceleratorSpec,
    model: ModelSpec,
    phase: Phase,
    context: int = 256,
    weight_bits: float | None = None,
) -> LayerwiseResult:
    """One prefill of `context` tokens, or the decode of one token over `context` keys, of one request.

    `weight_bits` replaces what the accelerator says of the model. Raises ConfigError for a model that is no dense
    transformer and for bits that are not known.
    """
    array = accelerator.array(phase)
    products = model_products(model, context if phase is Phase.PREFILL else 1, context, accelerator.attention)
    bits = accelerator.bits(model, phase, weight_bits)
    wide = accelerator.activation_bits
    pass_bits = np.where(products.attention & (accelerator.attention.passes == "activations"), wide, bits)
    read = passes(array, products.m, products.n, products.k)
    compute = array_cycles(array, products.m, products.n, products.k, pass_bits)
    moved = traffic(accelerator, products, bits)
    dram = moved.dram_bits // accelerator.dram_bits_per_cycle  # L3
    table = pd.DataFrame(
        {
            "count": products.count,
            "macs": products.m * products.n * products.k,
            "passes": read,
            "compute_cycles": compute,
            "dram_cycles": dram,
            "cycles": np.maximum(compute, dram),  # L4
            "dram_bits": moved.dram_bits,
        },
        index=pd.Index(products.names, name="product"),
    )
    totals = {name: int((table[name] * table["count"]).sum()) for name in table.columns}
    return LayerwiseResult(
        compute_cycles=totals["compute_cycles"],
        cycles=totals["cycles"],
        macs=totals["macs"],
        dram_bits=totals["dram_bits"],
        dram_pj=totals["dram_bits"] * accelerator.dram_pj_per_bit,
        core_pj=float(cost.energy_pj(array, totals["compute_cycles"])),
        buffers=_buffer_use(accelerator, array, products, moved, bits, totals["passes"]),
        clock_ghz=accelerator.clock_ghz,
        table=table,
    )


def traffic(accelerator: AcceleratorSpec, products: Products, weight_bits: float) -> Traffic:
    """Bytes of each product and how often they are fetched, with weights of `weight_bits`."""
    wide, room = accelerator.activation_bits, accelerator.buffer_kib * 1024
    stored = np.where(products.attention, wide, weight_bits)
    weights = _bytes(products.k, stored) * products.n  # L1
    inputs = _bytes(products.read_columns, wide) * products.read_rows
    outputs = _bytes(products.n, wide) * products.m
    again = (weights > room) & (inputs > room)  # L2
    weight_fetches, input_fetches = -(-inputs // room), -(-weights // room)
    by_weights = weight_fetches * weights + inputs < input_fetches * inputs + weights
    return Traffic(
        weights,
        inputs,
        outputs,
        np.where(again & by_weights, weight_fetches, 1),
        np.where(again & ~by_weights, input_fetches, 1),
    )


def _bytes(columns: IntArray, bits: npt.ArrayLike) -> IntArray:
    """Bytes of rows of `columns` elements of `bits` each."""
    return np.asarray(np.ceil(columns * np.asarray(bits) / 8), dtype=np.int64)


def _buffer_use(
    accelerator: AcceleratorSpec,
    array: DotArraySpec,
    products: Products,
    moved: Traffic,
    weight_bits: float,
    total_passes: int,
) -> BufferUse:
    """Accesses of both buffers. Words of attention's operands go by the bits of weights, as in the BitMoD simulator."""
    word, wide = accelerator.buffer_word_bits, accelerator.activation_bits
    weight_words = np.ceil(products.k * weight_bits / word) * products.n * moved.weight_fetches
    input_words = np.ceil(products.read_columns * wide / word) * products.read_rows * moved.input_fetches
    output_words = np.ceil(products.n * wide / word) * products.m
    return BufferUse(
        kib=accelerator.buffer_kib,
        word_bits=word,
        ports=cost.port_bits(array, weight_bits, wide),
        passes=total_passes,
        words=(
            int((weight_words * products.count).sum()),
            int(((input_words + output_words) * products.count).sum()),
        ),
    )
