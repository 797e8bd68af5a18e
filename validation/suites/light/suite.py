"""No run is faster than light: random small runs, and shipped ones, against the bounds of their own work."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.base.errors import InfeasibleError
from cairn.sim.config.run_config import RunConfig, load
from cairn.sim.record import RunRecord
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.shipped import shipped_runs
from cairn.validation.suites.light.bounds import simulated_bounds, step_bounds, transfers_too_fast
from cairn.validation.suites.light.random_runs import random_run

SEED = 1
QUICK, ALL = 300, 10_000
"""Random runs without and with `run_all`; the quick ones are the first of all."""
SHIPPED_QUICK = ("demo",)


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Three rows for each run: the step, what was simulated of it, and its transfers one by one."""
    from cairn.sim.run import simulate

    for name in shipped_runs() if run_all else SHIPPED_QUICK:
        yield from rows_of(name, "shipped", simulate(load(name)))
    for index in range(ALL if run_all else QUICK):
        yield from random_rows(random_run(SEED, index))


def random_rows(config: RunConfig) -> Iterator[Row]:
    """The rows of one random run. What does not fit is a row that counts for nothing; anything else that stops a run
    is a row without prediction, which fails."""
    from cairn.sim.run import simulate

    kind = f"{config.model.name}, {config.mapping.paradigm.value}"
    try:
        record = simulate(config)
    except InfeasibleError as refused:
        yield _refused(config.name, "infeasible", refused, 0.0, ())
    except Exception as broken:  # whatever stops a run is what is looked for here
        yield _refused(config.name, kind, broken, None, ("runs",))
    else:
        yield from rows_of(config.name, kind, record)


def _refused(name: str, kind: str, why: Exception, prediction: float | None, counts: tuple[str, ...]) -> Row:
    return Row(name, kind, 0.0, prediction, "runs", "cairn itself", counts, remark=f"{type(why).__name__}: {why}")


def rows_of(name: str, kind: str, record: RunRecord) -> Iterator[Row]:
    """Latency and makespan against the greatest of their bounds, and how many transfers were too fast."""
    for what, bounds, time_ps in (
        ("step", step_bounds(record), record.total_ps),
        ("simulated", simulated_bounds(record), record.trace.makespan),
    ):
        greatest = max(bounds, key=lambda key: bounds[key])
        if bounds[greatest] > 0:
            yield Row(
                f"{name}/{what}", f"{what}, {kind}", bounds[greatest] / 1e6, time_ps / 1e6, "us",
                f"speed of light: {greatest}", ("runs",),
            )  # fmt: skip
    yield Row(
        f"{name}/transfers", f"transfers, {kind}", 0.0, float(transfers_too_fast(record)), "tasks",
        "speed of light: latency, then bytes at the peak rate", ("transfers",),
    )  # fmt: skip
