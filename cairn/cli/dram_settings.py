"""`--set` of `cairn dram`: timings, sizes and the clock of the device, and fields of the controller."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.standard import Organisation

if TYPE_CHECKING:
    from cairn.hw_models.dram.device import Device

MOST = 1_000_000
"""Clocks, ps or sizes beyond which a setting is taken for a mistake."""
MOST_BANKS = 1 << 16


def device_of(device: Device, settings: Iterable[str]) -> Device:
    """The device with those settings laid over it that are its own; all settings are checked for their names."""
    changes: dict[str, int] = {}
    for setting, key, value in map(_parts, settings):
        if key in ControllerSpec.model_fields:
            continue
        timing = key in device.clocks
        if not timing and key not in Organisation.model_fields and key != "clock_ps":
            raise ConfigError(_unknown(device, key), file=f"--set {setting}")
        least = 0 if timing and key not in ("nBL", "nBL_min") else 1
        most = 1 << 40 if key == "row" else MOST
        if not value.isascii() or not value.lstrip("-").isdigit() or not least <= int(value) <= most:
            raise ConfigError(
                f"must be a whole number from {least} to {most:,}, got {value!r}", file=f"--set {setting}", key=key
            )
        changes[key] = int(value)
    changed = device.changed(**changes)
    if changed.banks > MOST_BANKS or changed.capacity_bytes >= 1 << 62:
        size = f"{changed.banks:,} banks and {changed.capacity_bytes:.3g} bytes"
        raise ConfigError(f"the channel would have {size}, more than can be simulated", key="--set")
    longest = max(changed.limits(), key=lambda limit: limit.ticks)
    if longest.ticks >= changed.ticks("nREFI"):
        rule, due = f"{longest.previous} -> {longest.following}", changed.ticks("nREFI")
        raise ConfigError(
            f"{rule} would take {longest.ticks:,} ticks, and a refresh falls due every {due:,} (nREFI)", key="--set"
        )
    return changed


def controller_of(device: Device, settings: Iterable[str]) -> ControllerSpec:
    """The controller with those settings that are its own; ConfigError where the device cannot refresh so."""
    from cairn.sim.config.document import Document, Place
    from cairn.sim.config.problems import validate

    document = Document("--set")
    for setting, key, value in map(_parts, settings):
        if key in ControllerSpec.model_fields:
            document.data[key] = _scalar(value)
            document.places[(key,)] = Place(f"--set {setting}")
    return validate(document, ControllerSpec)


def _parts(setting: str) -> tuple[str, str, str]:
    key, equals, value = setting.partition("=")
    if not equals or not key.strip() or not value.strip():
        raise ConfigError("must read KEY=VALUE, such as nRP=20", file=f"--set {setting}")
    return setting, key.strip(), value.strip()


def _scalar(text: str) -> Any:
    """A number where the text is one, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _unknown(device: Device, key: str) -> str:
    groups = {
        "timings": [*device.clocks], "sizes": [*Organisation.model_fields], "clock": ["clock_ps"],
        "controller": [*ControllerSpec.model_fields],
    }  # fmt: skip
    near = difflib.get_close_matches(key, [name for names in groups.values() for name in names], n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    listed = "; ".join(f"{what}: {', '.join(names)}" for what, names in groups.items())
    return f"{device.name} has no {key!r}{hint} {listed}"
