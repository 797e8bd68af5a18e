"""Devices that compute, as data: a DRAM standard with further commands, sets of commands in rules, and switches.

A file of `devices/` is a DRAM standard (`hw_models/dram/standard.py`) with `commands`: what each further one reaches
and asks for; `roles` names those that a product uses. In `rules`, a name of `sets` stands for all commands of that set,
and several words for all of them: "MAC16 AF16 -> PREA". Where rules meet in one pair of commands of one scope, the
longest holds. `switches` are groups of rules that references treat differently (tFAW, power limits): a device has them
on or off.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import model_validator

from cairn.base.errors import ConfigError
from cairn.base.registry import nearest_hint
from cairn.base.spec import Spec, required, sourced
from cairn.hw_models.dram.standard import TRACED_COMMANDS, WRITTEN_COMMANDS, Preset, Standard

FOLDER: Final = Path(__file__).resolve().parent / "devices"
_FILE: Final = "the file of the device, which states its source"
_PLAIN: Final = "what most commands have; the file says where one differs"

Rules = dict[str, dict[str, str]]
Role = Literal["mac", "mac_odd", "fill", "bias", "result", "setup"]
"""What a command does for a product: computes (with the odd bank of a block), brings inputs, sets accumulators, takes
results away, prepares a pass."""


class PimCommand(Spec):
    """One command beyond those of DRAM standards.

    reach     "bank" one bank, "all" all banks of the channel, "none" registers alone
    row       what it does to rows: "opens" them, "closes" them, "needs" them open, "needs_and_closes", or "none"
    register_mode  it needs register mode (P3)
    latency   clocks from the command to the end of its work, an expression over timings
    blocks    the host waits for what it answers (P5)
    computes  units do arithmetic for it, beyond what `roles` names
    """

    reach: Literal["bank", "all", "none"] = required(_FILE)
    row: Literal["opens", "closes", "needs", "needs_and_closes", "none"] = sourced("none", _PLAIN)
    register_mode: bool = sourced(False, _PLAIN)
    latency: str = sourced("1", _PLAIN)
    blocks: bool = sourced(False, _PLAIN)
    computes: bool = sourced(False, _PLAIN)
    about: str = required(_FILE)


class Switch(Spec):
    """Rules that a device has or has not: `default` says whether it has them, `about` why references differ."""

    about: str = required(_FILE)
    default: bool = required(_FILE)
    rules: Mapping[str, Mapping[str, str]] = required(_FILE)


class Energy(Spec):
    """Energy of commands in pJ, and power in mW that a channel takes while rows are open, while none is, and always."""

    source: str = required(_FILE)
    command_pj: Mapping[str, float] = required(_FILE)
    open_mw: float = sourced(0.0, "the file says so where its source has a figure", ge=0)
    closed_mw: float = sourced(0.0, "the file says so where its source has a figure", ge=0)
    controller_mw: float = sourced(0.0, "the file says so where its source has a figure", ge=0)


class PimUnit(Spec):
    """What computes beside the banks of a preset.

    kind            "buffer": one dot product for each bank at a time, inputs from a buffer of the channel that all
                    banks listen to; "registers": blocks with register files, one for several banks
    channels        channels of the device, each with a stream of commands of its own
    units           units of a channel that work at one command
    lanes           elements that a unit takes from its bank's row with one command
    element_bits    bits of a weight
    buffer_bytes    inputs that a channel's buffer (or a block's input registers) holds
    accumulators    sums that a unit holds, None where the source sets no limit
    area_mm2        area of one unit, None where no source gives it
    """

    kind: Literal["buffer", "registers"] = required(_FILE)
    channels: int = required(_FILE, gt=0)
    units: int = required(_FILE, gt=0)
    lanes: int = required(_FILE, gt=0)
    element_bits: int = required(_FILE, gt=0)
    buffer_bytes: int = required(_FILE, gt=0)
    accumulators: int | None = sourced(None, "no limit where the file's source sets none", gt=0)
    area_mm2: float | None = sourced(None, "no figure where the file's source has none", gt=0)

    @property
    def access_bytes(self) -> int:
        return self.lanes * self.element_bits // 8


class PimPreset(Preset):
    """A preset with the units beside its banks."""

    source: str = required(_FILE)
    unit: PimUnit = required(_FILE)
    energy: Energy | None = sourced(None, "no figures where the file has none")


class PimStandard(Standard):
    """The commands, rules and presets of devices of one sort.

    `all_banks_only`: from the command that prepares a pass (`roles.setup`) to the one that takes its results away, all
    banks act as one, and commands to single banks are refused.
    """

    schema_id: Literal["cairn.pim_device/1"] = required(_FILE, alias="schema")  # type: ignore[assignment]
    commands: Mapping[str, PimCommand] = required(_FILE)
    mode_command: str | None = sourced(None, "a device without modes has none")
    all_banks_only: bool = sourced(False, "single banks are reached at any time, but for P3")
    latencies: Mapping[str, str] = sourced({}, "one clock")
    switches: Mapping[str, Switch] = sourced({}, "none where references agree")
    roles: Mapping[Role, str] = required(_FILE)
    presets: Mapping[str, PimPreset] = required(_FILE)

    @property
    def written_commands(self) -> tuple[str, ...]:
        return (*WRITTEN_COMMANDS, *self.commands)

    @property
    def traced_commands(self) -> tuple[str, ...]:
        return (*TRACED_COMMANDS, *self.commands)

    @property
    def all_bank_commands(self) -> tuple[str, ...]:
        further = tuple(name for name, command in self.commands.items() if command.reach != "bank")
        return ("PREA", "REF", *further)

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, content: Any) -> Any:
        """Rules of sets as rules of single commands."""
        if not isinstance(content, dict) or "sets" not in content:
            return content
        plain = {key: value for key, value in content.items() if key != "sets"}
        sets = content["sets"]
        plain["rules"] = _expanded(content.get("rules", {}), sets)
        switches = content.get("switches", {})
        plain["switches"] = {
            name: {**switch, "rules": _expanded(switch.get("rules", {}), sets)} for name, switch in switches.items()
        }
        return plain

    @model_validator(mode="after")
    def _commands_known(self) -> PimStandard:
        for name in self.commands:
            if name in TRACED_COMMANDS:
                raise ValueError(f"commands.{name}: a command of DRAM standards has this name")
        for role, name in self.roles.items():
            if name not in self.written_commands:
                raise ValueError(f"roles.{role}: there is no command {name!r}")
        if self.mode_command is not None and self.mode_command not in self.commands:
            raise ValueError(f"mode_command: there is no command {self.mode_command!r} among `commands`")
        for name, preset in self.presets.items():
            if preset.energy is not None and (wrong := set(preset.energy.command_pj) - set(self.written_commands)):
                raise ValueError(f"presets.{name}.energy.command_pj: there is no command {', '.join(sorted(wrong))}")
        return self

    def switched(self, on: frozenset[str]) -> PimStandard:
        """This standard with the rules of the switches `on` among its own."""
        rules: Rules = {scope: dict(written) for scope, written in self.rules.items()}
        for name in sorted(on):
            for scope, written in self.switches[name].rules.items():
                for rule, expression in written.items():
                    _add(rules.setdefault(scope, {}), rule, expression)
        return self.model_copy(update={"rules": rules})


def _expanded(rules: Mapping[str, Mapping[str, str]], sets: Mapping[str, list[str]]) -> Rules:
    found: Rules = {}
    for scope, written in rules.items():
        of_scope = found.setdefault(scope, {})
        for rule, expression in written.items():
            before, arrow, following = rule.partition("->")
            words = before.split()
            window = f"{words.pop(0)} " if words and words[0].isdigit() else ""
            if not arrow or not words or not following.split():
                raise ValueError(f"rule {rule!r}: this reads like 'MAC16 AF16 -> PREA' or '4 ACT -> ACT'")
            for first in _members(words, sets):
                for second in _members(following.split(), sets):
                    _add(of_scope, f"{window}{first} -> {second}", str(expression))
    return found


def _members(words: list[str], sets: Mapping[str, list[str]]) -> list[str]:
    return list(dict.fromkeys(command for word in words for command in sets.get(word, [word])))


def _add(rules: dict[str, str], rule: str, expression: str) -> None:
    """Add a rule; where the pair has one, the longer of both holds."""
    before = rules.get(rule)
    rules[rule] = expression if before is None or before == expression else f"max({before}, {expression})"


@cache
def pim_standards() -> Mapping[str, PimStandard]:
    """All shipped files of devices that compute, by name."""
    return {standard.name: standard for standard in map(read_pim_standard, sorted(FOLDER.glob("*.yaml")))}


def read_pim_standard(file: Path) -> PimStandard:
    """What a file describes; ConfigError naming the file when it cannot be read as one."""
    content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    try:
        return PimStandard.model_validate(content)
    except ValueError as wrong:
        raise ConfigError(str(wrong), file=str(file)) from wrong


def pim_presets() -> Mapping[str, str]:
    """All presets, each with the name of the standard that has it."""
    return {preset: standard.name for standard in pim_standards().values() for preset in standard.presets}


def pim_standard_of(preset: str) -> PimStandard:
    """The standard that has `preset`; ConfigError naming the nearest one when there is none."""
    known = pim_presets()
    if preset not in known:
        raise ConfigError(f"there is no PIM preset {preset!r}{nearest_hint(preset, known)}", key="preset")
    return pim_standards()[known[preset]]
