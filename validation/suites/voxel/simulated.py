"""Steps that several rows share are simulated once; what Cairn refuses is a row without a prediction."""

from __future__ import annotations

from dataclasses import dataclass, field

from cairn.base.errors import CairnError
from cairn.sim.config.run_config import RunConfig, run_hash
from cairn.validation.suites.voxel.steps import StepTimes, operator_us, simulate_step


@dataclass
class Simulated:
    """Times of steps by the hash of their configuration."""

    _times: dict[str, StepTimes | CairnError] = field(default_factory=dict)
    _periods: dict[tuple[str, str], float | CairnError] = field(default_factory=dict)

    def operator(self, config: RunConfig, name: str) -> tuple[float | None, str]:
        """The period in us of an operator of a layer of `config`, or None and why it was refused."""
        key = run_hash(config), name
        if key not in self._periods:
            try:
                self._periods[key] = operator_us(config, name)
            except CairnError as refused:
                self._periods[key] = refused
        period = self._periods[key]
        return (None, f"Refused: {period}") if isinstance(period, CairnError) else (period, "")

    def step(self, config: RunConfig) -> tuple[StepTimes | None, str]:
        """The times of `config`, or None and why it was refused."""
        key = run_hash(config)
        if key not in self._times:
            try:
                self._times[key] = simulate_step(config)
            except CairnError as refused:
                self._times[key] = refused
        times = self._times[key]
        return (None, f"Refused: {times}") if isinstance(times, CairnError) else (times, "")
