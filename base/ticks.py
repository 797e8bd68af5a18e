"""Time as integer picoseconds, and clocks that convert cycles to ticks without drift."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

PS_PER_NS: Final = 1_000
PS_PER_US: Final = 1_000_000
PS_PER_MS: Final = 1_000_000_000
PS_PER_S: Final = 1_000_000_000_000

NEVER: Final = (1 << 62) - 1
"""A tick after every tick that a run can reach; `next_event` answers it when nothing is under way."""


@dataclass(frozen=True)
class Clock:
    """A clock whose period is the exact fraction `num / den` picoseconds.

    `tick = cycles * num // den` and `cycle = ceil(tick * den / num)`, so no rounding error accumulates.
    """

    num: int
    den: int

    @classmethod
    def from_ghz(cls, frequency_ghz: float) -> Clock:
        """The clock of `frequency_ghz` (> 0); the decimal that was written is taken exactly, 1.6 as 16/10."""
        if not frequency_ghz > 0:
            raise ValueError(f"frequency_ghz must be positive, got {frequency_ghz}")
        period = Fraction(1000) / Fraction(str(frequency_ghz))
        return cls(period.numerator, period.denominator)

    def ticks(self, cycles: int) -> int:
        """Tick at which cycle number `cycles` begins."""
        return cycles * self.num // self.den

    def duration(self, cycles: int) -> int:
        """Ticks that `cycles` whole cycles last, rounded up: work is never faster than its clock."""
        return -(-cycles * self.num // self.den)

    def cycle(self, tick: int) -> int:
        """First cycle that begins at `tick` or later."""
        return -(-tick * self.den // self.num)


def ticks_from_ns(time_ns: float) -> int:
    """Nearest tick of a time in nanoseconds (>= 0)."""
    return round(Fraction(str(time_ns)) * PS_PER_NS)
