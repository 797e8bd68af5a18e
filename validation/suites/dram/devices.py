"""Devices from the settings that stand beside the reference cases; of the shipped standards only the rules are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.device import Device, from_clocks
from cairn.hw_models.dram.standard import Organisation, Standard, names_in, standards
from cairn.validation.reference import Record, ReferenceDir

PRESETS, DRAMSIM3 = "dram/presets.yaml", "dram/dramsim3_configs.yaml"
NOT_TIMINGS: Final = frozenset({"rate"})
"""What stands among the timings of a preset and is none: the data rate."""
LEVELS: Final = ("pc", "rk", "bg", "ba", "row", "col")


def ramulator_devices(reference: ReferenceDir) -> dict[str, Device]:
    """The devices of `presets.yaml` by name: geometry, clock and timings from there, rules of the standard it names."""
    return {name: _preset(name, record) for name, record in _records(reference, PRESETS, "presets").items()}


def _preset(name: str, record: Record) -> Device:
    standard = _standard(record.text("standard"), record)
    if record.integer("ticks_per_tCK") != standard.ticks_per_clock:
        message = f"{standard.name} has {standard.ticks_per_clock} ticks a clock here"
        raise ConfigError(message, file=record.file, key="ticks_per_tCK")
    geometry, timings = record.values.get("geometry"), record.values.get("timing_tCK")
    if not isinstance(geometry, dict) or not isinstance(timings, dict):
        raise ConfigError("mappings `geometry` and `timing_tCK` belong here", file=record.file)
    clocks = Record(timings, f"{record.file}.timing_tCK")
    organisation = _organisation(
        Record(geometry, f"{record.file}.geometry"), record.integer("density_Mb"),
        record.integer("channel_width_bits_per_pseudo_channel"), record.integer("tx_bytes"),
    )  # fmt: skip
    named = {str(timing): clocks.integer(str(timing)) for timing in timings if timing not in NOT_TIMINGS}
    return from_clocks(name, standard, organisation, record.integer("tCK_ps"), named)


def _organisation(geometry: Record, density_mb: int, width_bits: int, transaction_bytes: int) -> Organisation:
    levels = {level: geometry.integer(level) for level in LEVELS}
    return Organisation(
        density_mb=density_mb, width_bits=width_bits, transaction_bytes=transaction_bytes, **levels
    )  # fmt: skip


def _standard(name: str, record: Record) -> Standard:
    if name not in standards():
        known = ", ".join(sorted(standards()))
        raise ConfigError(f"there is no standard {name!r}; there are {known}", file=record.file, key="standard")
    return standards()[name]


def _records(reference: ReferenceDir, file: str, key: str) -> dict[str, Record]:
    listed, path = reference.yaml(file).get(key), str(reference.path(file))
    if not isinstance(listed, dict):
        raise ConfigError("a mapping belongs here", file=path, key=key)
    for name, values in listed.items():
        if not isinstance(values, dict):
            raise ConfigError("a mapping of settings belongs here", file=path, key=f"{key}.{name}")
    return {str(name): Record(values, f"{path} {key}.{name}") for name, values in listed.items()}


_PROTOCOLS: Final[Mapping[str, tuple[str, int]]] = {"DDR4": ("DDR4", 2), "HBM": ("HBM2", 2), "GDDR6": ("GDDR6", 16)}
"""Standard of a DRAMsim3 protocol, and beats of a burst per clock (DRAMsim3, src/configuration.cc, burst_cycle)."""
_SAME: Final[Mapping[str, str]] = {
    "nCL": "CL", "nCWL": "CWL", "nRP": "tRP", "nRAS": "tRAS", "nWR": "tWR", "nCCDS": "tCCD_S", "nCCDL": "tCCD_L",
    "nWTRS": "tWTR_S", "nWTRL": "tWTR_L", "nRRDS": "tRRD_S", "nRRDL": "tRRD_L", "nREFI": "tREFI", "nPPD": "tPPD",
    "nRCD": "tRCD", "nRCDRD": "tRCDRD", "nRCDWR": "tRCDWR", "nRFC": "tRFC", "nRFCab": "tRFC", "nRFCpb": "tRFCb",
    "nREFIpb": "tREFIb", "nCS": "tRTRS", "nRTP": "tRTP", "nRTPL": "tRTP",
}  # fmt: skip
_READ_TO_PRECHARGE: Final = 5
"""DRAMsim3 reads tRTP alone, 5 where a file has only tRTP_L and tRTP_S (src/configuration.cc, InitTimingParams)."""
_UNUSED: Final[Mapping[str, int]] = {"nRREFD": 0, "nRFCpb": 0}
"""Timings of refreshes of single banks, which these runs do not do."""
_WINDOW_OF_32: Final = 8


def dramsim3_devices(reference: ReferenceDir) -> dict[str, Device]:
    """The devices of `dramsim3_configs.yaml` by name, as well as our standards can say it.

    A limit on 32 activates (GDDR6) becomes one on four with the same mean rate; bank groups of size one have no `_L`.
    """
    return {name: _configured(name, record) for name, record in _records(reference, DRAMSIM3, "configs").items()}


def dramsim3_queue(reference: ReferenceDir, name: str) -> int:
    """Slots of the transaction queue of a configuration."""
    return _settings(_records(reference, DRAMSIM3, "configs")[name]).integer("trans_queue_size")


def _settings(record: Record) -> Record:
    values = record.values.get("settings")
    if not isinstance(values, dict):
        raise ConfigError("a mapping `settings` belongs here", file=record.file)
    return Record(values, f"{record.file}.settings")


def _configured(name: str, record: Record) -> Device:
    settings, geometry = _settings(record), record.values.get("geometry")
    protocol = settings.text("protocol")
    if protocol not in _PROTOCOLS or not isinstance(geometry, dict):
        message = f"`geometry` and one of the protocols {', '.join(_PROTOCOLS)} belong here, not {protocol!r}"
        raise ConfigError(message, file=record.file)
    standard, beats = standards()[_PROTOCOLS[protocol][0]], _PROTOCOLS[protocol][1]
    width, burst = settings.integer("bus_width"), settings.integer("BL")
    clocks = {ours: settings.integer(theirs) for ours, theirs in _SAME.items() if theirs in settings.values}
    four = settings.integer("tFAW")
    if "t32AW" in settings.values:
        four = max(four, -(-settings.integer("t32AW") // _WINDOW_OF_32))
    clocks |= {"nBL": burst // beats, "nRC": clocks["nRAS"] + clocks["nRP"], "nFAW": four}
    for timing in ("nRTP", "nRTPL"):
        clocks.setdefault(timing, _READ_TO_PRECHARGE)
    levels = Record(geometry, f"{record.file}.geometry")
    if levels.integer("bg") == 1:
        clocks |= {f"{timing}L": clocks[f"{timing}S"] for timing in ("nCCD", "nWTR", "nRRD")}
    needed = {used for rules in standard.rules.values() for rule in rules.values() for used in names_in(rule)}
    complete = {timing: value for timing, value in {**_UNUSED, **clocks}.items() if timing in needed | {"nREFI"}}
    transactions = levels.integer("row") * levels.integer("col") * levels.integer("bg") * levels.integer("ba")
    density_mb = transactions * burst * settings.integer("device_width") >> 20
    return from_clocks(
        name, standard, _organisation(levels, density_mb, width, width * burst // 8),
        round(1000 * settings.number("tCK")), complete,
    )  # fmt: skip
