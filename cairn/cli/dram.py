"""`cairn dram`: one DRAM channel alone on a request trace or a pattern."""

from __future__ import annotations

import hashlib
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cairn.base.errors import ConfigError

if TYPE_CHECKING:
    from cairn.hw_models.dram.device import Device
    from cairn.hw_models.dram.mapping import AddressMap
    from cairn.hw_models.dram.request_list import RequestBlock
    from cairn.sim.report.dram_record import ChannelRun

DEFAULT_COUNT = 100_000
PATTERN_OPTIONS = ("count", "seed", "interval")
"""Options that only a pattern has."""

Tell = Callable[[str, float], None]


def dram(arguments: Namespace) -> int:
    """Simulate and report; with `--out` and `--commands` what is written appears whole or not at all."""
    if arguments.list:
        _list()
        return 0
    from cairn.hw_models.dram.device import device
    from cairn.hw_models.dram.mapping import AddressMap

    _check_options(arguments)
    from cairn.cli.dram_settings import controller_of, device_of

    if arguments.out is not None:
        _check_places(arguments)
    chosen = device_of(device(arguments.preset), arguments.settings)
    controller = controller_of(chosen, arguments.settings)
    run = _simulate(arguments, AddressMap.named(chosen, arguments.mapping), controller)
    if arguments.json:
        print(run.to_json())
        return 0
    from rich.console import Console

    from cairn.cli.run import REPORT_COLUMNS
    from cairn.sim.report.dram_console import print_channel_report

    width = None if sys.stdout.isatty() else REPORT_COLUMNS
    print_channel_report(run, Console(highlight=False, width=width))
    for place in (arguments.out, arguments.commands):
        if place is not None:
            print(f"written to {place}")
    return 0


def _check_options(arguments: Namespace) -> None:
    """ConfigError where options are missing or do not go together."""
    if arguments.preset is None:
        raise ConfigError("name a preset, such as HBM3_6400; 'cairn dram --list' lists them")
    if (arguments.trace is None) == (arguments.pattern is None):
        raise ConfigError("say what to run: either --trace FILE or --pattern NAME ('cairn dram --list' lists patterns)")
    if arguments.trace is not None:
        for name in PATTERN_OPTIONS:
            if getattr(arguments, name) is not None:
                raise ConfigError(f"--{name} belongs to --pattern; a trace says it itself")
    elif arguments.wrap:
        raise ConfigError("--wrap belongs to --trace; the addresses of patterns wrap always")
    for name, least in (("count", 1), ("interval", 0), ("seed", 0)):
        value = getattr(arguments, name)
        if value is not None and not least <= value < 1 << 62:
            raise ConfigError(f"--{name} is {value}, must be from {least} to {(1 << 62) - 1}")


def _check_places(arguments: Namespace) -> None:
    from cairn.cli.run import check_place
    from cairn.sim.report.dram_record import SCHEMA

    out = Path(arguments.out)
    check_place(out, SCHEMA.partition("/")[0])
    if arguments.commands is not None and Path(arguments.commands).absolute().is_relative_to(out.absolute()):
        raise ConfigError(f"--commands {arguments.commands}: lies in the result folder, which is written anew")


def _simulate(arguments: Namespace, mapping: AddressMap, controller: Any) -> ChannelRun:
    from cairn.cli.dram_commands import command_file
    from cairn.cli.progress import progress_bar, tell_of_compilation
    from cairn.hw_models.dram.simulate import simulate_channel
    from cairn.sim.report.dram_record import ChannelRun

    wall, cpu, hashed = time.perf_counter(), time.process_time(), hashlib.sha256()
    with ExitStack() as stack:
        tell = stack.enter_context(progress_bar()) or (lambda what, share: None)
        blocks, source = _requests(arguments, mapping, tell)
        first = next(blocks)  # what is wrong with the file is said before anything is compiled or written
        tell_of_compilation("hw_models/dram/control")
        sink = None
        if arguments.commands is not None:
            sink = stack.enter_context(command_file(Path(arguments.commands), mapping.device))
        result = simulate_channel(mapping.device, controller, _hashing(chain([first], blocks), hashed), commands=sink)
        about = {"controller": controller.model_dump(), **_resolved(mapping.device)}
        provenance = _provenance(about, hashed.hexdigest(), wall, cpu)
        run = ChannelRun(result, source, arguments.mapping, provenance)
        if arguments.out is not None:
            run.save(Path(arguments.out), plots=arguments.plots)
    return run


def _requests(arguments: Namespace, mapping: AddressMap, tell: Tell) -> tuple[Iterator[RequestBlock], dict[str, Any]]:
    """The requests in blocks, and what is noted about where they are from."""
    if arguments.trace is not None:
        from cairn.hw_models.dram.trace_file import read_trace

        def told(share: float) -> None:
            tell("simulating", share)

        source = {"trace": str(arguments.trace), "wrap": arguments.wrap}
        return read_trace(arguments.trace, mapping, wrap=arguments.wrap, progress=told), source
    count = DEFAULT_COUNT if arguments.count is None else arguments.count
    seed = 1 if arguments.seed is None else arguments.seed
    interval = arguments.interval or 0
    source = {"pattern": arguments.pattern, "count": count, "seed": seed, "interval": interval}
    return _pattern_blocks(source, mapping, tell), source


def _pattern_blocks(source: dict[str, Any], mapping: AddressMap, tell: Tell) -> Iterator[RequestBlock]:
    from cairn.hw_models.dram.request_list import pattern
    from cairn.hw_models.dram.trace_columns import BLOCK
    from cairn.hw_models.dram.trace_file import LATEST

    count, interval = source["count"], source["interval"]
    if (count - 1) * interval > LATEST:
        raise ConfigError(f"the last request would come after {LATEST:,} ticks; ask for fewer, or a shorter --interval")
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        yield pattern(source["pattern"], size, mapping, seed=source["seed"], interval=interval, first=first)
        tell("simulating", (first + size) / count)


def _hashing(blocks: Iterable[RequestBlock], hashed: Any) -> Iterator[RequestBlock]:
    """The same blocks; `hashed` is told every request, so that equal requests have equal hashes, whatever the file."""
    for block in blocks:
        hashed.update(np.stack([block.arrive, block.write, block.bank, block.row], axis=1).astype("<i8").tobytes())
        yield block


def _resolved(device: Device) -> dict[str, Any]:
    return {
        "preset": device.name, "organisation": device.organisation.model_dump(), "clock_ps": device.clock_ps,
        "clocks": dict(device.clocks),
    }  # fmt: skip


def _provenance(about: dict[str, Any], requests: str, wall: float, cpu: float) -> dict[str, Any]:
    import json

    from cairn.sim.run import code_version

    text = json.dumps({**about, "requests": requests}, sort_keys=True)
    return {
        "version": code_version(),
        "run_hash": hashlib.sha256(text.encode()).hexdigest()[:12],
        "requests_hash": requests[:12],
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
    }


def _list() -> None:
    """Print presets by standard, and patterns and mappings."""
    from cairn.hw_models.dram.device import device
    from cairn.hw_models.dram.mapping import ORDERS
    from cairn.hw_models.dram.request_list import PATTERNS
    from cairn.hw_models.dram.standard import standards

    for standard in standards().values():
        print(f"{standard.name}  ({standard.source})")
        for name in standard.presets:
            each = device(name)
            size = f"{each.organisation.pc} x " if each.organisation.pc > 1 else ""
            banks = f"{size}{each.banks // each.organisation.pc} banks"
            print(f"  {name:22} {each.peak_gb_per_s:7.1f} GB/s {each.capacity_bytes / 2**20:8,.0f} MiB  {banks}")
    print("patterns")
    for name, (_, meaning) in PATTERNS.items():
        print(f"  {name:22} {meaning}")
    print("mappings, from the least significant field on; each also with _xor")
    for name, order in ORDERS.items():
        print(f"  {name:22} {' '.join(order)}")
