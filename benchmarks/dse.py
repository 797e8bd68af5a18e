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
(none is better by more than that in both area and latency), are simulated cycle by cycle in `--jobs` processes. Of more
than N designs, N are taken, evenly along the front. Wall time (enumeration included), CPU time of a design, the memory
of the largest process and how many simulations failed are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy.typing as npt

    from cairn.dse.space import Space

SWEEPS: Final = {"decode": "voxel-decode", "prefill": "voxel-prefill"}
NEAR: Final = 0.05
TARGET_PER_S: Final = 200_000.0
BANDWIDTH: Final = "chip.dram.bandwidth_gb_per_s"
ONE_THREAD: Final = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


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
    batches = [many(space, designs, seed) for seed in range(repeat + 1)]
    columns = space.columns(numbers)
    cold = {"space_cold_s": cpu_s(lambda: Twin(config).evaluate(columns))}
    warm = {
        "space_s": min(cpu_s(lambda: Twin(config).evaluate(columns)) for _ in range(repeat)),
        "search_s": min(cpu_s(lambda: SweepCheap(sweep, tiers).table(numbers)) for _ in range(repeat)),
        "many_first_s": cpu_s(lambda: Twin(config).evaluate(batches[0])),
        "many_s": min(cpu_s(lambda batch=batch: Twin(config).evaluate(batch)) for batch in batches[1:]),
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_mb = peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
    return {"space": int(space.product), "designs": designs, "peak_mb": peak_mb, **cold, **warm}


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


def refine_one(task: tuple[str, int]) -> tuple[float, float, str]:
    """CPU seconds of one cycle simulation, peak memory of its process in MB, and what went wrong."""
    from cairn.base.errors import CairnError
    from cairn.dse.evaluate import configured, simulated
    from cairn.dse.sweep import load_sweep

    name, number = task
    sweep = load_sweep(name)
    begin, trouble = time.process_time(), ""
    try:
        simulated(configured(sweep.workloads[0], sweep, number))
    except (CairnError, MemoryError) as error:
        trouble = str(error) or type(error).__name__
    return time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, trouble


def report_refined(workloads: list[str], most: int, jobs: int) -> None:
    """Enumerate, then simulate the front and what is near it, and print what that took."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    import numpy as np

    print(f"{'cycle tier':<40}{'designs':>9}{'wall s':>9}{'CPU s each':>12}{'most':>8}{'peak MB':>9}{'failed':>8}")
    for workload in workloads:
        begin = time.perf_counter()
        near = near_front(SWEEPS[workload], NEAR)
        picked = near[np.unique(np.linspace(0, near.size - 1, min(most, near.size)).astype(np.int64))]
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            found = list(pool.map(refine_one, [(SWEEPS[workload], int(number)) for number in picked]))
        wall = time.perf_counter() - begin
        cpu, peak, troubles = zip(*found, strict=True)
        what = f"{workload}: {picked.size} of {near.size} near the front"
        failed = sum(map(bool, troubles))
        print(
            f"{what:<40}{picked.size:>9}{wall:>9.0f}{np.median(cpu):>12.2f}{max(cpu):>8.1f}{max(peak):>9.0f}{failed:>8}",
            flush=True,
        )


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
    parser.add_argument("--designs", type=int, default=200_000, help="designs of the large batch")
    parser.add_argument("--repeat", type=int, default=5, help="warm calls, of which the fastest counts")
    parser.add_argument("--measure", metavar="SWEEP", help=argparse.SUPPRESS)
    parser.add_argument("--refine", nargs="?", type=int, const=1 << 30, metavar="N", help="simulate near the front")
    parser.add_argument("--jobs", type=int, default=2, help="processes of --refine")
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(analytical(options.measure, options.designs, options.repeat)))
        return 0
    if options.refine is not None:
        report_refined(options.workloads, options.refine, options.jobs)
        return 0
    troubles = report_analytical(options.workloads, options.designs, options.repeat)
    for trouble in troubles:
        print(f"missed: {trouble}")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
