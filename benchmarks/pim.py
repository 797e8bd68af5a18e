"""Speed of the channel whose banks compute: CPU time of a product, and of a decode step on a chip with PIM, warm.

    python benchmarks/pim.py [--outputs N] [--inputs K] [--repeat N] [--step-repeat N] [--no-step] [--no-cold]

Times are those of the fastest of several runs, lowering included. Exit status 1 when a target is missed: a product of
4,096 x 4,096 on 32 channels of GDDR6_AiM, each channel simulated command by command, in 50 ms; the shipped decode step
of Llama-2-7B on PIM units beside cores, from configuration to record, in 5 s, also with all 32 layers simulated. All
channels of a product run one program, so a figure needs one of them alone; that time stands beside it.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from words import at_least_one

from cairn.base.errors import CairnError
from cairn.hw_models.pim import registers
from cairn.hw_models.pim.device import PimDevice, pim_device
from cairn.hw_models.pim.gemv import GemvMapping, lower_gemv
from cairn.hw_models.pim.program import Program
from cairn.hw_models.pim.simulate import simulate_channels
from cairn.sim.config.run_config import load
from cairn.sim.run import simulate

TARGET_MS: Final = 50
STEP: Final = "llama-2-7b-decode-pim"
"""The shipped run that is timed: 32 layers, two requests over 2,048 keys, `mapping.pim: auto`."""
STEP_TARGET_S: Final = 5.0
CASES: Final = (("GDDR6_AiM", 1), ("GDDR6_AiM", 8), ("HBM2_PIM", 8))
"""Presets, and sums that a bank holds at a time."""
COLD: Final = (
    "from cairn.hw_models.pim.device import pim_device\n"
    "from cairn.hw_models.pim.gemv import lower_gemv\n"
    "from cairn.hw_models.pim.simulate import simulate_program\n"
    "simulate_program(lower_gemv(pim_device('GDDR6_AiM'), 4096, 4096).program)\n"
)


def best_s(work: Callable[[], object], repeat: int) -> float:
    """CPU seconds of the fastest of `repeat` runs."""
    times = []
    for _ in range(repeat):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def program_of(device: PimDevice, outputs: int, inputs: int, accumulators: int) -> Program:
    """The program of a channel."""
    if device.unit.kind == "registers":
        return registers.lower_gemv(device, outputs, inputs).program
    return lower_gemv(device, outputs, inputs, GemvMapping(accumulators=accumulators)).program


def simulated(device: PimDevice, outputs: int, inputs: int, accumulators: int, channels: int) -> int:
    """Commands of all channels; lowers the product and simulates `channels` of them."""
    program = program_of(device, outputs, inputs, accumulators)
    return sum(sum(run.counts.values()) for run in simulate_channels([program] * channels))


def cold_s() -> tuple[float, float]:
    """CPU and wall seconds of a fresh process up to its first product."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", COLD], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - begin


def step(repeat: int) -> bool:
    """Time the decode step and print it, first with equal layers repeated; whether either misses the target."""
    missed = False
    for exact in (False, True):
        config = load(STEP, (f"engine.exact={str(exact).lower()}",))
        record = simulate(config)  # compiles, or loads what is compiled
        layers = config.model.layers
        simulated = max((each.simulated for each in record.repetitions), default=layers)
        warm = best_s(partial(simulate, config), repeat)
        late = warm > STEP_TARGET_S
        what = f"{record.total_ps / 1e9:.3f} ms, {simulated} of {layers} layers simulated"
        print(f"{STEP:<38}{warm:>8.2f} s   {what}{'  MISSED' if late else ''}")
        missed |= late
    return missed


def main() -> int:
    try:
        return run()
    except CairnError as refused:
        print(f"pim.py: {refused}", file=sys.stderr)
        return 2


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--outputs", type=at_least_one, default=4096, help="outputs of the product")
    parser.add_argument("--inputs", type=at_least_one, default=4096, help="inputs of the product")
    parser.add_argument("--repeat", type=at_least_one, default=5, help="runs, of which the fastest counts")
    parser.add_argument("--step-repeat", type=at_least_one, default=2, help="decode steps, of which the fastest counts")
    parser.add_argument("--no-step", action="store_true", help="leave out the decode step")
    parser.add_argument("--no-cold", action="store_true", help="leave out the time of a fresh process")
    options = parser.parse_args()

    missed, shape = False, (options.outputs, options.inputs)
    for preset, accumulators in CASES:
        device = pim_device(preset)
        channels = device.unit.channels
        commands = simulated(device, *shape, accumulators, channels)  # compiles, or loads what is compiled
        every, one = (
            1e3 * best_s(lambda: simulated(device, *shape, accumulators, count), options.repeat)  # noqa: B023
            for count in (channels, 1)
        )
        late = shape == (4096, 4096) and preset == "GDDR6_AiM" and every > TARGET_MS
        missed |= late
        name = f"{preset}, {accumulators} sums, {channels} channels"
        print(f"{name:<38}{every:>8.1f} ms  {commands / every / 1e3:>6.1f} M commands/s  one channel {one:.1f} ms"
              f"{'  MISSED' if late else ''}")  # fmt: skip
    if not options.no_step:
        missed |= step(options.step_repeat)
    if not options.no_cold:
        cpu, wall = cold_s()
        print(f"{'cold: a process, one product':<38}{cpu:>8.3f} s of CPU, {wall:.3f} s in all")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
