"""Speed of a search: analytical designs a second of CPU time, and the cycle tier on what lies at the front.

    python benchmarks/dse.py [--designs N] [--repeat N] [--workloads decode prefill] [--refine [N]] [--jobs N]

For each workload, Llama-2-13B decoding and reading a prompt on the chip of Voxel's released code, in a process of its
own whose libraries have one thread:

* the space of the shipped sweep, Voxel's 6,300 designs: by the twin alone, and as a search asks for it (objectives and
  constraints included);
* many designs, no two alike: the axes of that space by a Sobol sequence, the bandwidth of the DRAM anywhere between
  its ends.

"cold" is the first call of the process: it loads compiled kernels, and works out what the twin keeps of each grid of
cores and workload (how much traffic which link carries). "warm" is the fastest of further calls with new designs. Exit
status 1 when the target is missed: 200,000 designs/s for many designs at once, warm.

`--refine` goes on from the enumerated space as a search does: the analytical front, and every design within 5 % of it
(none is better by more than that in both area and latency), are simulated cycle by cycle in `--jobs` processes, those
that differ in the bandwidth of the DRAM alone one after the other, the largest and the smallest plans at the same time.
Of more than N designs of a workload, N are taken, evenly along the front. CPU time (enumeration included), that of a
design, the memory of the largest process and how many simulations failed are printed, and wall time and memory of all
together. Without N, and with two jobs, exit status 1 when the target is missed: 5 minutes for all, in 2 GB for all
processes together, and no failure. Where other work shares the machine, the CPU time over the number of jobs says what
the wall time would be without it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt

    from cairn.dse.space import Space
    from cairn.dse.sweep import Sweep

SWEEPS: Final = {"decode": "voxel-decode", "prefill": "voxel-prefill"}
NEAR: Final = 0.05
TARGET_PER_S: Final = 200_000.0
BANDWIDTH: Final = "chip.dram.bandwidth_gb_per_s"
TARGET_WALL_S: Final = 300.0
TARGET_MB: Final = 2000.0
ONE_THREAD: Final = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


class Design(NamedTuple):
    """A design of a sweep, by its number, and its place among others: those that differ in the bandwidth of the DRAM
    alone next to each other, chips of many cores first, and of those with as many the ones with little SRAM, whose
    plans are the largest."""

    sweep: str
    number: int
    place: tuple[int, int, str, float]


class Taken(NamedTuple):
    """CPU seconds of a simulation, peak memory of its process so far in MB, and what went wrong."""

    cpu_s: float
    peak_mb: float
    trouble: str


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds that `work` takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def many(space: Space, count: int, seed: int) -> dict[str, npt.NDArray[Any]]:
    """Columns of `count` designs of a space by a scrambled Sobol sequence, their DRAM at any bandwidth in its range."""
    import numpy as np
    from scipy.stats import qmc

    shares = qmc.Sobol(len(space.radices) + 1, rng=np.random.default_rng(seed)).random_base2((count - 1).bit_length())
    shares = shares[:count]
    vectors = (shares[:, :-1] * space.radices).astype(np.int64)
    columns = space.columns(space.numbers(vectors))
    low, high = (float(choose(columns[BANDWIDTH])) for choose in (np.min, np.max))
    return {**columns, BANDWIDTH: low * (high / low) ** shares[:, -1]}


def analytical(sweep_name: str, designs: int, repeat: int) -> dict[str, Any]:
    """CPU seconds of the analytical tier on a sweep's space and on many designs, in this process."""
    import numpy as np

    from cairn.dse.sweep import load_sweep
    from cairn.dse.tiers import SweepCheap
    from cairn.dse.twin_tier import twin_tiers
    from cairn.sim.twin.twin import Twin

    sweep = load_sweep(sweep_name)
    tiers = twin_tiers(sweep)
    if tiers is None:
        raise SystemExit(f"{sweep_name}: the twin does not know all of its runs")
    space = sweep.space
    numbers = np.arange(space.product)
    config = sweep.workloads[0].config
    first, batches = many(space, designs, 0), (many(space, designs, seed) for seed in range(1, repeat + 1))
    columns = space.columns(numbers)
    cold = {"space_cold_s": cpu_s(lambda: Twin(config).evaluate(columns))}
    warm = {
        "space_s": min(cpu_s(lambda: Twin(config).evaluate(columns)) for _ in range(repeat)),
        "search_s": min(cpu_s(lambda: SweepCheap(sweep, tiers).table(numbers)) for _ in range(repeat)),
        "many_first_s": cpu_s(lambda: Twin(config).evaluate(first)),
        "many_s": min(cpu_s(lambda batch=batch: Twin(config).evaluate(batch)) for batch in batches),
    }
    return {"space": int(space.product), "designs": designs, "peak_mb": peak_mb(), **cold, **warm}


def near_front(sweep_name: str, share: float) -> npt.NDArray[Any]:
    """Numbers of the designs that no feasible design beats by more than `share` in both area and latency, from the
    smallest area on."""
    import numpy as np

    from cairn.dse.sweep import load_sweep
    from cairn.dse.tiers import SweepCheap
    from cairn.dse.twin_tier import twin_tiers

    sweep = load_sweep(sweep_name)
    tiers = twin_tiers(sweep)
    if tiers is None:
        raise SystemExit(f"{sweep_name}: the twin does not know all of its runs")
    table = SweepCheap(sweep, tiers).table(np.arange(sweep.space.product))
    numbers = np.nonzero(table.runs & (table.excess <= 0).all(axis=1))[0]
    values = table.values[numbers]
    order = np.lexsort((values[:, 1], values[:, 0]))
    numbers, values = numbers[order], values[order]
    lowest = np.minimum.accumulate(values[:, 1])  # the best latency of designs with no more area
    beaten_by = np.searchsorted(values[:, 0], values[:, 0] / (1 + share), side="right") - 1
    rival = np.where(beaten_by >= 0, lowest[beaten_by], np.inf)
    return np.asarray(numbers[values[:, 1] <= (1 + share) * rival])


@cache
def swept(name: str) -> Sweep:
    """The sweep of this name."""
    from cairn.dse.sweep import load_sweep

    return load_sweep(name)


def refine(design: Design) -> Taken:
    """What the cycle simulation of a design takes."""
    from cairn.base.errors import CairnError
    from cairn.dse.evaluate import configured, simulated

    sweep = swept(design.sweep)
    begin, trouble = time.process_time(), ""
    try:
        simulated(configured(sweep.workloads[0], sweep, design.number))
    except (CairnError, MemoryError) as error:
        trouble = str(error) or type(error).__name__
    return Taken(time.process_time() - begin, peak_mb(), trouble)


def peak_mb() -> float:
    """Peak memory of this process in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def design_of(sweep_name: str, number: int) -> Design:
    """The design of this number."""
    settings = swept(sweep_name).space.settings(number)
    cores = settings["chip.cores.rows"] * settings["chip.cores.columns"]
    rest = repr((sweep_name, [value for name, value in settings.items() if name != BANDWIDTH]))
    place = -cores, settings["chip.sram.capacity_kib"], rest, float(settings[BANDWIDTH])
    return Design(sweep_name, number, place)


class Near(NamedTuple):
    """What lies near a front: how many designs, those of them that are simulated, and what finding them took."""

    count: int
    picked: list[Design]
    taken: Taken


def enumerated(sweep_name: str, most: int) -> Near:
    """The designs near the front; of more than `most`, so many evenly along it."""
    begin = time.process_time()
    numbers = near_front(sweep_name, NEAR).tolist()
    count = min(most, len(numbers))
    places = sorted({(len(numbers) - 1) * index // max(count - 1, 1) for index in range(count)})
    picked = [design_of(sweep_name, numbers[place]) for place in places]
    return Near(len(numbers), picked, Taken(time.process_time() - begin, peak_mb(), ""))


def refined(workloads: list[str], most: int, jobs: int) -> tuple[dict[str, Near], dict[Design, Taken], float]:
    """What lies near the front of each workload, what simulating each design takes, and the sum of the peak memory of
    all `jobs` processes in MB.

    Every other process takes the largest design that is left, the others the smallest, so that the largest plans are
    never in memory together. One that has enumerated a space makes room for another, which simulates.
    """
    from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
    from multiprocessing import get_context

    from cairn.base.memory import keep_memory

    def process() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, get_context("spawn"), keep_memory)  # as those of a search

    asked, left = deque(workloads), deque[Design]()
    near: dict[str, Near] = {}
    found: dict[Design, Taken] = {}
    workers, peaks, idle = [process() for _ in range(jobs)], [0.0] * jobs, set(range(jobs))
    running: dict[Future[Any], tuple[int, Design | str]] = {}

    def go_on() -> None:
        for worker in sorted(idle):
            if asked:
                workload = asked.popleft()
                running[workers[worker].submit(enumerated, SWEEPS[workload], most)] = worker, workload
            elif left:
                design = left.pop() if worker % 2 else left.popleft()
                running[workers[worker].submit(refine, design)] = worker, design
            else:
                break
            idle.remove(worker)

    go_on()
    while running:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            worker, what = running.pop(future)
            if isinstance(what, Design):
                taken = found[what] = future.result()
            else:
                near[what] = future.result()
                taken = near[what].taken
                left = deque(sorted([*left, *near[what].picked], key=lambda design: design.place))
                workers[worker].shutdown()
                workers[worker] = process()
            peaks[worker] = max(peaks[worker], taken.peak_mb)
            idle.add(worker)
        go_on()
    for worker in workers:
        worker.shutdown()
    return near, found, sum(peaks)


def report_refined(workloads: list[str], most: int, jobs: int) -> list[str]:
    """Simulate what is near the fronts and print what that took; answers the targets that were missed."""
    begin = time.perf_counter()
    near, found, peak = refined(workloads, most, jobs)
    wall, memory = time.perf_counter() - begin, peak_mb() + peak
    print(
        f"{'cycle tier':<36}{'designs':>9}{'CPU s':>9}{'CPU/jobs':>10}{'median':>8}{'most':>8}{'peak MB':>9}"
        f"{'failed':>8}"
    )
    for workload in workloads:
        took = [found[design] for design in near[workload].picked]
        cpu = [each.cpu_s for each in took]
        total = sum(cpu) + near[workload].taken.cpu_s
        print(
            f"{f'{workload}: {len(cpu)} of {near[workload].count} near the front':<36}{len(cpu):>9}{total:>9.0f}"
            f"{total / jobs:>10.0f}{statistics.median(cpu):>8.2f}{max(cpu):>8.1f}"
            f"{max(each.peak_mb for each in took):>9.0f}{sum(bool(each.trouble) for each in took):>8}"
        )
    failed = sum(bool(each.trouble) for each in found.values())
    whole = all(len(each.picked) == each.count for each in near.values()) and jobs == 2
    print(f"together: {wall:.0f} s, at most {memory:.0f} MB in {jobs} processes and this one"
          + (f"; target {TARGET_WALL_S:.0f} s and {TARGET_MB:.0f} MB" if whole else ""))  # fmt: skip
    missed = (
        (whole and wall > TARGET_WALL_S, f"the cycle tier took {wall:.0f} s, target {TARGET_WALL_S:.0f}"),
        (whole and memory > TARGET_MB, f"the cycle tier took {memory:.0f} MB, target {TARGET_MB:.0f}"),
        (failed > 0, f"{failed} simulations failed"),
    )
    return [what for is_missed, what in missed if is_missed]


def in_own_process(arguments: list[str]) -> dict[str, Any]:
    """The findings of this file run with `arguments`, its libraries having one thread."""
    environment = {**os.environ, **ONE_THREAD}
    command = [sys.executable, __file__, *arguments]
    answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def line(what: str, designs: int, seconds: float, note: str = "") -> str:
    return f"{what:<58}{designs:>9,}{seconds:>9.3f}{designs / seconds:>13,.0f}  {note}".rstrip()


def report_analytical(workloads: list[str], designs: int, repeat: int) -> list[str]:
    """Measure and print the analytical tier; answers the targets that were missed."""
    print(f"{'analytical tier':<58}{'designs':>9}{'CPU s':>9}{'designs/s':>13}")
    troubles = []
    for workload in workloads:
        arguments = ["--measure", SWEEPS[workload], "--designs", str(designs), "--repeat", str(repeat)]
        in_own_process([*arguments[:2], "--designs", "64", "--repeat", "1"])  # compiles what is not in the cache yet
        found = in_own_process(arguments)
        rows = (
            ("the sweep's space, cold", "space", "space_cold_s"),
            ("the sweep's space, warm", "space", "space_s"),
            ("the sweep's space with objectives, warm", "space", "search_s"),
            ("many designs, first batch", "designs", "many_first_s"),
            ("many designs, warm", "designs", "many_s"),
        )
        for what, count, seconds in rows:
            note = f"target {TARGET_PER_S:,.0f}" if seconds == "many_s" else ""
            print(line(f"{workload}: {what}", found[count], found[seconds], note), flush=True)
        print(f"{f'{workload}: peak memory':<58}{found['peak_mb']:>9.0f} MB")
        rate = found["designs"] / found["many_s"]
        if rate < TARGET_PER_S:
            troubles.append(f"{workload}: {rate:,.0f} designs/s, target {TARGET_PER_S:,.0f}")
    return troubles


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workloads", nargs="+", choices=list(SWEEPS), default=list(SWEEPS))
    parser.add_argument("--designs", type=int, default=600_000, help="designs of the large batch")
    parser.add_argument("--repeat", type=int, default=5, help="warm calls, of which the fastest counts")
    parser.add_argument("--measure", metavar="SWEEP", help=argparse.SUPPRESS)
    parser.add_argument("--refine", nargs="?", type=int, const=1 << 30, metavar="N", help="simulate near the front")
    parser.add_argument("--jobs", type=int, default=2, help="processes of --refine")
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(analytical(options.measure, options.designs, options.repeat)))
        return 0
    if options.refine is not None:
        os.environ.update(ONE_THREAD)
        troubles = report_refined(options.workloads, options.refine, options.jobs)
    else:
        troubles = report_analytical(options.workloads, options.designs, options.repeat)
    for trouble in troubles:
        print(f"missed: {trouble}")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
