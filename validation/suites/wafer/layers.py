"""The decode layer on one column and one row of a mesh, against the whole mesh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cairn.sim.wafer.decode import load_wafer, simulate_layer
from cairn.sim.wafer.spec import WaferSpec
from cairn.validation.rows import Row

SIDES: Final = (6, 12, 24, 48)
TILES: Final = (1, 12)
"""Elements of the hidden vector on a core."""


def small(side: int, tile: int) -> WaferSpec:
    """LLaMA3-8B's layer with as many elements as a small mesh has room for."""
    width = side * tile
    settings = {
        "mesh": side, "context": width, "model.hidden": width, "model.ffn.width": 3 * width, "model.attention.heads": 1,
        "model.attention.kv_heads": 1, "model.attention.head_dim": width, "name": f"layer-{side}-{tile}",
    }  # fmt: skip
    return load_wafer("llama-3-8b-decode-420", tuple(f"{key}={value}" for key, value in settings.items()))


def rows() -> Iterator[Row]:
    """Cycles of a layer on meshes that can be simulated whole."""
    for side in SIDES:
        for tile in TILES:
            spec = small(side, tile)
            yield Row(
                f"layer/{side}x{tile}", "layer, lines for mesh", simulate_layer(spec, whole=True), simulate_layer(spec),
                "cycles", "the whole mesh, simulated", ("coarsening",),
            )  # fmt: skip
