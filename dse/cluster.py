"""Who evaluates: workers of a Dask cluster, on this machine, on many, or under SLURM (`pip install 'cairn[dask]'`)."""

from __future__ import annotations

import contextlib
import importlib
import queue
from typing import Any, Final

from cairn.base.errors import CairnError
from cairn.dse.evaluate import Evaluator
from cairn.dse.outcome import Outcome, failed
from cairn.dse.workers import TRIES, Closing

SLURM: Final = "slurm"
"""Instead of an address: start a cluster of SLURM jobs, set up by dask-jobqueue's own configuration file."""
CONNECT_SECONDS: Final = 20
"""assumed: a scheduler that does not answer by then is not there."""


class Cluster(Closing):
    """Evaluates on the Dask workers of the scheduler at `address`, or on `jobs` SLURM jobs when it is `slurm`.

    Every worker needs the same version of Cairn. The evaluator travels once. As many points are under way as the
    cluster has threads when it is first asked, at least `jobs`.
    """

    def __init__(self, evaluate: Evaluator, address: str, jobs: int, counts: tuple[int, int]):
        distributed = _module("distributed", "dask")
        self._counts = counts
        self._cluster = _slurm(jobs) if address == SLURM else None
        try:
            self._client = distributed.Client(self._cluster or address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as trouble:
            reason = str(trouble).splitlines()[0]
            raise CairnError(f"--scheduler {address}: no Dask scheduler answers there: {reason}") from None
        self._client.forward_logging(level=50)
        self._evaluate = self._client.scatter(evaluate, broadcast=True, hash=False) if self._threads() else evaluate
        self.workers = max(jobs, self._threads())
        self._finished: queue.Queue[Any] = queue.Queue()
        self._tries: dict[int, int] = {}

    def _threads(self) -> int:
        return sum(self._client.nthreads().values())

    def submit(self, number: int) -> None:
        self._tries[number] = self._tries.get(number, 0) + 1
        future = self._client.submit(_evaluated, self._evaluate, number, pure=False, retries=0)
        future.add_done_callback(lambda done: self._finished.put((number, done)))

    def finished(self) -> tuple[int, Outcome]:
        while True:
            number, future = self._finished.get()
            if future.status == "finished":
                outcome: Outcome = future.result()
                return number, outcome
            if self._tries[number] < TRIES:
                self.submit(number)
                continue
            reason = str(future.exception()) if future.status == "error" else future.status
            return number, failed(self._counts, f"its Dask worker was lost {TRIES} times: {reason}")

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        with contextlib.suppress(Exception):  # the scheduler may be gone, and then there is nothing to leave
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def _evaluated(evaluate: Evaluator, number: int) -> Outcome:
    return evaluate(number)


def _slurm(jobs: int) -> Any:
    """A cluster of `jobs` SLURM jobs; cores, memory, queue and account come from dask-jobqueue's configuration
    (`~/.config/dask/jobqueue.yaml`, https://jobqueue.dask.org)."""
    jobqueue = _module("dask_jobqueue", "dask")
    try:
        cluster = jobqueue.SLURMCluster()
    except (ValueError, TypeError) as trouble:
        raise CairnError(
            f"--scheduler slurm: dask-jobqueue cannot describe a job: {trouble}; set cores and memory under "
            "jobqueue.slurm in ~/.config/dask/jobqueue.yaml"
        ) from None
    cluster.scale(jobs=jobs)
    return cluster


def _module(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise CairnError(f"--scheduler needs the package {name}: pip install 'cairn[{extra}]'") from None
