"""What a person may choose about the mapping of a model onto a chip."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from cairn.base.spec import Spec, sourced


class Paradigm(StrEnum):
    """How the cores share the work and the operands of an operator.

    SPMD: every core fetches all operands of its tile from where they lie, then computes. COMPUTE_SHIFT: operands
    that several cores need are split among them and rotate on a ring while the cores compute (T10, Cannon).
    DATAFLOW: groups of cores hold different layers and micro-batches stream through them.
    """

    SPMD = "spmd"
    COMPUTE_SHIFT = "compute_shift"
    DATAFLOW = "dataflow"


class Placement(StrEnum):
    """Which core takes which tile: ranks along mesh axes, or ranks in core-number order."""

    DIMENSION_ORDERED = "dimension_ordered"
    SEQUENTIAL = "sequential"


class BankPlacement(StrEnum):
    """Which bytes lie in which bank of the channel above a core (see docs/architecture.md, placement)."""

    SOFTWARE_AWARE = "software_aware"
    INTERLEAVED = "interleaved"
    UNIFORM = "uniform"


class PimRule(StrEnum):
    """What PIM units of the DRAM do: nothing, the attention of decoding, products of few rows, both, or each operator
    where the closed forms of both sides say that it takes less time."""

    NONE = "none"
    ATTENTION = "attention"
    PRODUCTS = "products"
    ALL = "all"
    AUTO = "auto"


class Precompute(StrEnum):
    """Where the tables of a LUT unit are made of the activations that it multiplies.

    FUSED: on their way into the SRAM of the core that needs them, at the end of the element-wise operator before it:
    only the additions cost time. SEPARATE: as a task of its own, which has a start-up, reads the activations from SRAM
    and writes tables beside them.
    """

    FUSED = "fused"
    SEPARATE = "separate"


class MappingSpec(Spec):
    """Mapping choices of a run; what is left out is chosen by the mapper.

    core_group       cores on one DRAM channel whose loads are kept in step: they take turns in one queue, in successive
                     sets of banks; at most all cores of the channel
    weight_sharers   cores that share one copy of a weight block, at most
    tile_kib         size that streamed tiles aim at
    precompute       where the tables of LUT units are made; without meaning on chips that have none
    """

    paradigm: Paradigm = sourced(Paradigm.COMPUTE_SHIFT, "Voxel, arXiv 2604.26821 section 4.1: fastest in prefill")
    placement: Placement = sourced(Placement.DIMENSION_ORDERED, "Voxel, arXiv 2604.26821 section 4.2")
    banks: BankPlacement = sourced(BankPlacement.SOFTWARE_AWARE, "Voxel, arXiv 2604.26821 section 4.3")
    stages: int = sourced(4, "Voxel released code: cores / 4 in a decode stage", ge=1)
    core_group: int | None = sourced(
        None, "assumed: all cores of a channel; Voxel, arXiv 2604.26821 table 2, has 8 (vx.core_group)", ge=1
    )
    weight_sharers: int | None = sourced(None, "assumed: all cores that need a weight block share one copy", ge=1)
    tile_kib: int = sourced(128, "assumed: 16 rows of 8 KiB, one round over the banks of a channel", ge=1)
    pim: PimRule = sourced(PimRule.NONE, "this project: cores do everything unless asked")
    partial_sum_bits: int = sourced(
        16, "Voxel's released code sends partial sums in 2 bytes (digest of its runs, section 2)", ge=8, le=64
    )
    precompute: Precompute = sourced(
        Precompute.FUSED, "LUT Tensor Core (ISCA 2025) section 3.1.1: fused into the element-wise operator before it"
    )

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Plain data; a mapping that uses no PIM units does not name them, so that its hash is what it was."""
        content: dict[str, Any] = handler(self)
        return {name: value for name, value in content.items() if name != "pim" or value != PimRule.NONE.value}
