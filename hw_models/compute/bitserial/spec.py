"""Parameters of an array of dot-product elements. Defaults are those of BitMoD."""

from __future__ import annotations

from typing import Final

from pydantic import model_validator

from cairn.base.spec import Spec, required, sourced

MAX_SIDE: Final = 1 << 16
"""assumed: far beyond any published array; cycle counts then stay far below 2**63."""


class ElementSpec(Spec):
    """One element: its dot product, how it takes weight bits, its energy and area at 28 nm.

    `bits_per_cycle` None: bit-parallel, a pass a cycle whatever the weights (B2). `group` weights share a scale, which
    a bit-serial element applies in `scale_cycles`. `layout_factor`: energy after placement and routing over before.
    """

    dot: int = sourced(4, "BitMoD (HPCA 2025) sec. IV: four products a pass; test_bitmod.py: pe_dp_size", ge=1, le=1024)
    bits_per_cycle: int | None = sourced(
        2, "BitMoD simulator pe_array.py: half as many cycles as whole bits", ge=1, le=16
    )
    group: int = sourced(128, "BitMoD (HPCA 2025): 128 weights a group", ge=1, le=MAX_SIDE)
    scale_cycles: int = sourced(8, "BitMoD (HPCA 2025): an 8-bit scale, one bit a cycle", ge=0, le=64)
    energy_pj: float = sourced(0.56, "BitMoD simulator test_bitmod.py: pe_energy, a cycle of one element", gt=0, le=1e6)
    area_um2: float = sourced(1507.7, "BitMoD simulator test_bitmod.py: pe_area", gt=0, le=1e9)
    layout_factor: float = sourced(1.5, "BitMoD simulator pe_array.py: PR_SCALING", ge=1, le=10)


class DotArraySpec(Spec):
    """`rows` x `columns` elements; rows hold output channels, columns tokens, sums stay in place."""

    rows: int = required(ge=1, le=MAX_SIDE)
    columns: int = required(ge=1, le=MAX_SIDE)
    element: ElementSpec = sourced(ElementSpec(), "BitMoD, see there")

    @model_validator(mode="after")
    def _group_holds_a_dot(self) -> DotArraySpec:
        if self.element.group % self.element.dot:
            raise ValueError(f"element.dot ({self.element.dot}) must divide element.group ({self.element.group})")
        return self

    @property
    def elements(self) -> int:
        return self.rows * self.columns

    @property
    def peak_macs_per_pass(self) -> int:
        """Multiply-accumulates of all elements in a pass."""
        return self.elements * self.element.dot


BITMOD: Final = ElementSpec()
FP16: Final = ElementSpec(dot=1, bits_per_cycle=None, energy_pj=0.77, area_um2=1968.7)
"""BitMoD simulator test_baseline.py."""
ANT: Final = ElementSpec(dot=1, bits_per_cycle=None, energy_pj=0.56, area_um2=1318.6)
"""BitMoD simulator test_ant.py."""
OLIVE: Final = ElementSpec(dot=1, bits_per_cycle=None, energy_pj=0.613, area_um2=1318.6)
"""BitMoD simulator test_olive.py."""
