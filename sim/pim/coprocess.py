"""Which experts go to the cores and which to PIM: the rule of Duplex (arXiv 2409.01141, section V-B)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Division:
    """Experts divided between two sides that work at the same time: which are on the cores, and when both are done."""

    on_cores: BoolArray
    cores_s: float
    pim_s: float

    @property
    def seconds(self) -> float:
        """Until the later side is done."""
        return max(self.cores_s, self.pim_s)


def divide(loads: npt.ArrayLike, cores_s: npt.ArrayLike, pim_s: npt.ArrayLike, sections: int = 0) -> Division:
    """The division that is done first, of those that give the cores the experts with the most tokens.

    `loads` are tokens of each expert, `cores_s` and `pim_s` what an expert takes on either side. The memory is cut
    into `sections` of consecutive experts that go together, since a unit reads only banks that the other does not (0:
    each expert by itself). With all or no experts on the cores among the choices, none is slower than a side alone.
    ConfigError when the lengths differ, are empty, or cannot be cut into sections.
    """
    tokens, cores, pim = (np.asarray(value, dtype=np.float64) for value in (loads, cores_s, pim_s))
    if tokens.ndim != 1 or tokens.size == 0 or tokens.shape != cores.shape or tokens.shape != pim.shape:
        sizes = f"{tokens.size}, {cores.size}, {pim.size}"
        message = f"give as many loads as times of both sides, in a row and at least one, not {sizes}"
        raise ConfigError(message, key="loads")
    count = tokens.size if sections == 0 else min(sections, tokens.size)
    if count < 1 or tokens.size % count:
        raise ConfigError(f"{tokens.size} experts cannot be cut into {sections} equal sections", key="sections")
    together = [part.reshape(count, -1).sum(axis=1) for part in (tokens, cores, pim)]
    order = np.argsort(-together[0], kind="stable")
    on_cores_s = np.concatenate(([0.0], np.cumsum(together[1][order])))
    on_pim_s = together[2].sum() - np.concatenate(([0.0], np.cumsum(together[2][order])))
    on_pim_s[-1] = 0.0
    best = int(np.argmin(np.maximum(on_cores_s, on_pim_s)))
    chosen = np.zeros(count, dtype=bool)
    chosen[order[:best]] = True
    return Division(np.repeat(chosen, tokens.size // count), float(on_cores_s[best]), float(on_pim_s[best]))
