"""Which block of the operator graph a stretch of a plan carries out."""

from __future__ import annotations

from dataclasses import dataclass

from cairn.workloads.graph import Block


@dataclass(frozen=True)
class BlockInstance:
    """`block` as a plan runs it once: its tasks have `number` in their column `block`.

    Tensor `name` of the block is the plan's tensor "<label>/<name>", or `name` itself when `label` is empty. `input` is
    the number of the tensor that comes in as the block's input: the output of the block before (None: nothing comes in,
    or the block's own tensor of that name).
    """

    number: int
    label: str
    block: Block
    input: int | None = None

    def tensor_name(self, name: str) -> str:
        """What the plan calls tensor `name` of this block."""
        return f"{self.label}/{name}" if self.label else name
