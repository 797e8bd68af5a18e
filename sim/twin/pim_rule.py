"""What of a block PIM units do on the designs of a machine, as lowering decides it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.choose import Ways
from cairn.sim.mapping.grid import split_sizes
from cairn.sim.mapping.matmul_cost import MatmulShape
from cairn.sim.mapping.options import PimRule
from cairn.sim.mapping.pim_asked import why_attention_stays
from cairn.sim.mapping.pim_choice import (
    FEW_ROWS,
    attention_is_faster,
    keys_of_tile,
    misfit,
    units_cycles,
    units_of,
)
from cairn.sim.twin.machine import Machine
from cairn.workloads.graph import Block, Operator, Role

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def may_do_product(machine: Machine, shape: MatmulShape) -> bool:
    """Whether the units do a product on some design: by its rows, or with `auto` if its operands fit them."""
    units = units_of(machine.chip, machine.options)  # type: ignore[arg-type]
    if units is None or machine.options.pim is PimRule.ATTENTION:
        return False
    if machine.options.pim is PimRule.AUTO:
        return misfit(units, shape) is None
    return shape.m <= FEW_ROWS


def product_on_units(machine: Machine, shape: MatmulShape, cores: Ways, units: Ways) -> BoolArray:
    """Designs (designs,) on which units do a product that they may do, as `product_layout` decides: with `auto` where
    they take less time than cores."""
    if machine.options.pim is not PimRule.AUTO:
        return np.ones(machine.designs, dtype=np.bool_)
    return np.asarray(cycles_on_units(machine, shape, units) < cores.of("cycles"))


def cycles_on_units(machine: Machine, shape: MatmulShape, units: Ways) -> FloatArray:
    """Core cycles (designs,) of the units for a product, by the closed form that the mapper chooses by."""
    spec = units_of(machine.chip, machine.options)  # type: ignore[arg-type]
    if spec is None:
        raise ValueError("a product on PIM units needs a chip with them")
    _, gn, gk = split_sizes(machine.grid.rows, machine.grid.columns)[units.of("split")].T
    stationary = machine.options.pim_stationary
    return machine.array(units_cycles(shape, machine.chip, spec, stationary, gn, gk))  # type: ignore[arg-type]


def keys_on_units(machine: Machine, block: Block, operator: Operator) -> tuple[int, BoolArray] | None:
    """Keys of a tile of an attention on the units, and the designs (designs,) on which they do it; None where cores do
    it on all. InfeasibleError as `attention_keys`."""
    attention = operator.attention
    if attention is None or why_attention_stays(block, operator) is not None:
        return None
    bits = next(block.tensor(name) for name in operator.inputs if block.tensor(name).role is Role.KV).bits
    keys = keys_of_tile(attention, bits, machine.chip, machine.options)  # type: ignore[arg-type]
    if keys is None:
        return None
    on = np.ones(machine.designs, dtype=np.bool_)
    if machine.options.pim is PimRule.AUTO:
        faster = attention_is_faster(attention, bits, machine.chip, keys)  # type: ignore[arg-type]
        on = np.broadcast_to(faster, on.shape)
    return (keys, on) if on.any() else None


def key_quantum(machine: Machine, block: Block, operator: Operator) -> Any:
    """Keys at whose multiples an attention is cut: banks of the units that do it, or columns of the matrix unit."""
    units, found = units_of(machine.chip, machine.options), keys_on_units(machine, block, operator)  # type: ignore[arg-type]
    if units is None or found is None:
        return machine.chip.mac.columns
    return np.where(found[1], units.together(machine.chip.dram.banks_per_channel), machine.chip.mac.columns)
