"""What PIM units cannot take over of a step, in words, and refusals where a rule asks for what is not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cairn.base.errors import ConfigError
from cairn.hw_models.chip import ChipSpec
from cairn.sim.mapping.attention_work import decoding
from cairn.sim.mapping.options import MappingSpec, PimRule
from cairn.sim.mapping.pim_choice import FEW_ROWS, units_of
from cairn.workloads.graph import Block, Operator, OperatorGraph, OpKind, Role

ATTENDING: Final = (OpKind.ATTENTION, OpKind.ATTENTION_SCORES)
"""Operators that begin an attention."""


def check_asked(chip: ChipSpec, options: MappingSpec, graph: OperatorGraph) -> None:
    """ConfigError where `mapping.pim` asks by hand for units that would then have nothing to do.

    `attention` needs an attention of the kind that they do, `products` a product of few rows, `all` such an attention
    if the model has any, else such a product. Under `auto` cores may do everything.
    """
    rule = options.pim
    if units_of(chip, options) is None or rule is PimRule.AUTO:
        return
    attentions = [why_attention_stays(*each) for each in _operators(graph, ATTENDING)]
    products = list(_rows_of_products(graph))
    by_attention = rule is PimRule.ATTENTION or (rule is PimRule.ALL and bool(attentions))
    if by_attention and None not in attentions:
        why = "; ".join(dict.fromkeys(reason for reason in attentions if reason)) or "the model has no attention"
        raise ConfigError(
            f"is {rule.value}, but PIM units can do no attention of this step: {why}; use mapping.pim: none, products "
            "or auto",
            key="mapping.pim",
        )
    if not by_attention and min(products, default=FEW_ROWS + 1) > FEW_ROWS:
        has = f"has {min(products)} rows at least" if products else "is not there"
        raise ConfigError(
            f"is {rule.value}, but a product of at most {FEW_ROWS} rows, as PIM units do, {has} in this step; use "
            "mapping.pim: none or auto",
            key="mapping.pim",
        )


def why_attention_stays(block: Block, operator: Operator) -> str | None:
    """Why cores do an attention whatever the rule says, None where PIM units can.

    Units do fused attention of one new token of each request, with keys and values of their own columns that are
    stored; groups of queries that share a key head, and windows, are theirs too.
    """
    attention = operator.attention
    if operator.kind is not OpKind.ATTENTION:
        return "it is unfused, and its scores lie in the cores or in DRAM (workload.attention: fused)"
    if attention is None or attention.latent:
        return "it reads latents, whose values are columns of the keys"
    if not decoding(attention):
        return f"a request has {max(r.new for r in attention.requests)} new tokens, and units look at one of each"
    caches = [name for name in operator.inputs if block.tensor(name).role is Role.KV]
    stored = {tensor for tensor, _ in operator.writes}
    if len(caches) != 2 or not stored.issuperset(caches):
        return "its new keys and values are not stored (workload.kv_append: true)"
    return None


def _operators(graph: OperatorGraph, kinds: tuple[OpKind, ...]) -> Iterator[tuple[Block, Operator]]:
    for segment in graph.segments:
        yield from ((segment.block, operator) for operator in segment.block.operators if operator.kind in kinds)


def _rows_of_products(graph: OperatorGraph) -> Iterator[int]:
    """Rows of every product with weights that units may do."""
    for block, operator in _operators(graph, (OpKind.MATMUL, OpKind.GROUPED_MATMUL)):
        if operator.kind is OpKind.MATMUL:
            yield block.tensor(operator.outputs[0]).rows
        else:
            yield from (rows for rows in operator.group_rows if rows > 0)
