"""The command line: `cairn run`, `dse`, `dram`, `pim`, `noc`, `units`, `wafer`, `layers`, `duplex`, `pim-system`,
`validate`, `configs`, `show`.

A command imports what it needs when called.

Exit status: 0 done, 1 a validation gate failed, 2 a mistake in the input or an infeasible design, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from cairn.base.errors import CairnError, InfeasibleError

OK = 0
MISTAKE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141  # 128 + SIGPIPE, what a shell reports of a program that does not handle it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is answered, and nothing a person can cause ends in a stack trace."""
    arguments = build_parser().parse_args(argv)
    try:
        status = _execute(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return BROKEN_PIPE
    except InfeasibleError as trouble:
        from cairn.cli.infeasible import report_infeasible

        report_infeasible(trouble, as_json=getattr(arguments, "json", False))
        return MISTAKE
    except CairnError as trouble:
        print(f"cairn: {trouble}", file=sys.stderr)
        return MISTAKE
    except MemoryError:
        print(
            "cairn: out of memory: the run is too large for this machine; larger tiles (mapping.tile_kib, "
            "chip.sram.capacity_kib), a smaller workload or engine.exact=false make it smaller",
            file=sys.stderr,
        )
        return MISTAKE


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="cairn",
        description="Cycle-level simulator and design-space explorer for the chips that run large language models.",
        epilog="Start with 'cairn configs' and 'cairn run demo'.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_run(commands)
    _add_dse(commands)
    _add_dram(commands)
    _add_pim(commands)
    _add_noc(commands)
    _add_units(commands)
    _add_wafer(commands)
    _add_layers(commands)
    _add_duplex(commands)
    _add_pim_system(commands)
    _add_validate(commands)
    configs = commands.add_parser("configs", help="list the configurations that come with Cairn", allow_abbrev=False)
    kinds = ("chips", "models", "runs", "sweeps", "networks", "wafer", "accelerators", "duplex", "pim")
    configs.add_argument("kind", nargs="?", choices=kinds, help="only these (default: all)")
    show = commands.add_parser("show", help="print the fully resolved configuration as YAML", allow_abbrev=False)
    _add_config(show)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="a shipped name (see 'cairn configs runs') or a YAML file")
    parser.add_argument(
        "--set", dest="settings", metavar="KEY=VALUE", action="append", default=[],
        help="override one key, such as workload.batch=8 (may be repeated)",
    )  # fmt: skip


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser("run", help="simulate a run and report it", allow_abbrev=False)
    _add_config(run)
    run.add_argument("--out", metavar="DIR", help="write the result folder (tables, plots) here")
    run.add_argument("--json", action="store_true", help="print the result as JSON instead of tables")
    run.add_argument("--trace", action="store_true", help="also write the timeline of every task (needs --out)")
    run.add_argument("--engine", choices=("compiled", "reference"), help="the loop that runs the plan")
    run.add_argument("--exact", action="store_true", help="simulate every layer instead of repeating steady ones")
    run.add_argument("--no-plots", dest="plots", action="store_false", help="write no plots")


def _add_dse(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    search = commands.add_parser("dse", help="search many designs for the best ones", allow_abbrev=False)
    search.add_argument("sweep", metavar="SWEEP", help="a shipped name (see 'cairn configs sweeps') or a YAML file")
    search.add_argument("--out", metavar="DIR", help="write tables, run files and the study here")
    search.add_argument("--jobs", metavar="N", type=int, default=1, help="worker processes (default: 1)")
    search.add_argument(
        "--scheduler", metavar="ADDRESS", help="a Dask scheduler (tcp://host:8786), or slurm: --jobs jobs of a cluster"
    )
    search.add_argument("--resume", action="store_true", help="continue the study that is there")
    search.add_argument("--storage", metavar="URL", help="keep the study in this file, or database by Optuna's URL")
    search.add_argument("--points", metavar="N", type=int, help="simulate at most N designs, instead of the budget")
    search.add_argument("--minutes", metavar="M", type=float, help="stop after M minutes, instead of the budget")
    search.add_argument("--json", action="store_true", help="print the front as JSON instead of tables")


def _add_dram(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    channel = commands.add_parser("dram", help="simulate one DRAM channel on a request trace", allow_abbrev=False)
    channel.add_argument("preset", metavar="PRESET", nargs="?", help="a device, such as HBM3_6400 (see --list)")
    channel.add_argument("--list", action="store_true", help="list presets, patterns and mappings, and do nothing else")
    channel.add_argument(
        "--trace", metavar="FILE",
        help="requests as .csv, .txt (also .gz) or .parquet: columns address, type (R or W) and, where wanted, arrive "
        "(in ticks: clocks, for HBM3 and HBM4 half clocks) or arrive_ns; or row, bank (or pc, rk, bg, ba), type",
    )  # fmt: skip
    channel.add_argument("--wrap", action="store_true", help="count the trace's addresses modulo the capacity")
    channel.add_argument("--pattern", metavar="NAME", help="a built-in pattern instead, such as random_mix21")
    channel.add_argument("--count", metavar="N", type=int, help="requests of the pattern (default: 100000)")
    channel.add_argument("--seed", metavar="N", type=int, help="seed of random patterns (default: 1)")
    channel.add_argument("--interval", metavar="TICKS", type=int, help="ticks between its requests (default: 0)")
    channel.add_argument(
        "--mapping", metavar="NAME", default="bank_group_first", help="order of address fields (default: %(default)s)"
    )
    channel.add_argument(
        "--set", dest="settings", metavar="KEY=VALUE", action="append", default=[],
        help="change a timing (nRP=20), a size (rk=2), clock_ps, or the controller: scheduler, page, refresh, "
        "read_queue, write_queue, enter_writes, leave_writes (may be repeated)",
    )  # fmt: skip
    channel.add_argument("--out", metavar="DIR", help="write the result folder (JSON, CSV, plots) here")
    channel.add_argument("--commands", metavar="FILE", help="write every command to this CSV file")
    channel.add_argument("--json", action="store_true", help="print the result as JSON instead of tables")
    channel.add_argument("--no-plots", dest="plots", action="store_false", help="write no plots")


def _add_pim(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    memory = commands.add_parser("pim", help="simulate a product on a memory that computes", allow_abbrev=False)
    memory.add_argument("preset", metavar="PRESET", nargs="?", help="a device, such as GDDR6_AiM (see --list)")
    memory.add_argument("--list", action="store_true", help="list presets and switches, and do nothing else")
    memory.add_argument("--gemv", metavar="NxK", help="outputs x inputs of the matrix, such as 4096x4096")
    memory.add_argument("--vectors", metavar="N", type=int, default=1, help="vectors of the batch (default: 1)")
    memory.add_argument(
        "--map", dest="mapping", metavar="KEY=VALUE", action="append", default=[],
        help="order and layout: accumulators, vectors_together, inner, k_parts, share_rows (may be repeated)",
    )  # fmt: skip
    memory.add_argument("--sweep", action="store_true", help="simulate every mapping instead, the fastest first")
    memory.add_argument("--refresh", choices=("none", "all_bank"), default="none", help="default: %(default)s")
    memory.add_argument(
        "--switch", dest="switches", metavar="NAME", action="append", help="rules to switch on (may be repeated)"
    )
    memory.add_argument(
        "--set", dest="settings", metavar="KEY=VALUE", action="append", default=[],
        help="change a timing (nRP=20), a size (row=64) or the units (channels=8; may be repeated)",
    )  # fmt: skip
    memory.add_argument("--json", action="store_true", help="print the result as JSON instead of a table")


def _add_noc(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    network = commands.add_parser("noc", help="simulate a network alone, under load or a batch", allow_abbrev=False)
    network.add_argument("config", metavar="CONFIG", help="a shipped name ('cairn configs networks') or a YAML file")
    network.add_argument(
        "--set", dest="settings", metavar="KEY=VALUE", action="append", default=[],
        help="override one key, such as router.buffer_flits=8 (may be repeated)",
    )  # fmt: skip
    network.add_argument("--model", choices=("flit", "packet"), help="flits, exact, or packets, fast")
    network.add_argument("--out", metavar="DIR", help="write the result folder (JSON, CSV, plots) here")
    network.add_argument("--json", action="store_true", help="print the result as JSON instead of tables")
    network.add_argument("--no-plots", dest="plots", action="store_false", help="write no plots")


def _add_units(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    units = commands.add_parser("units", help="compare units for weights of few bits", allow_abbrev=False)
    units.add_argument("--list", action="store_true", help="list the units and their formats, and do nothing else")
    units.add_argument(
        "--activation", metavar="FORMAT", default="int8", help="int8, int16, fp8 or fp16 (default: %(default)s)"
    )
    units.add_argument("--bits", metavar="B,B,..", default="1,2,4", help="bits of weights (default: %(default)s)")
    units.add_argument(
        "--shape", metavar="MxNxK", default="2048x4096x4096", help="the product: M x K by K x N (default: %(default)s)"
    )
    units.add_argument(
        "--unit", metavar="NAME", action="append", default=[], help="only this unit (may be repeated; see --list)"
    )
    units.add_argument(
        "--area", metavar="MM2", type=float, default=1.0, help="what each unit may take (default: %(default)s)"
    )
    units.add_argument(
        "--node", metavar="NM", type=int, default=28, help="process node: 28, 16, 7 or 5 (default: %(default)s)"
    )
    units.add_argument("--clock", metavar="GHZ", type=float, help="one clock for all (default: each unit's own)")
    units.add_argument("--json", action="store_true", help="print the figures as JSON instead of tables")


def _add_wafer(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    wafer = commands.add_parser("wafer", help="simulate a decode on a wafer-scale mesh", allow_abbrev=False)
    wafer.add_argument("config", metavar="CONFIG", help="a shipped name ('cairn configs wafer') or a YAML file")
    wafer.add_argument(
        "--set", dest="settings", metavar="KEY=VALUE", action="append", default=[],
        help="override one key, such as mesh=540 (may be repeated)",
    )  # fmt: skip
    wafer.add_argument("--json", action="store_true", help="print the result as JSON instead of tables")


def _add_layers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    layers = commands.add_parser("layers", help="a model's products one by one on accelerators", allow_abbrev=False)
    layers.add_argument(
        "accelerators", metavar="ACCELERATOR", nargs="+",
        help="shipped names ('cairn configs accelerators') or YAML files; several are compared with the first",
    )  # fmt: skip
    layers.add_argument("--model", metavar="MODEL", required=True, help="a shipped name, a YAML file or a config.json")
    layers.add_argument("--phase", choices=("decode", "prefill"), default="decode", help="default: %(default)s")
    layers.add_argument(
        "--context", metavar="N", type=int, default=256,
        help="tokens of the prompt, or keys that the decoded token looks at (default: %(default)s)",
    )  # fmt: skip
    layers.add_argument("--weight-bits", metavar="B", type=float, help="bits of a weight with its scale, for all")
    layers.add_argument(
        "--set", dest="settings", metavar="KEY=VALUE", action="append", default=[],
        help="override one key of every accelerator, such as dram_bits_per_cycle=512 (may be repeated)",
    )  # fmt: skip
    layers.add_argument("--out", metavar="DIR", help="write the result folder (JSON, CSV) here")
    form = layers.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the result as JSON instead of tables")
    form.add_argument("--csv", action="store_true", help="print a row for each product as CSV instead of tables")


def _add_duplex(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    duplex = commands.add_parser("duplex", help="a decode step on GPUs with and without PIM", allow_abbrev=False)
    duplex.add_argument("config", metavar="CONFIG", help="a shipped name ('cairn configs duplex') or a YAML file")
    duplex.add_argument(
        "--set", dest="settings", metavar="KEY=VALUE", action="append", default=[],
        help="override one key, such as batch=128, model=mixtral-8x22b or choice=ops_per_byte (may be repeated)",
    )  # fmt: skip
    duplex.add_argument("--out", metavar="DIR", help="write the result folder (JSON, CSV, crossover plot) here")
    duplex.add_argument("--json", action="store_true", help="print the result as JSON instead of tables")


def _add_pim_system(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    system = commands.add_parser(
        "pim-system", help="a decode step on AttAcc, CENT or PIM-GPT, with energy and area", allow_abbrev=False
    )
    system.add_argument("config", metavar="CONFIG", help="a shipped name ('cairn configs pim') or a YAML file")
    system.add_argument(
        "--set", dest="settings", metavar="KEY=VALUE", action="append", default=[],
        help="override one key, such as batch=1, model=opt-66b or machine.placement=buffer (may be repeated)",
    )  # fmt: skip
    system.add_argument("--out", metavar="DIR", help="write the result folder (JSON, CSV) here")
    system.add_argument("--json", action="store_true", help="print the result as JSON instead of tables")


def _add_validate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser("validate", help="compare the models with their references", allow_abbrev=False)
    check.add_argument("suites", metavar="SUITE", nargs="*", help="which suites (default: all quick ones)")
    check.add_argument("--reference", metavar="DIR", help="take the reference rows from this folder")
    check.add_argument("--report", metavar="PATH", help="write the report here, as Markdown")
    check.add_argument("--json", action="store_true", help="print every row and gate as JSON")
    check.add_argument("--all", dest="run_all", action="store_true", help="also what takes minutes")
    check.add_argument("--csv", metavar="DIR", help="write the rows of each suite here, as CSV")
    check.add_argument("--verbose", action="store_true", help="print every row, not only those outside their gate")
    check.add_argument(
        "--constants", action="store_true", help="list the constants that were fitted and their rows; run nothing"
    )


def _execute(arguments: argparse.Namespace) -> int:
    if arguments.version:
        from cairn import __version__

        print(f"cairn {__version__}")
        return OK
    if arguments.command == "run":
        from cairn.cli.run import run

        return run(arguments)
    if arguments.command == "dse":
        from cairn.cli.dse import dse

        return dse(arguments)
    if arguments.command == "dram":
        from cairn.cli.dram import dram

        return dram(arguments)
    if arguments.command == "pim":
        from cairn.cli.pim import pim

        return pim(arguments)
    if arguments.command == "noc":
        from cairn.cli.noc import noc

        return noc(arguments)
    if arguments.command == "units":
        from cairn.cli.units import units

        return units(arguments)
    if arguments.command == "wafer":
        from cairn.cli.wafer import wafer

        return wafer(arguments)
    if arguments.command == "layers":
        from cairn.cli.layers import layers

        return layers(arguments)
    if arguments.command == "duplex":
        from cairn.cli.duplex import duplex

        return duplex(arguments)
    if arguments.command == "pim-system":
        from cairn.cli.pim_system import pim_system

        return pim_system(arguments)
    if arguments.command == "validate":
        from cairn.cli.validate import validate

        return validate(arguments)
    if arguments.command == "configs":
        from cairn.cli.configs import list_configs

        return list_configs(arguments.kind)
    if arguments.command == "show":
        from cairn.cli.show import show

        return show(arguments)
    build_parser().print_help()
    return OK


def _discard_output() -> None:
    """The reader of stdout is gone: what is still buffered goes nowhere, and Python's exit stays quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):  # stdout has no file descriptor
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
    finally:
        os.close(nowhere)
