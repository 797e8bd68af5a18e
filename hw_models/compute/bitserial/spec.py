"""Parameters of an array of dot-product elements. Defaults are those of BitMoD."""

from __future__ import annotations

from typing import Final

from pydantic import model_validator

from cairn.base.spec import Spec, required, sourced

MAX_BITS: Final = 32
"""assumed: no published unit takes wider weights."""
MAX_SIDE: Final = 1 << 16
"""assumed: far beyond any published array; cycle counts then stay far below 2**63."""


class ElementSpec(Spec):
    """One element: its dot product, which weights it takes and how, its energy and area at 28 nm.

    `bits_per_cycle` None: bit-parallel, a pass a cycle whatever the weights (B2). `group` weights share a scale, which
    a bit-serial element applies in `scale_cycles` and `max_weight_bits` does not count. `layout_factor`: energy after
    placement and routing over before.
    """

    dot: int = sourced(4, "BitMoD (HPCA 2025) sec. IV: four products a pass; test_bitmod.py: pe_dp_size", ge=1, le=1024)
    bits_per_cycle: int | None = sourced(
        2, "BitMoD simulator pe_array.py: half as many cycles as whole bits", ge=1, le=16
    )
    max_weight_bits: int = sourced(
        8, "BitMoD (HPCA 2025) sec. IV: INT8, in four Booth terms, is the widest data type", ge=1, le=MAX_BITS
    )
    group: int = sourced(128, "BitMoD (HPCA 2025): 128 weights a group", ge=1, le=MAX_SIDE)
    scale_cycles: int = sourced(8, "BitMoD (HPCA 2025): an 8-bit scale, one bit a cycle", ge=0, le=64)
    energy_pj: float = sourced(0.56, "BitMoD simulator test_bitmod.py: pe_energy, a cycle of one element", gt=0, le=1e6)
    area_um2: float = sourced(1507.7, "BitMoD simulator test_bitmod.py: pe_area", gt=0, le=1e9)
    layout_factor: float = sourced(1.5, "BitMoD simulator pe_array.py: PR_SCALING", ge=1, le=10)

    @model_validator(mode="after")
    def _group_holds_whole_dots(self) -> ElementSpec:
        if self.group % self.dot:
            raise ValueError(f"dot ({self.dot}) must divide group ({self.group})")
        return self


class DotArraySpec(Spec):
    """`rows` x `columns` elements; rows hold output channels, columns tokens, sums stay in place."""

    rows: int = required(ge=1, le=MAX_SIDE)
    columns: int = required(ge=1, le=MAX_SIDE)
    element: ElementSpec = sourced(ElementSpec(), "BitMoD, see there")

    @property
    def elements(self) -> int:
        return self.rows * self.columns

    @property
    def peak_macs_per_pass(self) -> int:
        """Multiply-accumulates of all elements in a pass."""
        return self.elements * self.element.dot


BITMOD: Final = ElementSpec()
FP16: Final = ElementSpec(dot=1, bits_per_cycle=None, max_weight_bits=16, energy_pj=0.77, area_um2=1968.7)
"""BitMoD simulator test_baseline.py: both operands of a product are FP16."""
ANT: Final = ElementSpec(dot=1, bits_per_cycle=None, energy_pj=0.56, area_um2=1318.6)
"""BitMoD simulator test_ant.py; weights of up to 8 bits: ANT (MICRO 2022, arXiv 2208.14286), section IV."""
OLIVE: Final = ElementSpec(dot=1, bits_per_cycle=None, energy_pj=0.613, area_um2=1318.6)
"""BitMoD simulator test_olive.py; weights of 4 and 8 bits: OliVe (ISCA 2023, arXiv 2304.07493)."""
