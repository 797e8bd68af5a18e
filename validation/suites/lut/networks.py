"""Networks as ANT's and MixPE's simulators run them at batch 64: sizes of products and their bits, from their lists.

Sources: bitfusion/src/benchmarks of yuzhang712/mixpe_simulator at 7e0d42c and of clevercool/ANT-Quantization. Sizes are
those of the published models; what is theirs alone is which layers have 8 bits, and MixPE's outliers.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cairn.sim.layerwise.tilings import Layer

BATCH: Final = 64
"""run_mix.py and run_ant.py: batch_size."""

Layers = list[tuple[Layer, int]]
"""Layers and how often each is done."""


class Decoder(NamedTuple):
    """A network of MixPE's list: in ANT `wide_layers` have 8 bits; `patches` a side begin a vision transformer."""

    hidden: int
    width: int
    layers: int
    wide_layers: int
    patches: int = 0


DECODERS: Final = {
    "vit": Decoder(768, 3072, 12, 2, 14),
    "vit_huge": Decoder(1280, 5120, 32, 6, 14),
    "opt": Decoder(4096, 16384, 32, 6),
    "llama": Decoder(5120, 20480, 40, 8),
}
PATCH: Final = 16
"""Pixels a side of a patch."""


def mixpe_layers(network: str, design: str) -> Layers:
    """Products of `network` on `design` of MixPE's comparison.

    Beside each layer there is one for its outliers: for MixPE a 128th of the columns over an eighth of the inputs, for
    all others an eighth of the columns, at the higher of the two precisions.
    """
    shape = DECODERS[network]
    high = 16 if design in ("FP16", "MixPE-W4A16") else 8
    mixed = design.startswith("MixPE")
    found: Layers = [(Layer(BATCH, shape.hidden, 3, high, shape.patches, PATCH), 1)] if shape.patches else []
    matrices = [
        ("qkv", 3 * shape.hidden, shape.hidden),
        ("o", shape.hidden, shape.hidden),
        ("up", shape.width, shape.hidden),
        ("down", shape.hidden, shape.width),
    ]
    for name, n, k in matrices:
        found += [(Layer(BATCH, n, k, bits), times) for bits, times in _bits(design, name, shape)]
        outliers = Layer(BATCH, n // 128, k // 8, high) if mixed else Layer(BATCH, n // 8, k, high)
        found.append((outliers, shape.layers))
    return found


def _bits(design: str, name: str, shape: Decoder) -> list[tuple[int, int]]:
    """Bits and number of the layers that have them."""
    if design == "ANT":
        return [(4, shape.layers - shape.wide_layers), (8, shape.wide_layers)]
    if design == "BitFusion" and name == "o":
        return [(4, shape.layers // 2), (8, shape.layers // 2)]
    return [({"MixPE-W4A8": 4, "FP16": 16}.get(design, 8), shape.layers)]


def ant_layers(network: str, design: str) -> Layers:
    """Products of `network` on `design` of ANT's comparison; AdaFloat has 8 bits everywhere.

    OLAccel has them where a convolutional network begins and ends; its outliers go to other units, not counted.
    """
    place = {"ANT-OS": 0, "ANT-WS": 0, "BitFusion": 1}
    found: Layers = []
    for number, (shape, times, *wide) in enumerate(_ANT[network]):
        ends = times * (shape[1] == 1000 or number == 0) if _ANT[network][0][0][3] > 1 else 0
        eight = wide[place[design]] if design in place else ends if design == "OLAccel" else times
        rows, outputs, inputs, side, kernel = shape
        split = ((4, times - eight), (8, eight))
        found += [(Layer(BATCH * rows, outputs, inputs, bits, side, kernel), some) for bits, some in split if some]
    return found


_Shape = tuple[int, int, int, int, int]


def _conv(side: int, outputs: int, inputs: int, kernel: int = 3) -> _Shape:
    """A convolution with `side` x `side` outputs."""
    return (1, outputs, inputs, side, kernel)


def _matrix(rows: int, outputs: int, inputs: int) -> _Shape:
    return (rows, outputs, inputs, 1, 1)


# shape, how often, of these with 8 bits in ANT, in BitFusion
_POOLER: Final = (_matrix(1, 768, 768), 1, 1, 1)
_ANT: Final[dict[str, tuple[tuple[_Shape, int, int, int], ...]]] = {
    "vgg16": (
        (_conv(224, 64, 3), 1, 1, 1),
        (_conv(224, 64, 64), 1, 0, 1),
        (_conv(112, 128, 64), 1, 0, 1),
        (_conv(112, 128, 128), 1, 0, 1),
        (_conv(56, 256, 128), 1, 0, 1),
        (_conv(56, 256, 256), 2, 0, 2),
        (_conv(28, 512, 256), 1, 0, 1),
        (_conv(28, 512, 512), 2, 0, 2),
        (_conv(14, 512, 512), 3, 0, 1),
        (_matrix(1, 4096, 25088), 1, 0, 1),
        (_matrix(1, 4096, 4096), 1, 0, 0),
        (_matrix(1, 1000, 4096), 1, 1, 1),
    ),
    "resnet18": (
        (_conv(112, 64, 3, 7), 1, 1, 1),
        (_conv(56, 64, 64), 4, 0, 4),
        (_conv(28, 128, 64), 1, 0, 1),
        (_conv(28, 128, 64, 1), 1, 0, 1),
        (_conv(28, 128, 128), 3, 0, 3),
        (_conv(14, 256, 128), 1, 0, 1),
        (_conv(14, 256, 128, 1), 1, 0, 1),
        (_conv(14, 256, 256), 3, 0, 3),
        (_conv(7, 512, 256), 1, 0, 1),
        (_conv(7, 512, 256, 1), 1, 0, 1),
        (_conv(7, 512, 512), 3, 0, 1),
        (_matrix(1, 1000, 512), 1, 1, 1),
    ),
    "resnet50": (
        (_conv(112, 64, 3, 7), 1, 1, 1),
        (_conv(56, 64, 64, 1), 1, 0, 1),
        (_conv(56, 64, 64), 3, 0, 3),
        (_conv(56, 256, 64, 1), 4, 0, 4),
        (_conv(56, 64, 256, 1), 2, 0, 2),
        (_conv(56, 128, 256, 1), 1, 0, 1),
        (_conv(28, 128, 128), 4, 0, 2),
        (_conv(28, 512, 128, 1), 4, 0, 1),
        (_conv(28, 512, 256, 1), 1, 0, 1),
        (_conv(28, 128, 512, 1), 3, 0, 3),
        (_conv(28, 256, 512, 1), 1, 0, 1),
        (_conv(14, 256, 256), 6, 0, 1),
        (_conv(14, 1024, 256, 1), 6, 0, 1),
        (_conv(14, 1024, 512, 1), 1, 0, 1),
        (_conv(14, 256, 1024, 1), 5, 0, 5),
        (_conv(14, 512, 1024, 1), 1, 0, 1),
        (_conv(7, 512, 512), 3, 0, 0),
        (_conv(7, 2048, 512, 1), 3, 0, 0),
        (_conv(7, 2048, 1024, 1), 1, 0, 1),
        (_conv(7, 512, 2048, 1), 2, 0, 2),
        (_matrix(1, 1000, 2048), 1, 1, 1),
    ),
    "vit": (
        (_matrix(197, 2304, 768), 12, 1, 12),
        (_matrix(197, 768, 768), 12, 1, 6),
        (_matrix(197, 3072, 768), 12, 5, 12),
        (_matrix(197, 768, 3072), 12, 2, 12),
        (_matrix(1, 1000, 768), 1, 1, 1),
    ),
    "bert_mnli": (
        (_matrix(128, 768, 768), 48, 3, 37),
        (_matrix(128, 3072, 768), 12, 0, 12),
        (_matrix(128, 768, 3072), 12, 1, 7),
        _POOLER,
        (_matrix(1, 2, 768), 1, 1, 0),
    ),
    "bert_cola": (
        (_matrix(128, 768, 768), 48, 7, 48),
        (_matrix(128, 3072, 768), 12, 0, 12),
        (_matrix(128, 768, 3072), 12, 1, 12),
        _POOLER,
        (_matrix(1, 2, 768), 1, 1, 1),
    ),
    "bert_sst_2": (
        (_matrix(128, 768, 768), 48, 0, 36),
        (_matrix(128, 3072, 768), 12, 0, 12),
        (_matrix(128, 768, 3072), 12, 0, 2),
        (_matrix(1, 768, 768), 1, 0, 0),
        (_matrix(1, 2, 768), 1, 0, 0),
    ),
}
ANT_NETWORKS: Final = tuple(_ANT)
