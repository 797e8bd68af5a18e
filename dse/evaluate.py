"""One point at cycle fidelity: each workload is simulated with the point laid over it; what cannot run is data."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from cairn.base.digest import code_digest
from cairn.base.errors import CairnError, ConfigError, InfeasibleError
from cairn.dse.fields import fields_of, static_fields
from cairn.dse.inner import best_choice, choices
from cairn.dse.outcome import Outcome, Status, broken_by_chip, failed, judged
from cairn.dse.sweep import Sweep, Workload
from cairn.sim.config.document import Place
from cairn.sim.config.resolve import RUN, override_value
from cairn.sim.config.run_config import RunConfig, complete, run_hash

if TYPE_CHECKING:
    from cairn.sim.mapping.kept import KeptPlan

CACHED: Final = 100_000
"""assumed: runs whose fields a process keeps; some 2 KB each."""

_results: dict[tuple[str, str], Mapping[str, float] | InfeasibleError] = {}
_kept: KeptPlan | None = None
"""The last plan of this process: designs that follow each other often differ in the bandwidth of the DRAM alone."""


class Evaluator(Protocol):
    """Finds out about one point, at full fidelity. It must be picklable, for it travels to workers."""

    def __call__(self, number: int) -> Outcome: ...


@dataclass(frozen=True)
class SweepEvaluator:
    """Simulates the workloads of a sweep."""

    sweep: Sweep

    def __call__(self, number: int) -> Outcome:
        """The outcome of a point with the best of its inner choices; a mistake in one design never ends a search."""
        return best_choice(self.sweep, [self._chosen(number, choice) for choice in choices(self.sweep)])

    def _chosen(self, number: int, choice: int) -> Outcome:
        start = time.perf_counter()
        try:
            configs = [configured(workload, self.sweep, number, choice) for workload in self.sweep.workloads]
            known = broken_by_chip(self.sweep, [static_fields(config.chip) for config in configs])
            if known is not None:
                return known
            fields = [simulated(config) for config in configs]
            return judged(self.sweep, fields, time.perf_counter() - start)
        except InfeasibleError as trouble:
            refusals = tuple(reason.as_dict() for reason in trouble.reasons)
        except ConfigError as trouble:  # parts that do not fit together: no such chip can be described
            refusals = (_unfit(str(trouble)),)
        except (CairnError, MemoryError, ArithmeticError, ValueError, RuntimeError, LookupError, TypeError) as trouble:
            what = "".join(traceback.format_exception(trouble)) if not isinstance(trouble, CairnError) else str(trouble)
            return failed(self.sweep, what)
        nothing = failed(self.sweep, "")
        spent = time.perf_counter() - start
        return Outcome(Status.INFEASIBLE, nothing.values, nothing.excess, {}, refusals, "", spent)


def _unfit(message: str) -> dict[str, Any]:
    """A combination that the configuration itself refuses, as an infeasibility: one mistake, none allowed."""
    return {
        "constraint": "configuration", "demand": 1.0, "bound": 0.0, "gap": 1.0, "unit": "mistakes", "remedy": message,
    }  # fmt: skip


def configured(workload: Workload, sweep: Sweep, number: int, choice: int = 0) -> RunConfig:
    """The run of a workload with a point and one of its inner choices laid over it, as `--set` would; ConfigError when
    it does not fit together."""
    document = workload.document
    settings = sweep.space.settings(number) | sweep.inner.settings(choice)
    for key, value in sorted(settings.items(), key=lambda setting: setting[0].count(".")):
        place = Place(f"point {number}")
        document = override_value(document, tuple(key.split(".")), value, place, RUN, sweep.folder)
    return complete(document)


def simulated(config: RunConfig) -> Mapping[str, float]:
    """Fields of a run, from this process's cache when it was simulated before; InfeasibleError as `simulate`."""
    key = (run_hash(config), code_digest())
    if key not in _results:
        while len(_results) >= CACHED:
            _results.pop(next(iter(_results)))
        _results[key] = _simulate(config)
    found = _results[key]
    if isinstance(found, InfeasibleError):
        raise found
    return found


def _simulate(config: RunConfig) -> Mapping[str, float] | InfeasibleError:
    from cairn.sim.mapping.kept import KeptPlan
    from cairn.sim.report.result import Result
    from cairn.sim.report.work import count_work
    from cairn.sim.run import simulate

    global _kept
    _kept = _kept or KeptPlan()
    try:
        record = simulate(config, kept=_kept)
    except InfeasibleError as trouble:
        return trouble
    weight = tuple(record.block_weight.tolist())  # designs with one plan differ in the bandwidth and in this
    return fields_of(Result(record, _kept.known(record.plan, weight, lambda: count_work(record))))
