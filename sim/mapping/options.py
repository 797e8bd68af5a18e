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


class PimStationary(StrEnum):
    """What of a product PIM units keep while the other passes by, the order of their loops.

    OUTPUTS: the sums of a tile of outputs stay in the accumulators until all segments of inputs have passed ("outputs
    first" in hw_models/pim/gemv.py, "buffer reuse" where a tile has several outputs for each unit). INPUTS: a segment
    of inputs stays in the buffer until all tiles of outputs have used it; partial sums that the accumulators cannot
    keep go to the cores, which add them up.
    """

    OUTPUTS = "outputs"
    INPUTS = "inputs"


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
    pim_stationary   order of loops of products on PIM units; without meaning where they do none
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
    pim_stationary: PimStationary = sourced(
        PimStationary.OUTPUTS, "CENT (Yufeng98/CENT @8c79783): a fill is used for the outputs that have accumulators"
    )
    partial_sum_bits: int = sourced(
        16, "Voxel's released code sends partial sums in 2 bytes (digest of its runs, section 2)", ge=8, le=64
    )
    precompute: Precompute = sourced(
        Precompute.FUSED, "LUT Tensor Core (ISCA 2025) section 3.1.1: fused into the element-wise operator before it"
    )

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Plain data; a mapping that uses no PIM units does not name them, nor their order of loops where it is the
        default, so that its hash is what it was."""
        content: dict[str, Any] = handler(self)
        absent = {"pim": PimRule.NONE.value, "pim_stationary": PimStationary.OUTPUTS.value}
        return {name: value for name, value in content.items() if absent.get(name) != value}
