"""The chip beside a PIM-GPT memory: what banks cannot do (softmax, GELU, LayerNorm, adding parts of sums).

PIM-GPT has a 28 nm ASIC that expands exponentials and GELU in Taylor series, divides by Newton's method and finds
inverse square roots by the fast method. How many adders and multipliers it has was never published, nor how many terms
it takes: all of these are assumed here, and no result of the paper is claimed.
"""

from __future__ import annotations

from typing import Final, Literal

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, sourced

Function = Literal["softmax", "gelu", "layer_norm", "add"]
FUNCTIONS: Final[tuple[Function, ...]] = ("softmax", "gelu", "layer_norm", "add")


class AsicSpec(Spec):
    """Lanes that each do one addition or multiplication a clock."""

    clock_ghz: float = sourced(1.0, "arXiv 2310.09385 v2: 1 GHz, and slower ones to 100 MHz in its study", gt=0)
    lanes: int = sourced(64, "assumed: never published; a column of four channels at a time", gt=0)
    taylor_terms: int = sourced(6, "assumed: never published", gt=0)
    newton_steps: int = sourced(3, "assumed: never published", gt=0)

    def operations(self, function: Function) -> int:
        """Additions and multiplications for each element. ConfigError for an unknown function."""
        exponential = 2 * self.taylor_terms
        divide = 3 * self.newton_steps
        if function == "softmax":  # the maximum, its difference, the exponential, the sum, the quotient
            return 3 + exponential + divide
        if function == "gelu":  # a cubic, a tanh by one exponential and one quotient, two products
            return 6 + exponential + divide
        if function == "layer_norm":  # mean, difference, square, sum, scale and shift
            return 7
        if function == "add":
            return 1
        raise ConfigError(f"there is no function {function!r}; there are {', '.join(FUNCTIONS)}", key="function")

    def seconds(self, function: Function, elements: int) -> float:
        """Seconds for `elements` of a function; ConfigError below 0."""
        if elements < 0:
            raise ConfigError(f"must be 0 or more, got {elements}", key="elements")
        clocks = -(-elements // self.lanes) * self.operations(function)
        return clocks / (self.clock_ghz * 1e9)
