"""Cycles and energy of a model's step on an accelerator, product by product. Rules L1 to L5 of the package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.bitserial import cost
from cairn.hw_models.compute.bitserial.cycle import array_cycles, pass_cycles, passes
from cairn.hw_models.compute.matrix_unit import IntArray
from cairn.hw_models.sram.cacti import buffer_cost
from cairn.sim.layerwise.products import Products, model_products
from cairn.sim.layerwise.spec import AcceleratorSpec, Phase
from cairn.workloads.architecture import ModelSpec

FloatArray = npt.NDArray[np.float64]
LARGEST: Final = 2.0**62
"""Cycles and bits of a step stay below it, so that no sum of 64 bits wraps round."""


@dataclass(frozen=True)
class Buffers:
    """The buffers of weights and of activations: `kib` each, `ports` of so many bits, words of `word_bits`."""

    kib: int
    word_bits: int
    ports: tuple[int, int]

    def energy_pj(
        self, passes: npt.ArrayLike, weight_words: npt.ArrayLike, activation_words: npt.ArrayLike
    ) -> FloatArray:
        """Energy (L5): a read of each buffer in every pass, and words written; arrays broadcast.

        A word takes its share of the energy of the whole port. ConfigError where CACTI's table has no such buffer.
        """
        total = np.zeros(())
        for port, words in zip(self.ports, (weight_words, activation_words), strict=True):
            cost_of = buffer_cost(port, self.kib)
            share = self.word_bits / port
            total = total + np.asarray(passes) * cost_of.read_pj + np.asarray(words) * (cost_of.write_pj * share)
        return np.asarray(total)


@dataclass(frozen=True)
class LayerwiseResult:
    """A step: cycles (computing alone, and with DRAM), energies in pJ, and a table with a row for each product.

    Columns of `table`, of one such product each: count, macs, passes, compute_cycles, dram_cycles, cycles, dram_bits,
    and the words written to the buffers, weight_words and activation_words. `weight_bits` are those it was run with.
    """

    compute_cycles: int
    cycles: int
    macs: int
    dram_bits: int
    dram_pj: float
    core_pj: float
    buffers: Buffers
    clock_ghz: float
    weight_bits: float
    table: pd.DataFrame

    @property
    def sram_pj(self) -> float:
        """Energy of both buffers; ConfigError where CACTI's table has no such buffer."""
        return float((self.sram_pj_each * self.table["count"]).sum())

    @property
    def sram_pj_each(self) -> FloatArray:
        """Energy of both buffers in one product of each row of `table`; ConfigError as `sram_pj`."""
        words = self.table["weight_words"].to_numpy(), self.table["activation_words"].to_numpy()
        return self.buffers.energy_pj(self.table["passes"].to_numpy(), *words)

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
    transformer, for bits that are not known, and for steps too long to be counted.
    """
    array = accelerator.array(phase)
    products = model_products(model, context if phase is Phase.PREFILL else 1, context, accelerator.attention)
    bits = accelerator.bits(model, phase, weight_bits)
    wide = accelerator.activation_bits
    pass_bits = np.where(products.attention & (accelerator.attention.passes == "activations"), wide, bits)
    _refuse_uncountable(products, products.m * 1.0 * products.n * products.k)
    read = passes(array, products.m, products.n, products.k)
    longest = max(int(pass_cycles(array.element, pass_bits).max()), array.element.scale_cycles)
    _refuse_uncountable(products, read * float(longest))
    compute = array_cycles(array, products.m, products.n, products.k, pass_bits)
    moved = traffic(accelerator, products, bits)
    words = _buffer_words(accelerator, products, moved, bits)
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
            "weight_words": words[0],
            "activation_words": words[1],
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
        buffers=Buffers(
            accelerator.buffer_kib, accelerator.buffer_word_bits, cost.port_bits(array, bits, wide)
        ),
        clock_ghz=accelerator.clock_ghz,
        weight_bits=bits,
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
    _refuse_uncountable(products, 8.0 * weights * weight_fetches + 8.0 * inputs * input_fetches + 8.0 * outputs)
    by_weights = weight_fetches * weights + inputs < input_fetches * inputs + weights
    return Traffic(
        weights,
        inputs,
        outputs,
        np.where(again & by_weights, weight_fetches, 1),
        np.where(again & ~by_weights, input_fetches, 1),
    )


def _refuse_uncountable(products: Products, each: npt.NDArray[np.floating[Any]]) -> None:
    """ConfigError where a count, `each` of one such product, is beyond `LARGEST` over all products of the step."""
    if float((each * products.count).sum()) >= LARGEST:
        message = "the step takes more operations, cycles or bits than 64 bits can count; give a shorter one"
        raise ConfigError(message, key="context")


def _bytes(columns: IntArray, bits: npt.ArrayLike) -> IntArray:
    """Bytes of rows of `columns` elements of `bits` each."""
    return np.asarray(np.ceil(columns * np.asarray(bits) / 8), dtype=np.int64)


def _buffer_words(
    accelerator: AcceleratorSpec, products: Products, moved: Traffic, weight_bits: float
) -> tuple[IntArray, IntArray]:
    """Words written to both buffers. Attention's operands go by the bits of weights, as in the BitMoD simulator."""
    word, wide = accelerator.buffer_word_bits, accelerator.activation_bits
    weights = np.ceil(products.k * weight_bits / word) * products.n * moved.weight_fetches
    inputs = np.ceil(products.read_columns * wide / word) * products.read_rows * moved.input_fetches
    outputs = np.ceil(products.n * wide / word) * products.m
    return weights.astype(np.int64), (inputs + outputs).astype(np.int64)
