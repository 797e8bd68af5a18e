"""What of a block PIM units do on the designs of a machine, as lowering decides it for every rule but `auto`."""

from __future__ import annotations

from typing import Any

from cairn.sim.mapping.matmul_cost import MatmulShape
from cairn.sim.mapping.options import PimRule
from cairn.sim.mapping.pim_asked import why_attention_stays
from cairn.sim.mapping.pim_choice import FEW_ROWS, attention_keys, units_of
from cairn.sim.twin.machine import Machine
from cairn.workloads.graph import Block, Operator, Role


def does_product(machine: Machine, shape: MatmulShape) -> bool:
    """Whether the units do a product, as `product_layout` decides for every rule but `auto`."""
    return machine.options.pim in (PimRule.PRODUCTS, PimRule.ALL) and shape.m <= FEW_ROWS


def keys_on_units(machine: Machine, block: Block, operator: Operator) -> int | None:
    """Keys of a tile of an attention on the units, None where cores do it; InfeasibleError as `attention_keys`."""
    attention = operator.attention
    if attention is None or why_attention_stays(block, operator) is not None:
        return None
    keys = next(block.tensor(name) for name in operator.inputs if block.tensor(name).role is Role.KV)
    return attention_keys(attention, keys.bits, machine.chip, machine.options)  # type: ignore[arg-type]


def key_quantum(machine: Machine, block: Block, operator: Operator) -> Any:
    """Keys at whose multiples an attention is cut: banks of the units that do it, or columns of the matrix unit."""
    units = units_of(machine.chip, machine.options)  # type: ignore[arg-type]
    if units is None or keys_on_units(machine, block, operator) is None:
        return machine.chip.mac.columns
    return units.together(machine.chip.dram.banks_per_channel)
