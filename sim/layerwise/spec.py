"""An accelerator that works product by product, as data (schema `cairn.accelerator/1`, configs/accelerators)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from pydantic import model_validator

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, required, sourced
from cairn.hw_models.compute.bitserial.spec import MAX_BITS, MAX_SIDE, DotArraySpec, ElementSpec
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import ACCELERATOR, load_document, override
from cairn.workloads.architecture import ModelSpec

_BITMOD: Final = "BitMoD simulator accelerator.py and pe_array.py at 6b68523"


class Phase(StrEnum):
    PREFILL = "prefill"
    DECODE = "decode"


class PhaseSpec(Spec):
    """Array and weights of one phase. `weight_bits` include scales; `bits_of` gives models their own by name.

    Without `weight_bits`, models that `bits_of` does not list are refused unless the caller gives the bits.
    """

    rows: int = required(ge=1, le=MAX_SIDE)
    columns: int = required(ge=1, le=MAX_SIDE)
    weight_bits: float | None = sourced(None, "assumed: by model, see bits_of", ge=1, le=MAX_BITS)
    bits_of: dict[str, float] = sourced({}, "assumed: all models have weight_bits")

    @model_validator(mode="after")
    def _bits_in_range(self) -> PhaseSpec:
        if wrong := [f"{name}: {bits:g}" for name, bits in self.bits_of.items() if not 1 <= bits <= MAX_BITS]:
            raise ValueError(f"bits_of must be 1 to {MAX_BITS} bits each, got {', '.join(wrong)}")
        return self


class AttentionSpec(Spec):
    """How the two products of attention are counted. The defaults are simplifications of the BitMoD simulator.

    heads          `merged`: scores are one product of a query block [q, hidden] with heads q rows, and values one of
                   [heads q, context] with q rows, so that the dimension of a head is not told from their number;
                   `per_head`: q x context products over the dimension of a head, for every head
    cached_reads   `output_rows`: as many rows of keys (values) are read as a merged product has output rows, in
                   decode one row of values; `context`: all of them
    passes         `weights`: as many cycles a pass as the model's weights take; `activations`: as activations would
    """

    heads: Literal["merged", "per_head"] = sourced("merged", _BITMOD)
    cached_reads: Literal["output_rows", "context"] = sourced("output_rows", _BITMOD)
    passes: Literal["weights", "activations"] = sourced("weights", _BITMOD)

    @model_validator(mode="after")
    def _heads_apart_read_all_keys(self) -> AttentionSpec:
        if self.heads == "per_head" and self.cached_reads == "output_rows":
            raise ValueError("cached_reads must be context when heads are per_head: each head then reads its keys")
        return self


class AcceleratorSpec(Spec):
    """One array with a buffer for weights and one for activations, and DRAM."""

    schema_id: Literal["cairn.accelerator/1"] = sourced(
        "cairn.accelerator/1", "this project: names the format", alias="schema"
    )
    name: str = required(min_length=1, max_length=200)
    source: str = required(min_length=1)
    clock_ghz: float = sourced(1.0, "BitMoD (HPCA 2025) sec. V: 28 nm, 1 GHz", gt=0, le=100)
    prefill: PhaseSpec = required()
    decode: PhaseSpec = required()
    element: ElementSpec = sourced(ElementSpec(), "BitMoD, see there")
    activation_bits: int = sourced(16, "BitMoD simulator test_bitmod.py: i_prec", ge=1, le=MAX_BITS)
    buffer_kib: int = sourced(512, _BITMOD + ": weights, and as much for activations", ge=1, le=1 << 20)
    buffer_word_bits: int = sourced(64, _BITMOD + ": min_w_granularity", ge=1, le=4096)
    dram_bits_per_cycle: int = sourced(256, _BITMOD + ": 128 bits, two transfers a cycle", ge=1, le=1 << 20)
    dram_pj_per_bit: float = sourced(18.75, _BITMOD + ": 1200 pJ for 64 bits", gt=0, le=1e4)
    attention: AttentionSpec = sourced(AttentionSpec(), _BITMOD)

    @model_validator(mode="after")
    def _elements_take_the_bits(self) -> AcceleratorSpec:
        most = self.element.max_weight_bits
        bits = {
            f"{phase.value}.{name}": given
            for phase in Phase
            for name, given in ({"weight_bits": self.phase(phase).weight_bits} | self.phase(phase).bits_of).items()
        }
        if self.attention.passes == "activations":
            bits["activation_bits (attention.passes: activations)"] = self.activation_bits
        if wrong := [f"{name}: {given:g}" for name, given in bits.items() if given is not None and given >= most + 1]:
            raise ValueError(
                f"an element takes 1 to {most} bits beside scales (element.max_weight_bits), got {', '.join(wrong)}"
            )
        return self

    def array(self, phase: Phase) -> DotArraySpec:
        """The array as it is arranged in `phase`."""
        shape = self.phase(phase)
        return DotArraySpec(rows=shape.rows, columns=shape.columns, element=self.element)

    def phase(self, phase: Phase) -> PhaseSpec:
        return self.prefill if phase is Phase.PREFILL else self.decode

    def bits(self, model: ModelSpec, phase: Phase, given: float | None = None) -> float:
        """Bits of a weight of `model`: `given`, else its own, else those of all models; ConfigError without any."""
        shape = self.phase(phase)
        bits = given if given is not None else shape.bits_of.get(model.name, shape.weight_bits)
        if bits is None:
            known = ", ".join(shape.bits_of)
            message = f"{self.name} has no bits for weights of {model.name!r}: give weight_bits (it has {known})"
            raise ConfigError(message, key=f"{phase.value}.bits_of")
        return bits


def load_accelerator(path_or_name: str | Path, overrides: Iterable[str] = ()) -> AcceleratorSpec:
    """The accelerator that a file or a shipped name describes; ConfigError with every mistake in it."""
    document = load_document(path_or_name, ACCELERATOR)
    for setting in overrides:
        document = override(document, setting, ACCELERATOR)
    return validate(document, AcceleratorSpec, ACCELERATOR.references)
