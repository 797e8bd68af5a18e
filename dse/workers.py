"""Who evaluates: this process, or processes on this machine. Results come in any order; nothing depends on it."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Final, Protocol, Self

from cairn.base.memory import keep_memory
from cairn.dse.evaluate import Evaluator
from cairn.dse.outcome import Outcome, failed

TRIES: Final = 2
"""A point whose worker dies is tried once more, for the machine may be to blame; then the point is."""


class Pool(Protocol):
    """Takes point numbers and answers outcomes as they are finished."""

    workers: int

    def submit(self, number: int) -> None: ...

    def finished(self) -> tuple[int, Outcome]:
        """The next finished point; waits for it. Only while something is under way."""
        ...

    def close(self) -> None: ...


def run_all(pool: Pool, numbers: Iterable[int]) -> Iterator[tuple[int, Outcome]]:
    """Outcomes of `numbers`, each as soon as it is there."""
    waiting = 0
    for number in numbers:
        pool.submit(number)
        waiting += 1
    for _ in range(waiting):
        yield pool.finished()


class Closing:
    """A pool that `with` closes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to let go of."""


class Here(Closing):
    """Evaluates in this process, one point after the other, when its outcome is asked for."""

    workers = 1

    def __init__(self, evaluate: Evaluator):
        self._evaluate = evaluate
        self._waiting: deque[int] = deque()

    def submit(self, number: int) -> None:
        self._waiting.append(number)

    def finished(self) -> tuple[int, Outcome]:
        number = self._waiting.popleft()
        return number, self._evaluate(number)

    def clear(self) -> None:
        """Forget what has not begun."""
        self._waiting.clear()


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    number: int | None = None


@dataclass
class _Task:
    number: int
    tries: int = field(default=0)


class Processes(Closing):
    """Evaluates in `count` processes that are started afresh, and started again when they die.

    Workers ignore Ctrl-C, which is for this process to handle, and end when this process is gone.
    """

    def __init__(self, evaluate: Evaluator, count: int, counts: tuple[int, int]):
        self.workers = count
        self._evaluate, self._counts = evaluate, counts
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._waiting: deque[_Task] = deque()
        self._tasks: dict[int, _Task] = {}
        self._lost: deque[tuple[int, Outcome]] = deque()

    def submit(self, number: int) -> None:
        self._waiting.append(_Task(number))
        self._deal()

    def finished(self) -> tuple[int, Outcome]:
        while True:
            if self._lost:
                return self._lost.popleft()
            self._deal()
            busy = {worker.pipe: worker for worker in self._workers if worker.number is not None}
            for ready in wait(list(busy)):
                worker = busy[ready]  # type: ignore[index]
                try:
                    number, outcome = worker.pipe.recv()
                except (EOFError, OSError):
                    self._buried(worker)
                    break
                worker.number = None
                self._tasks.pop(number)
                self._deal()
                return number, outcome

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    def _deal(self) -> None:
        """Give waiting points to idle workers, starting workers up to their number."""
        while self._waiting:
            idle = next((worker for worker in self._workers if worker.number is None), None)
            if idle is None:
                if len(self._workers) >= self.workers:
                    return
                idle = self._started()
            task = self._waiting.popleft()
            task.tries += 1
            idle.number = task.number
            self._tasks[task.number] = task
            with suppress(OSError):  # it died while idle: its pipe says so when it is waited for
                idle.pipe.send(task.number)

    def _started(self) -> _Worker:
        mine, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._evaluate, list(sys.path)), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, mine)
        self._workers.append(worker)
        return worker

    def _buried(self, worker: _Worker) -> None:
        """A worker died: its point is tried again, or is lost when it was tried enough."""
        worker.process.join(5)
        worker.pipe.close()
        self._workers.remove(worker)
        if worker.number is None:
            return
        task = self._tasks.pop(worker.number)
        if task.tries < TRIES:
            self._waiting.appendleft(task)
            return
        code = worker.process.exitcode or 0
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        self._lost.append((task.number, failed(self._counts, f"its worker process ended {how}, {TRIES} times")))


def _serve(pipe: Connection, evaluate: Evaluator, path: list[str]) -> None:
    """What a worker does: evaluate what comes through its pipe until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[:] = path
    keep_memory()
    with suppress(EOFError, OSError):
        while True:
            number = pipe.recv()
            pipe.send((number, evaluate(number)))
