"""DRAM standards as data: commands, timing rules, organisations and presets, one short YAML file for each standard.

A file of `standards/` has `rules`, by scope: "RD -> PRE: nRTP" in scope `bank` says that a precharge comes at least
nRTP clocks after a read command of the same bank; "4 ACT -> ACT" counts from the fourth-last activate. A scope binds
commands that share everything down to it; `other_rank` binds those of different ranks (stack ids) of one
pseudo-channel. Rules of the auto-precharging commands (RDA, WRA) follow from those of RD, WR and PRE.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import model_validator

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, required, sourced

FOLDER: Final = Path(__file__).resolve().parent / "standards"
SCOPES: Final = ("channel", "pseudo_channel", "rank", "bank_group", "bank", "other_rank")
COMMANDS: Final = ("ACT", "RD", "WR", "PRE", "PREA", "REF", "REFPB", "RDA", "WRA")
"""ACT activate, RD read, WR write, PRE precharge one bank, PREA precharge all banks of a refresh scope, REF refresh
that scope, REFPB refresh one bank, RDA and WRA read and write with automatic precharge."""
WRITTEN_COMMANDS: Final = COMMANDS[:7]
TRACED_COMMANDS: Final = (*COMMANDS, "ACT2", "CAS")
"""Names of a trace's commands by number: ACT2 ends a split activate, CAS starts the data clock."""
LEVELS: Final = ("pc", "rk", "bg", "ba", "row", "col")
"""Fields of an address inside a channel: pseudo-channel, rank (or stack id), bank group, bank, row, transaction."""


_FILE: Final = "the file of the standard, which states its source"
_LACKING: Final = "a level that a standard lacks has one member"
_PLAIN: Final = "what most standards have; the file of another says so"


class Organisation(Spec):
    """Sizes of a channel: pseudo-channels, ranks, bank groups per rank, banks per group, rows, transactions per row."""

    density_mb: int = required(_FILE, gt=0)
    width_bits: int = required(_FILE, gt=0)
    transaction_bytes: int = required(_FILE, gt=0)
    pc: int = sourced(1, _LACKING, gt=0)
    rk: int = sourced(1, _LACKING, gt=0)
    bg: int = sourced(1, _LACKING, gt=0)
    ba: int = required(_FILE, gt=0)
    row: int = required(_FILE, gt=0)
    col: int = required(_FILE, gt=0)


class Derived(Spec):
    """A timing in ns, or by the density (Mb) of a die's share of a channel: that of the least density not below."""

    ns: float | None = sourced(None, _PLAIN)
    ns_by_density_mb: Mapping[int, float] | None = sourced(None, _PLAIN)

    def value_ns(self, density_mb: int) -> float | None:
        """Nanoseconds at `density_mb`, None where the table has nothing for it."""
        if self.ns_by_density_mb is None:
            return self.ns
        above = [density for density in sorted(self.ns_by_density_mb) if density >= density_mb]
        return self.ns_by_density_mb[above[0]] if above else None


class SplitActivate(Spec):
    """An activate of two commands: the second follows within `deadline` clocks of the first."""

    deadline: str = required(_FILE)


class DataClock(Spec):
    """A data clock that runs on for this many clocks after a read or write, and else must be started by a command."""

    read: str = required(_FILE)
    write: str = required(_FILE)


class Preset(Spec):
    """A named device: organisation, clock period and timings in clocks."""

    organisation: str = required(_FILE)
    clock_ps: int = required(_FILE, gt=0)
    clocks: Mapping[str, int] = required(_FILE)


class Standard(Spec):
    """One standard as its file says it. Expressions name timings (clocks), with + - and max(...)."""

    schema_id: Literal["cairn.dram_standard/1"] = required(_FILE, alias="schema")
    name: str = required(_FILE)
    source: str = required(_FILE)
    ranks_are: Literal["none", "ranks", "stack ids"] = required(_FILE)
    refresh_scope: Literal["channel", "pseudo_channel", "rank"] = required(_FILE)
    read_latency: str = required(_FILE)
    write_latency: str = required(_FILE)
    row_and_column_bus: bool = sourced(False, _PLAIN)
    ticks_per_clock: Literal[1, 2] = sourced(1, _PLAIN)
    command_clocks: Mapping[str, float] = sourced({}, _PLAIN)
    split_activate: SplitActivate | None = sourced(None, _PLAIN)
    data_clock: DataClock | None = sourced(None, _PLAIN)
    rules: Mapping[str, Mapping[str, str]] = required(_FILE)
    derived: Mapping[str, Derived] = sourced({}, _PLAIN)
    organisations: Mapping[str, Organisation] = required(_FILE)
    presets: Mapping[str, Preset] = required(_FILE)

    @property
    def written_commands(self) -> tuple[str, ...]:
        """Commands that rules may name."""
        return WRITTEN_COMMANDS

    @property
    def traced_commands(self) -> tuple[str, ...]:
        """Names of a trace's commands by number."""
        return TRACED_COMMANDS

    @property
    def all_bank_commands(self) -> tuple[str, ...]:
        """Commands that reach all banks of a refresh scope."""
        return ("PREA", "REF")

    @model_validator(mode="after")
    def _readable(self) -> Standard:
        for scope, rules in self.rules.items():
            if scope not in SCOPES:
                raise ValueError(f"rules: there is no scope {scope!r}; one of {', '.join(SCOPES)} belongs here")
            for rule in rules:
                parse_rule(rule, self.written_commands)
        for name, preset in self.presets.items():
            if preset.organisation not in self.organisations:
                raise ValueError(f"presets.{name}: there is no organisation {preset.organisation!r}")
        return self


def parse_rule(rule: str, commands: Sequence[str] = WRITTEN_COMMANDS) -> tuple[int, str, str]:
    """(window, previous command, next command) of "4 ACT -> ACT"; ValueError when it reads otherwise."""
    before, arrow, following = rule.partition("->")
    words = before.split()
    window = words.pop(0) if len(words) == 2 else "1"
    if not arrow or len(words) != 1 or not window.isdigit() or int(window) < 1:
        raise ValueError(f"rule {rule!r}: this reads like 'RD -> PRE' or '4 ACT -> ACT'")
    for command in (words[0], following.strip()):
        if command not in commands:
            raise ValueError(f"rule {rule!r}: there is no command {command!r}; {', '.join(commands)} exist")
    return int(window), words[0], following.strip()


_OPERATORS: Mapping[type[ast.AST], Callable[[int, int], int]] = {ast.Add: operator.add, ast.Sub: operator.sub}


def evaluate(expression: str, clocks: Mapping[str, int]) -> int:
    """Clocks of an expression such as "nCWL + nBL + nWTRS"; ConfigError naming a timing that is missing."""

    def value(node: ast.AST) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name):
            if node.id not in clocks:
                raise ConfigError(f"the timing {node.id} is needed by {expression!r} and not given", key=node.id)
            return clocks[node.id]
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "max":
            return max(value(argument) for argument in node.args)
        raise ConfigError(f"{expression!r} is not made of timings, whole numbers, +, - and max")

    return value(ast.parse(expression, mode="eval").body)


def names_in(expression: str) -> set[str]:
    """The timings that an expression names."""
    return {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)} - {"max"}


@cache
def standards() -> Mapping[str, Standard]:
    """All shipped standards by name."""
    return {standard.name: standard for standard in map(read_standard, sorted(FOLDER.glob("*.yaml")))}


def read_standard(file: Path) -> Standard:
    """The standard that a file describes."""
    content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    return Standard.model_validate(content)


def presets() -> Mapping[str, str]:
    """All presets, each with the name of its standard."""
    return {preset: standard.name for standard in standards().values() for preset in standard.presets}


def standard_of(preset: str) -> Standard:
    """The standard that has `preset`; ConfigError naming the nearest one when there is none."""
    known = presets()
    if preset not in known:
        near = difflib.get_close_matches(preset, known, n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]}?" if near else ""
        listed = ", ".join(sorted(known))
        raise ConfigError(f"there is no DRAM preset {preset!r}{hint} There are {listed}", key="preset")
    return standards()[known[preset]]
