"""Which shape of an array, and which group of a single unit, the models find best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cairn.hw_models.compute.units.blocks import Activation
from cairn.hw_models.compute.units.shapes import best_first, single_units
from cairn.validation.reference import Entry
from cairn.validation.rows import Row

ACTIVATIONS: Final[tuple[Activation, ...]] = ("int8", "fp8", "int16", "fp16")


def rows(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Area times power of the published shape over that of the best one; the best k of a single unit."""
    entry = entries.get("ltc_best_tile")
    if entry is not None:
        for activation in ACTIVATIONS:
            yield _shape_row(activation, tuple(int(size) for size in entry.value), entry)
    entry = entries.get("ltc_best_k")
    if entry is not None:
        for activation in ACTIVATIONS:
            best = min(single_units(activation), key=lambda shape: shape.um2)
            published = entry.value[activation.startswith("fp")]
            yield Row(f"shapes/k/{activation}", "shapes, k of one unit", float(published), float(best.k), "activations",
                      entry.source, ("best_k",))  # fmt: skip


def _shape_row(activation: Activation, published: tuple[int, ...], entry: Entry) -> Row:
    ranked = best_first(activation)
    best = ranked[0]
    mine = next(shape for shape in ranked if (shape.m, shape.n, shape.k) == published)
    near = [f"{one.m}-{one.n}-{one.k} x {one.product / best.product:.3f}" for one in ranked[:4]]
    return Row(
        f"shapes/{activation}", "shapes, area times power", 1.0, mine.product / best.product, "of the best",
        entry.source, ("best_shape",), remark=f"{', '.join(near)}; {len(ranked)} shapes.",
    )  # fmt: skip
