"""A decode on a wafer as data: chip, model, mesh, and the two constants that no paper prints."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import model_validator

from cairn.base.spec import Spec, required, sourced
from cairn.hw_models.chip import ChipSpec
from cairn.workloads.architecture import ModelSpec

SCHEMA: Final = "cairn.wafer/1"

ROUTING_STAGE_CYCLES: Final = 15
"""Fitted, with the next, on LLaMA3-8B at 420 x 420 and 660 x 660 (validation/suites/wafer/gates.yaml)."""
OPERATOR_OVERHEAD_CYCLES: Final = 145


class WaferSpec(Spec):
    """A decode step of one request on `mesh` x `mesh` cores of a wafer, all matrices cut into as many tiles.

    `widths`: `kernel` gives keys and values the full width of the model, as WaferLLM's kernels do, `model` that of
    its key-value heads. `groups` of the K = 2 tree of an all-reduce; None takes the number the kernels take.
    """

    schema_id: Literal["cairn.wafer/1"] = sourced(SCHEMA, "this project: names the format", alias="schema")
    name: str = required(min_length=1, max_length=200)
    chip: ChipSpec = required()
    model: ModelSpec = required()
    mesh: int = required(ge=2, le=1024)
    context: int = required(ge=1, le=1 << 24)
    groups: int | None = sourced(None, "reference/wafer/waferllm_algorithms.yaml: group_num, see group_count", ge=1)
    widths: Literal["kernel", "model"] = sourced("kernel", "reference/wafer/waferllm_algorithms.yaml: the note there")
    element_bytes: int = sourced(2, "reference/wafer/waferllm_algorithms.yaml: fp16", ge=1, le=8)
    paths_per_core: int = sourced(
        32, "reference/wafer/wse2_hardware.yaml (routing_paths_per_core): W sec. 3.1, an address of 5 bits", ge=1
    )
    routing_stage_cycles: int = sourced(
        ROUTING_STAGE_CYCLES, "fitted: beta of W sec. 3.1, in every transfer that software begins", ge=0, le=1 << 16
    )
    operator_overhead_cycles: int = sourced(
        OPERATOR_OVERHEAD_CYCLES, "fitted: what a core does around the work of an operator", ge=0, le=1 << 20
    )

    @model_validator(mode="after")
    def _fits_the_wafer(self) -> WaferSpec:
        rows, columns = self.chip.cores.rows, self.chip.cores.columns
        if self.mesh > min(rows, columns):
            raise ValueError(f"mesh ({self.mesh}) must not exceed rows and columns of the chip ({rows} x {columns})")
        if self.groups is not None and self.mesh % self.groups:
            raise ValueError(f"groups ({self.groups}) must divide the side of the mesh ({self.mesh})")
        attention, ffn = self.model.attention, self.model.ffn
        if self.model.moe is not None or attention is None or attention.mla is not None:
            raise ValueError(f"model {self.model.name!r} must be dense, with soft-max attention on whole heads")
        if ffn is None or not ffn.gated:
            raise ValueError(f"model {self.model.name!r} must have a gated feed-forward network, as the kernel has")
        return self
