"""Bytes that the operators of a step move beside their weights and keys, over all devices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.workloads.graph import Block, Operator, OpKind

BITS = 8


def elementwise(op: Operator) -> bool:
    """Whether an operator is an activation between dense products; that of experts is part of them."""
    return op.kind is OpKind.ACTIVATION and op.name != "experts_act"


def elementwise_bytes(block: Block) -> float:
    """Bytes of inputs and outputs of the element-wise operators of a block."""
    named = [(*op.inputs, *op.outputs) for op in block.operators if elementwise(op)]
    return float(sum(block.tensor(name).bytes for names in named for name in names))


def passed_bytes(
    block: Block, products: list[Operator], loads: npt.NDArray[np.float64], expert_parallel: int
) -> float:  # fmt: skip
    """Bytes of inputs, outputs and activations of all experts, `loads` tokens each: every one of the `expert_parallel`
    devices of an expert reads its inputs, and writes its part of the sums."""
    bits, rows = 0.0, float(loads.sum())
    for op in products[:-1]:
        x, y, act = (block.tensor(name) for name in (op.inputs[0], op.outputs[0], products[-1].inputs[0]))
        bits += rows * (x.columns * x.bits * expert_parallel + 2 * y.columns * y.bits + act.columns * act.bits)
    x, y = (block.tensor(name) for name in (products[-1].inputs[0], products[-1].outputs[0]))
    return (bits + rows * (x.columns * x.bits + y.columns * y.bits * expert_parallel)) / BITS
