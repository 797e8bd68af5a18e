"""Speed of the engines: tasks a second of CPU time, warm, the best of several runs.

    python benchmarks/engine.py [--tasks N] [--repeat N]

Queue-only plans are contended: a few hundred in-order queues, random dependences on earlier tasks, so that heads of
lines block most of the time. Exit status 1 when a target is missed: 2 million tasks/s compiled, 15 times the reference.
Plans bound by DRAM or network are timed apart, since there the servers' models take the time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from cairn.base.streams import stream
from cairn.base.ticks import Clock
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.server import build_stack_server
from cairn.hw_models.noc.server import build_noc_server
from cairn.hw_models.noc.spec import NocSpec
from cairn.hw_models.server import Server
from cairn.sim.engine import compiled, reference
from cairn.sim.plan.checks import check_plan
from cairn.sim.plan.plan import COMPUTE_COLUMNS, COPY_COLUMNS, NO_SERVER, SYNC, Edges, IntArray, Plan, Queue

TARGET_PER_S: Final = 2e6
TARGET_RATIO: Final = 15.0
QUEUES: Final = 320
MESH: Final = 8
TRANSFER_BYTES: Final = 4096


def contended_plan(n: int, reach: int | None = None) -> Plan:
    """`n` tasks of 1 to 999 ticks on random queues, 0 to 3 dependences each on any of the last `reach` tasks."""
    random = stream(1, "benchmark", n, reach or 0)
    target = np.repeat(np.arange(n), random.integers(0, 4, n))
    target = target[target > 0]
    source = target - 1 - (random.random(target.size) * np.minimum(target, reach or n)).astype(np.int64)
    queues = random.integers(0, QUEUES, n)
    return _plan(queues, random.integers(1, 1000, n), (source, target), QUEUES, depth=1)


def served_plan(n: int, server: str, table: IntArray, queues: IntArray, depth: int) -> Plan:
    """`n` independent requests to one server, from queues of some depth."""
    none = (np.empty(0, np.int64), np.empty(0, np.int64))
    return _plan(queues, np.zeros(n, np.int64), none, int(queues.max()) + 1, depth, server, table)


def _plan(
    queues: IntArray, duration: IntArray, pairs: tuple[IntArray, IntArray], count: int, depth: int,
    server: str | None = None, table: IntArray | None = None,
) -> Plan:  # fmt: skip
    n = queues.size
    order = np.argsort(pairs[0], kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(pairs[0], minlength=n))]).astype(np.int64)
    minus = np.full(n, NO_SERVER)
    served = server is not None
    return Plan(
        queue=queues, duration=duration, server=np.zeros(n, np.int64) if served else minus,
        request=np.arange(n) if served else minus, waits=np.bincount(pairs[1], minlength=n),
        on_first=Edges(np.zeros(n + 1, np.int64), np.empty(0, np.int64)), on_done=Edges(start, pairs[1][order]),
        op=minus, block=np.zeros(n, np.int64), kind=np.full(n, SYNC), row=minus,
        queues=tuple(Queue(f"q{index}", "unit", index, depth) for index in range(count)),
        servers=(server,) if server is not None else (), requests=(table,) if table is not None else (),
        compute=np.empty((0, len(COMPUTE_COLUMNS)), np.int64), copies=np.empty((0, len(COPY_COLUMNS)), np.int64),
    )  # fmt: skip


def dram_plan(n: int) -> tuple[Plan, dict[str, Server]]:
    """Reads of 4 KiB, one queue of depth 4 for each of 64 channels, rows in ascending order."""
    channels = MESH * MESH
    task = np.arange(n)
    table = np.zeros((n, 8), np.int64)
    table[:, 1], table[:, 3], table[:, 4] = task % channels, 1, (task // channels) % 1024
    table[:, 2], table[:, 5], table[:, 7] = (task // channels) % 4, TRANSFER_BYTES, TRANSFER_BYTES
    servers = {"dram": build_stack_server(DramSpec(), channels)}
    return served_plan(n, "dram", table, task % channels, depth=4), servers


def noc_plan(n: int) -> tuple[Plan, dict[str, Server]]:
    """Transfers of 4 KiB between random cores of an 8 x 8 mesh, one queue of depth 2 for each core."""
    random = stream(1, "benchmark", "noc")
    source = random.integers(0, MESH * MESH, n)
    destination = (source + random.integers(1, MESH * MESH, n)) % (MESH * MESH)
    table = np.stack([np.zeros(n, np.int64), source, destination, np.full(n, TRANSFER_BYTES)], axis=1)
    servers = {"noc": build_noc_server(NocSpec(), MESH, MESH, Clock.from_ghz(1.6))}
    return served_plan(n, "noc", np.ascontiguousarray(table), source, depth=2), servers


def best_s(work: Callable[[], object], repeat: int) -> float:
    """CPU seconds of the fastest of `repeat` runs."""
    times = []
    for _ in range(repeat):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def report(name: str, plan: Plan, servers: Mapping[str, Server], repeat: int, note: str = "") -> float:
    """Print and answer the tasks per second of the compiled engine."""
    rate = plan.n_tasks / best_s(lambda: compiled.simulate_plan(plan, servers, check=False), repeat)
    print(f"{name:<46}{rate / 1e6:>9.3f} M tasks/s  {note}")
    return rate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tasks", type=int, default=1_000_000, help="tasks of the compiled engine's plans")
    parser.add_argument("--repeat", type=int, default=5, help="runs, of which the fastest counts")
    options = parser.parse_args()
    n, repeat = options.tasks, options.repeat

    compiled.simulate_plan(contended_plan(100), {})
    plan = contended_plan(n)
    rate = report(f"compiled, {QUEUES} queues, any dependences", plan, {}, repeat, f"target {TARGET_PER_S / 1e6:g}")
    near = report("compiled, dependences on the last 5000", contended_plan(n, 5000), {}, repeat)
    check_s = best_s(lambda: check_plan(plan, {}), repeat)
    print(f"{'check_plan':<46}{n / check_s / 1e6:>9.3f} M tasks/s  {check_s * 1e3:.0f} ms")
    small = contended_plan(max(n // 50, 1000))
    slow = small.n_tasks / best_s(lambda: reference.simulate_plan(small, {}, check=False), min(repeat, 3))
    quick = report(f"compiled, {small.n_tasks} tasks", small, {}, repeat)
    print(f"{f'reference, {small.n_tasks} tasks':<46}{slow / 1e6:>9.3f} M tasks/s")
    print(f"{'ratio':<46}{quick / slow:>9.1f}            target {TARGET_RATIO:g}")
    for name, build in (
        ("DRAM, 64 channels, 4 KiB reads", dram_plan),
        ("network, 8 x 8 mesh, 4 KiB transfers", noc_plan),
    ):
        served, servers = build(max(n // 10, 1000))
        compiled.simulate_plan(served, servers)
        report(f"compiled, bound by {name}", served, servers, min(repeat, 3))
    return 0 if min(rate, near) >= TARGET_PER_S and quick / slow >= TARGET_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
