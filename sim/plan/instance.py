"""Which block of the operator graph a stretch of a plan carries out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cairn.workloads.graph import Block


@dataclass(frozen=True)
class BlockInstance:
    """`block` as a plan runs it once: its tasks have `number` in their column `block`.

    Tensor `name` of the block is the plan's tensor "<label>/<name>", or `name` itself when `label` is empty, or what
    `names` says: caches and states that an earlier instance has left. `input` is the number of the tensor that comes in
    as the block's input: the output of the block before (None: nothing comes in, or the block's own tensor of that
    name). `begins` says where it lies when no block has made it: rectangles (r0, r1, c0, c1) on cores.
    """

    number: int
    label: str
    block: Block
    input: int | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    begins: tuple[tuple[int, tuple[int, int, int, int]], ...] = ()

    def tensor_name(self, name: str) -> str:
        """What the plan calls tensor `name` of this block."""
        if name in self.names:
            return self.names[name]
        return f"{self.label}/{name}" if self.label else name
