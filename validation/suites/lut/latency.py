"""Latencies of LUT Tensor Core's Table 1: the time of all weight matrices at peak over an efficiency, plus a constant.

What is not a weight matrix (attention, norms, launches) is the constant; on another GPU it is taken to be bound by the
DRAM. Two constants a phase, each fitted on the same
two rows, A100 with FP16 and INT8 tensor cores; what a look-up unit gains is then a prediction. The authors' figures are
those of a simulator of theirs; the phases are a prompt of 2048 tokens and a step of 1024 sequences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from cairn.validation.reference import Entry
from cairn.validation.rows import Row
from cairn.validation.suites.lut.gpus import DRAM_GB_PER_S, Gpu, parse
from cairn.validation.suites.lut.models import layer_macs, model

MODEL: Final = "bitnet-b1.58-3b"
"""Both models of the table have its shapes; W16A16 is the same network in FP16."""


class Phase(NamedTuple):
    """Tokens of a step, and the two fitted constants."""

    tokens: int
    efficiency: float
    constant_ms: float


PHASES: Final = {"prefill": Phase(2048, 0.5335, 27.41), "decode1024": Phase(1024, 0.5438, 2.25)}
FITTED_ON: Final = ("a100_fp16", "a100_int8")


def ideal_ms(gpu: Gpu, tokens: int) -> float:
    """Milliseconds of all weight matrices at the peak rate of all SMs."""
    spec = model(MODEL)
    macs = spec.layers * layer_macs(spec, tokens)
    return 2e-9 * macs / gpu.peak_tops


def predicted_ms(gpu: Gpu, phase: Phase) -> float:
    slower = DRAM_GB_PER_S["a100"] / DRAM_GB_PER_S[gpu.name]
    return ideal_ms(gpu, phase.tokens) / phase.efficiency + phase.constant_ms * slower


def rows(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Latencies of all units of the table; those on an H100 are reported."""
    for name, entry in entries.items():
        found = parse(name)
        if found is None or found[1] not in PHASES:
            continue
        gpu, quantity = found
        at = f"{gpu.name}_{gpu.unit_name}"
        gate = "latency" if gpu.name == "a100" else "latency_h100"
        fitted = at in FITTED_ON
        yield Row(
            f"latency/{quantity}/{at}", f"latency, {quantity}", float(entry.value),
            predicted_ms(gpu, PHASES[quantity]), "ms", entry.source, () if fitted else (gate,),
            excluded={gate: "the two constants of the phase were fitted on it"} if fitted else {},
            baselines={"peak rate": ideal_ms(gpu, PHASES[quantity].tokens)},
        )  # fmt: skip
