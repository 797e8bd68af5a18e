"""Which shape of an array, and which group of a single unit, the models find best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cairn.hw_models.compute.units.blocks import BITS, Activation
from cairn.hw_models.compute.units.shapes import Shape, best_first, register_bits, single_units, ties
from cairn.validation.reference import Entry
from cairn.validation.rows import Row

ACTIVATIONS: Final[tuple[Activation, ...]] = ("int8", "fp8", "int16", "fp16")


def rows(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Area times power of the published shape over that of the best one; the best k of a single unit."""
    entry = entries.get("ltc_best_tile")
    if entry is not None:
        for activation in ACTIVATIONS:
            yield from _shape_rows(activation, tuple(int(size) for size in entry.value), entry)
    entry = entries.get("ltc_best_k")
    if entry is not None:
        for activation in ACTIVATIONS:
            best = min(single_units(activation), key=lambda shape: shape.um2)
            published = entry.value[activation.startswith("fp")]
            yield Row(f"shapes/k/{activation}", "shapes, k of one unit", float(published), float(best.k), "activations",
                      entry.source, ("best_k",))  # fmt: skip


def _shape_rows(activation: Activation, published: tuple[int, ...], entry: Entry) -> Iterator[Row]:
    """The published shape, then each other one that is as good, with the bits of registers that make it so."""
    ranked = best_first(activation)
    best = ranked[0]
    mine = next(shape for shape in ranked if _sizes(shape) == published)
    near = [f"{_name(one)} x {one.product / best.product:.3f}" for one in ranked[:4]]
    others = [one for one in ties(ranked) if _sizes(one) != published]
    tied = f"; {', '.join(_name(one) for one in others)} ties" if others and mine in ties(ranked) else ""
    yield Row(
        f"shapes/{activation}", "shapes, area times power", 1.0, mine.product / best.product, "of the best",
        entry.source, ("best_shape",), remark=f"{', '.join(near)}; {len(ranked)} shapes{tied}.",
    )  # fmt: skip
    bits = BITS[activation]
    for one in others:
        yield Row(
            f"shapes/{activation}/tie/{_name(one)}", "shapes, ties", float(register_bits(activation, *published)),
            float(register_bits(activation, *_sizes(one))), "register bits",
            f"the same sum for {_name(mine)}: m tables of 2^(k-1) entries of {bits} bits, and k n bits of weights",
            remark=f"{one.m} x {1 << (one.k - 1)} x {bits} + {one.k} x {one.n}; all else of a shape depends on m n.",
        )  # fmt: skip


def _sizes(shape: Shape) -> tuple[int, int, int]:
    return shape.m, shape.n, shape.k


def _name(shape: Shape) -> str:
    return f"{shape.m}-{shape.n}-{shape.k}"
