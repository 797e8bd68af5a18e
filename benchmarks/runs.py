"""Cost of whole runs: CPU time of a cold and of warm ones, phase by phase, and peak memory.

    python benchmarks/runs.py [--runs NAME[,key.path=value ...] ...] [--repeat N] [--no-cold]

Every run has a process of its own, so that its peak memory is its own: that of the first simulation, which is "cold"
(it loads libraries and compiled kernels); the fastest of N further ones is "warm". The start with an empty kernel
cache, which compiles everything, is measured last. Exit status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

T = TypeVar("T")

DECODE: Final = "llama-2-13b-decode"
PREFILL: Final = "llama-2-13b-prefill"
RUNS: Final = (DECODE, f"{DECODE},engine.exact=true", PREFILL, "mixtral-8x7b-decode", "llama-3-70b-decode",
               f"{DECODE},mapping.paradigm=dataflow")  # fmt: skip

TARGET_WARM_S: Final = 5.0
TARGET_PEAK_MB: Final = 1000.0
TARGET_COLD_S: Final = 60.0

RELEASED: Final = {DECODE: "442 s CPU, 2750 MiB", PREFILL: "149 s CPU, 683 MiB (one layer of 40)"}
"""The unmodified command of Voxel's released code: reference/stacked3d/voxel_runs.csv (released_cpu_s and
released_peak_mib of llama2-13.decode.best and llama2-13.prefill.best; machine: voxel_runs.README.md)."""

PHASES: Final = ("graph", "mapping", "plan build", "check", "simulate", "report")


def timed(work: Callable[..., T], *arguments: object) -> tuple[T, float]:
    """What `work` answers, and the CPU seconds it takes."""
    begin = time.process_time()
    answer = work(*arguments)
    return answer, time.process_time() - begin


def peak_mb() -> float:
    """Largest resident memory of this process so far, in 10^6 bytes (Linux counts it in KiB, macOS in bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def measure(name: str, repeat: int) -> dict[str, Any]:
    """Simulate a run `1 + repeat` times in this process."""
    from cairn.sim.config.run_config import load
    from cairn.sim.run import simulate

    start = time.process_time()
    key, *overrides = name.split(",")
    config = load(key, overrides)
    record = simulate(config)
    found: dict[str, Any] = {
        "cold_s": time.process_time() - start,
        "peak_mb": peak_mb(),
        "tasks": record.plan.n_tasks,
        "simulated": max((each.simulated for each in record.repetitions), default=0),
        "latency_ms": record.total_ps / 1e9,
    }
    del record
    found["warm_s"] = min((timed(simulate, config)[1] for _ in range(repeat)), default=None)
    found["phases"] = phases(config, max(found["simulated"], 1))
    return found


def phases(config: Any, count: int) -> dict[str, float]:
    """CPU seconds of each phase of a warm run in which at most `count` of equal blocks are simulated."""
    from cairn.sim.engine.compiled import simulate_plan
    from cairn.sim.mapping.options import Paradigm
    from cairn.sim.mapping.sequence import pipelined, straight
    from cairn.sim.plan.checks import check_plan
    from cairn.sim.report.result import Result
    from cairn.sim.run import simulate
    from cairn.workloads.build import build_graph

    write = pipelined if config.mapping.paradigm is Paradigm.DATAFLOW else straight
    seconds: dict[str, float] = {}
    graph, seconds["graph"] = timed(build_graph, config.model, config.workload, config.routing, config.seed)
    (_, builder), seconds["mapping"] = timed(write, config, graph, count)
    plan, seconds["plan build"] = timed(builder.build)
    servers = config.chip.servers()
    seconds["check"] = timed(check_plan, plan, servers)[1]
    seconds["simulate"] = timed(partial(simulate_plan, check=False), plan, servers)[1]
    del plan
    result = Result(simulate(config))
    seconds["report"] = timed(result.as_dict)[1]
    return seconds


def in_own_process(arguments: list[str], cache: str | None = None) -> tuple[dict[str, Any], float]:
    """The findings of this file run with `arguments`, and the CPU seconds of the whole process."""
    environment = {**os.environ, **({"CAIRN_CACHE_DIR": cache} if cache else {})}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = subprocess.run(
        [sys.executable, __file__, *arguments], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(answer.stdout), used


def line(name: str, found: dict[str, Any]) -> str:
    warm = "     -" if found["warm_s"] is None else f"{found['warm_s']:6.2f}"
    blocks = f"{found['simulated']} blocks" if found["simulated"] else "all blocks"
    return (
        f"{name:<44}{found['cold_s']:>7.2f}{warm:>8}{found['peak_mb']:>9.0f}{found['tasks'] / 1e6:>8.2f} M"
        f"{found['latency_ms']:>10.3f}  {blocks:<11}{RELEASED.get(name, '')}"
    )


def missed(name: str, found: dict[str, Any]) -> list[str]:
    """Targets that a run misses; only the decode step has some."""
    if name != DECODE:
        return []
    troubles = []
    if found["warm_s"] is not None and found["warm_s"] > TARGET_WARM_S:
        troubles.append(f"{name}: {found['warm_s']:.2f} s CPU warm, target {TARGET_WARM_S:g}")
    if found["peak_mb"] > TARGET_PEAK_MB:
        troubles.append(f"{name}: {found['peak_mb']:.0f} MB, target {TARGET_PEAK_MB:g}")
    return troubles


def report(names: list[str], repeat: int) -> list[str]:
    """Measure and print all runs; answers the targets that were missed."""
    print(f"{'run':<44}{'cold s':>7}{'warm s':>8}{'peak MB':>9}{'tasks':>10}{'step ms':>10}  simulated  Voxel's code")
    results, troubles = {}, []
    in_own_process(["--measure", "demo", "--only-once"])  # compiles what is not in the kernel cache yet
    for name in names:
        results[name], _ = in_own_process(["--measure", name, "--repeat", str(repeat)])
        print(line(name, results[name]), flush=True)
        troubles += missed(name, results[name])
    print(f"\n{'CPU seconds of one warm run':<44}" + "".join(f"{phase:>12}" for phase in PHASES))
    for name, found in results.items():
        print(f"{name:<44}" + "".join(f"{found['phases'][phase]:>12.3f}" for phase in PHASES))
    return troubles


def report_cold_start(name: str) -> list[str]:
    """Print the cost of a first run ever, with an empty kernel cache."""
    with tempfile.TemporaryDirectory() as cache:
        begin = time.perf_counter()
        _, cpu_s = in_own_process(["--measure", name, "--only-once"], cache)
        wall_s = time.perf_counter() - begin
    print(f"\n{name}, empty kernel cache: {cpu_s:.1f} s CPU, {wall_s:.1f} s wall   target {TARGET_COLD_S:g}")
    return [f"cold start: {cpu_s:.1f} s CPU, target {TARGET_COLD_S:g}"] if cpu_s > TARGET_COLD_S else []


def once(name: str) -> dict[str, Any]:
    """One simulation and nothing else."""
    from cairn.sim.config.run_config import load
    from cairn.sim.run import simulate

    key, *overrides = name.split(",")
    return {"latency_ms": simulate(load(key, overrides)).total_ps / 1e9}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", nargs="+", default=list(RUNS), help="shipped names, with overrides after commas")
    parser.add_argument("--repeat", type=int, default=3, help="warm runs, of which the fastest counts")
    parser.add_argument("--no-cold", action="store_true", help="leave out the start with an empty kernel cache")
    parser.add_argument("--measure", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--only-once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(once(options.measure) if options.only_once else measure(options.measure, options.repeat)))
        return 0
    troubles = report(options.runs, options.repeat)
    if not options.no_cold:
        troubles += report_cold_start(options.runs[0])
    for trouble in troubles:
        print(f"missed: {trouble}")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
