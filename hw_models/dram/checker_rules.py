"""What a standard asks of any two commands, read from its data for the protocol checker.

A second reading of the standards, apart from `device.limits`, so that a mistake in the one shows as a violation found
by the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cairn.hw_models.dram.device import Device
from cairn.hw_models.dram.standard import evaluate

READS: Final = ("RD", "RDA")
WRITES: Final = ("WR", "WRA")
COLUMNS: Final = (*READS, *WRITES)
AUTOMATIC: Final = {"RD": "RDA", "WR": "WRA"}


@dataclass(frozen=True)
class Rule:
    """At least `needed` ticks from the first tick of the `window`-th last `previous` to that of `following`."""

    scope: str
    previous: str
    following: str
    window: int
    needed: int
    text: str


def length_ticks(device: Device, command: str) -> int:
    """Ticks for which a command keeps its bus."""
    standard = device.standard
    plain = {"RDA": "RD", "WRA": "WR"}.get(command, command)
    return int(standard.command_clocks.get(plain, 1) * standard.ticks_per_clock)


def rules_of(device: Device) -> list[Rule]:
    """Every timing rule of a device's standard, and those that it implies for automatic precharge."""
    standard, found = device.standard, []
    for scope, written in standard.rules.items():
        for text, expression in written.items():
            before, following = (part.split() for part in text.split("->"))
            window = int(before[0]) if len(before) > 1 else 1
            nominal = standard.ticks_per_clock * evaluate(expression, device.clocks)
            words = f"{scope}: {text}: {expression}"
            for first, second in _with_automatic(before[-1], following[0]):
                found.append(_between_stamps(device, scope, first, second, window, nominal, words))
        found.extend(_closing(device, scope))
    return found


def _between_stamps(
    device: Device, scope: str, first: str, second: str, window: int, nominal: int, words: str
) -> Rule:
    """A rule counts from the last tick of one command to the last of the other; stamps are the first ticks."""
    needed = nominal + length_ticks(device, first) - length_ticks(device, second)
    return Rule(scope, first, second, window, needed, words)


def _with_automatic(first: str, second: str) -> Iterator[tuple[str, str]]:
    """The commands that a rule between two binds. A row that closes by itself is not precharged by a command."""
    for before in {first, AUTOMATIC.get(first, first)}:
        for after in {second, AUTOMATIC.get(second, second)}:
            if not (before in AUTOMATIC.values() and after in ("PRE", "PREA")):
                yield before, after


def _closing(device: Device, scope: str) -> Iterator[Rule]:
    """After a read or write with automatic precharge: the wait before the precharge, and then that after it."""
    standard = device.standard
    written = standard.rules[scope]
    for close, after in (("PRE", "ACT"), ("PRE", "REFPB"), ("PREA", "REF")):
        for command, automatic in AUTOMATIC.items():
            until, then = written.get(f"{command} -> {close}"), written.get(f"{close} -> {after}")
            if until is not None and then is not None:
                clocks = evaluate(until, device.clocks) + evaluate(then, device.clocks)
                words = f"{scope}: {automatic} -> {after}: {until} + {then}"
                yield _between_stamps(device, scope, automatic, after, 1, standard.ticks_per_clock * clocks, words)


def banks_by_scope(device: Device) -> dict[str, int]:
    """How many consecutive flat banks share a node of each scope."""
    o = device.organisation
    group, rank = o.ba, o.bg * o.ba
    return {
        "channel": o.pc * o.rk * rank, "pseudo_channel": o.rk * rank, "rank": rank, "bank_group": group, "bank": 1,
    }  # fmt: skip
