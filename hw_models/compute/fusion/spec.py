"""Parameters of an array of elements that split for narrow operands."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import model_validator

from cairn.base.spec import Spec, required, sourced

MAX_SIDE: Final = 1 << 16
"""assumed: far beyond any published array."""


class FusedArraySpec(Spec):
    """`rows` x `columns` elements of `high_bits`, each splitting down to `low_bits`; rows hold tokens (F2).

    Powers are of one element at `clock_mhz`, 28 nm.
    """

    name: str = required(min_length=1)
    rows: int = required(ge=1, le=MAX_SIDE)
    columns: int = required(ge=1, le=MAX_SIDE)
    high_bits: int = sourced(8, "BitFusion family conf_*.ini: high_prec", ge=1, le=32)
    low_bits: int = sourced(4, "BitFusion family conf_*.ini: low_prec", ge=1, le=32)
    dataflow: Literal["output_stationary", "weight_stationary"] = sourced(
        "output_stationary", "mixpe_simulator sweep.py: weight_stationary False"
    )
    clock_mhz: float = sourced(500.0, "BitFusion family conf_*.ini: frequency", gt=0, le=1e5)
    leakage_nw: float = sourced(64314.0, "reference/lut/mixpe_ant.yaml (mixpe_pe_power): 8/4 bits", ge=0, le=1e12)
    dynamic_nw: float = sourced(279960.0, "reference/lut/mixpe_ant.yaml (mixpe_pe_power): 8/4 bits", ge=0, le=1e12)

    @model_validator(mode="after")
    def _splits(self) -> FusedArraySpec:
        if self.high_bits % self.low_bits:
            raise ValueError(f"low_bits ({self.low_bits}) must divide high_bits ({self.high_bits})")
        return self

    @property
    def elements(self) -> int:
        return self.rows * self.columns

    @property
    def leakage_pj(self) -> float:
        """Static energy of all elements in a cycle."""
        return self.elements * self.leakage_nw / self.clock_mhz / 1e3

    @property
    def dynamic_pj(self) -> float:
        """Energy of all elements in a cycle of work, beside leakage."""
        return self.elements * self.dynamic_nw / self.clock_mhz / 1e3
