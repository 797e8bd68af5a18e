"""From one process node to another: factors of area, delay and energy.

Nodes of 45 to 7 nm: Stillmaker and Baas, Scaling equations for the accurate prediction of CMOS device performance from
180 nm to 7 nm, Integration 58 (2017) 74-81: areas of table 4, polynomials in the supply voltage of table 5 (high
performance). Their coefficients were read from a transcription (wromaszkan/nodeScale, NanoCAD Laboratory, UCLA) and
checked with the energies that the authors' correction of section 4.2.1 works out. 28 nm is not among them: it lies
between 32 and 20 nm, where the logarithms of all factors are taken as linear in the logarithm of the node. 5 nm follows
from 7 nm by TSMC's statement of N5 against N7: 1.84 times the density, and 15 % faster or 30 % less power.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from cairn.base.errors import ConfigError

Node = Literal[45, 28, 16, 7, 5]
SUPPLY_V: Final[dict[int, float]] = {45: 0.9, 32: 0.9, 28: 0.9, 20: 0.9, 16: 0.8, 7: 0.7}
"""28 nm: 0.9 V, the corner of the reference's synthesis (its dc.tcl). 45 nm: 0.9 V, ISSCC 2014. 16 and 7 nm: nominal
voltages of the predictive models that the paper uses (PTM-MG: 0.85 and 0.7 V), 16 nm as TSMC's 16FF+ (0.8 V)."""
AREA: Final[dict[int, float]] = {45: 2.2, 32: 1.0, 20: 0.46, 16: 0.41, 7: 0.13}
"""Table 4, the row of 32 nm."""
DELAY: Final[dict[int, tuple[float, float, float, float]]] = {
    45: (-501.6, 1567.0, -1619.0, 566.1),
    32: (-1047.0, 2982.0, -2797.0, 873.5),
    20: (0.0, 34.63, -66.37, 41.15),
    16: (0.0, 24.8, -47.52, 28.87),
    7: (-28.58, 76.6, -70.26, 24.69),
}
"""Table 5: coefficients of V^3, V^2, V and 1."""
ENERGY: Final[dict[int, tuple[float, float, float]]] = {
    45: (1.018, -0.3107, 0.1539),
    32: (0.8367, -0.4341, 0.1701),
    20: (0.373, -0.1582, 0.04104),
    16: (0.2958, -0.1241, 0.03024),
    7: (0.1776, -0.09097, 0.02447),
}
"""Table 5: coefficients of V^2, V and 1."""
N5_DENSITY: Final = 1.84
"""TSMC on N5 against N7, as reported by WikiChip (Schor, TSMC Details 5 nm, March 2020)."""
N5_SPEED: Final = 1.15
N5_POWER: Final = 0.70
CITATION: Final = "Stillmaker and Baas, Integration 58 (2017) 74-81"


@dataclass(frozen=True)
class Scaling:
    """Factors that take area, delay and energy of a circuit from one node to another, and a sentence that says so."""

    area: float
    delay: float
    energy: float
    note: str


def scaling(source_nm: int, target_nm: int) -> Scaling:
    """Factors from `source_nm` to `target_nm`, each 45, 28, 16, 7 or 5; ConfigError otherwise."""
    before, after = _levels(source_nm), _levels(target_nm)
    if source_nm == target_nm:
        return Scaling(1.0, 1.0, 1.0, f"area and energy at {source_nm} nm, not scaled")
    area, delay, energy = (new / old for new, old in zip(after, before, strict=True))
    further = "; 5 nm by TSMC's density and power of N5 against N7" if 5 in (source_nm, target_nm) else ""
    note = f"area x {area:.3g} and energy x {energy:.3g} from {source_nm} nm to {target_nm} nm ({CITATION}{further})"
    return Scaling(area, delay, energy, note)


def _levels(node_nm: int) -> tuple[float, float, float]:
    """Area, delay and energy of a node, in the units of the paper."""
    if node_nm == 5:
        area, delay, energy = _levels(7)
        return area / N5_DENSITY, delay / N5_SPEED, energy * N5_POWER
    if node_nm == 28:
        share = math.log(32 / 28) / math.log(32 / 20)
        pairs = zip(_levels(32), _levels(20), strict=True)
        area, delay, energy = (large ** (1 - share) * small**share for large, small in pairs)
        return area, delay, energy
    if node_nm not in AREA:
        raise ConfigError(f"nodes are 45, 28, 16, 7 and 5 nm; got {node_nm}", key="node_nm")
    volts = SUPPLY_V[node_nm]
    cubic, square = DELAY[node_nm], ENERGY[node_nm]
    delay = ((cubic[0] * volts + cubic[1]) * volts + cubic[2]) * volts + cubic[3]
    return AREA[node_nm], delay, (square[0] * volts + square[1]) * volts + square[2]
