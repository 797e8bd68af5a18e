"""Networks as ANT's and MixPE's simulators run them at batch 64: sizes of products and their bits, from their lists.

Sources: bitfusion/src/benchmarks of yuzhang712/mixpe_simulator at 7e0d42c and of clevercool/ANT-Quantization. Sizes are
those of the published models; what is theirs alone is which layers have 8 bits, and MixPE's outliers.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from cairn.sim.layerwise.blocked import Layers

BATCH: Final = 64
"""run_mix.py and run_ant.py: batch_size."""

_Row = tuple[int, int, int, int, int]


class Decoder(NamedTuple):
    """A network of MixPE's list: `wide_layers` of ANT's have 8 bits; `patches` rows of a first product at high bits."""

    hidden: int
    width: int
    layers: int
    wide_layers: int
    patches: int = 0


DECODERS: Final = {
    "vit": Decoder(768, 3072, 12, 2, 196),
    "vit_huge": Decoder(1280, 5120, 32, 6, 196),
    "opt": Decoder(4096, 16384, 32, 6),
    "llama": Decoder(5120, 20480, 40, 8),
}
PATCH: Final = 768
"""Inputs of a patch: 3 x 16 x 16."""


def mixpe_layers(network: str, design: str) -> Layers:
    """Products of `network` on `design` of MixPE's comparison.

    Beside each layer there is one for its outliers: for MixPE a 128th of the columns over an eighth of the inputs, for
    all others an eighth of the columns, at the higher of the two precisions.
    """
    shape = DECODERS[network]
    high = 16 if design in ("FP16", "MixPE-W4A16") else 8
    mixed = design.startswith("MixPE")
    rows: list[_Row] = [(BATCH * shape.patches, shape.hidden, PATCH, 1, high)] if shape.patches else []
    matrices = [
        ("qkv", 3 * shape.hidden, shape.hidden),
        ("o", shape.hidden, shape.hidden),
        ("up", shape.width, shape.hidden),
        ("down", shape.hidden, shape.width),
    ]
    for name, n, k in matrices:
        rows += [(BATCH, n, k, count, bits) for bits, count in _bits(design, name, shape)]
        rows.append((BATCH, n // 128, k // 8, shape.layers, high) if mixed else (BATCH, n // 8, k, shape.layers, high))
    return _columns(rows)


def _bits(design: str, name: str, shape: Decoder) -> list[tuple[int, int]]:
    """Bits and number of the layers that have them."""
    if design == "ANT":
        return [(4, shape.layers - shape.wide_layers), (8, shape.wide_layers)]
    if design == "BitFusion" and name == "o":
        return [(4, shape.layers // 2), (8, shape.layers // 2)]
    return [({"MixPE-W4A8": 4, "FP16": 16}.get(design, 8), shape.layers)]


def ant_layers(network: str, design: str) -> Layers:
    """Products of `network` on `design` of ANT's comparison; AdaFloat has 8 bits everywhere."""
    column = 2 if design == "BitFusion" else 1 if design.startswith("ANT") else 3
    rows: list[_Row] = []
    for m, n, k, *wide in _ANT[network]:
        count = wide[0]
        eight = count if column == 3 else wide[column]
        rows += [(BATCH * m, n, k, number, bits) for bits, number in ((4, count - eight), (8, eight)) if number]
    return _columns(rows)


def _columns(rows: list[_Row]) -> Layers:
    return Layers(*np.array(rows, dtype=np.int64).T)


# tokens (or pixels) of one input, outputs, inputs, how often, of these with 8 bits in ANT, in BitFusion
_BERT_HEAD: Final = ((1, 768, 768, 1, 1, 1),)
_ANT: Final[dict[str, tuple[tuple[int, int, int, int, int, int], ...]]] = {
    "vgg16": (
        (224 * 224, 64, 27, 1, 1, 1),
        (224 * 224, 64, 576, 1, 0, 1),
        (112 * 112, 128, 576, 1, 0, 1),
        (112 * 112, 128, 1152, 1, 0, 1),
        (56 * 56, 256, 1152, 1, 0, 1),
        (56 * 56, 256, 2304, 2, 0, 2),
        (28 * 28, 512, 2304, 1, 0, 1),
        (28 * 28, 512, 4608, 2, 0, 2),
        (14 * 14, 512, 4608, 3, 0, 1),
        (1, 4096, 25088, 1, 0, 1),
        (1, 4096, 4096, 1, 0, 0),
        (1, 1000, 4096, 1, 1, 1),
    ),
    "resnet18": (
        (112 * 112, 64, 147, 1, 1, 1),
        (56 * 56, 64, 576, 4, 0, 4),
        (28 * 28, 128, 576, 1, 0, 1),
        (28 * 28, 128, 64, 1, 0, 1),
        (28 * 28, 128, 1152, 3, 0, 3),
        (14 * 14, 256, 1152, 1, 0, 1),
        (14 * 14, 256, 128, 1, 0, 1),
        (14 * 14, 256, 2304, 3, 0, 3),
        (7 * 7, 512, 2304, 1, 0, 1),
        (7 * 7, 512, 256, 1, 0, 1),
        (7 * 7, 512, 4608, 3, 0, 1),
        (1, 1000, 512, 1, 1, 1),
    ),
    "vit": (
        (197, 2304, 768, 12, 1, 12),
        (197, 768, 768, 12, 1, 6),
        (197, 3072, 768, 12, 5, 12),
        (197, 768, 3072, 12, 2, 12),
        (1, 1000, 768, 1, 1, 1),
    ),
    "bert_mnli": (
        (128, 768, 768, 48, 3, 37),
        (128, 3072, 768, 12, 0, 12),
        (128, 768, 3072, 12, 1, 7),
        *_BERT_HEAD,
        (1, 2, 768, 1, 1, 0),
    ),
    "bert_cola": (
        (128, 768, 768, 48, 7, 48),
        (128, 3072, 768, 12, 0, 12),
        (128, 768, 3072, 12, 1, 12),
        *_BERT_HEAD,
        (1, 2, 768, 1, 1, 1),
    ),
}
ANT_NETWORKS: Final = tuple(_ANT)
