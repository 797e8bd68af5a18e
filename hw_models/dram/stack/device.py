"""The device behind a channel of the stack: a DramSpec as a standard's rules and numbers, in ticks of the channel."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Final

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.device import Device, from_clocks
from cairn.hw_models.dram.pim_spec import PimSpec
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack import layout as sx
from cairn.hw_models.dram.standard import Organisation, Standard, read_standard

PARTS_OF_A_CYCLE: Final = 16
"""assumed: ticks of a channel in a DRAM cycle, at least; rounding a timing of 14 cycles up costs less than 0.5 %."""
EXACT_BELOW: Final = 1 << 61
"""Numerator times denominator of a tick: what the conversion between ticks and ps multiplies."""
FINE: Final = 1 << 20
"""A tick that is rounded up to a whole number of these parts of a ps is longer by less than 1e-7 (at 10 ps or more)."""
TIMINGS: Final = {
    "nCL": "t_cl", "nRCD": "t_rcd", "nRP": "t_rp", "nRAS": "t_ras", "nRRD": "t_rrd", "nFAW": "t_faw", "nRTP": "t_rtp",
    "nWR": "t_wr", "nWTR": "t_wtr", "nRTW": "t_rtw", "nRFC": "t_rfc", "nREFI": "t_refi",
}  # fmt: skip
"""Timings of the standard STACK, and the field of DramSpec that each comes from."""


def _parts_of_a_burst(spec: DramSpec, channels: int) -> int:
    """Ticks of a burst: the least power of two that makes them short enough (S1)."""
    slot, cycle = spec.slot_ticks(channels), Fraction(spec.clock.num, spec.clock.den)
    parts = 1
    while slot / parts > cycle / PARTS_OF_A_CYCLE:
        parts *= 2
    return parts


def tick_ps(spec: DramSpec, channels: int) -> Fraction:
    """Picoseconds of a tick of one of `channels` channels: the time of a burst over a power of two (S1), rounded up to
    1 / FINE ps where the exact fraction would not allow to convert any time within 64 bits."""
    tick = spec.slot_ticks(channels) / _parts_of_a_burst(spec, channels)
    if tick.numerator * tick.denominator < EXACT_BELOW:
        return tick
    return Fraction(math.ceil(tick * FINE), FINE)


def write_wait_ticks(spec: DramSpec, channels: int) -> int:
    """Ticks after which a waiting write is served before reads (S4)."""
    return math.ceil(spec.write_wait_cycles * Fraction(spec.clock.num, spec.clock.den) / tick_ps(spec, channels))


@cache
def _rules() -> Standard:
    """The rules between commands of stacked banks; a chip states their timings, so there is no preset."""
    return read_standard(Path(__file__).resolve().parent / "rules.yaml")


def stack_device(spec: DramSpec, channels: int) -> Device:
    """The device of one of `channels` channels of `spec`. Its commands take a cycle each, or as long as a burst where a
    burst is shorter than a cycle: such a channel has command buses to match."""
    tick, cycle = tick_ps(spec, channels), Fraction(spec.clock.num, spec.clock.den)
    ticks = {name: math.ceil(getattr(spec, field) * cycle / tick) for name, field in TIMINGS.items()}
    ticks["nBL"] = _parts_of_a_burst(spec, channels)
    ticks["nRC"] = ticks["nRAS"] + ticks["nRP"]
    command = min(math.ceil(cycle / tick), ticks["nBL"])
    standard = _rules().model_copy(
        update={"command_clocks": dict.fromkeys(("ACT", "RD", "WR", "PRE", "PREA", "REF", "REFPB"), command)}
    )
    organisation = Organisation(
        density_mb=1, width_bits=8, transaction_bytes=spec.burst_bytes, ba=spec.banks_per_channel,
        row=max(1, spec.rows_per_bank(channels)), col=spec.row_bytes // spec.burst_bytes,
    )  # fmt: skip
    return from_clocks("stack", standard, organisation, tick, ticks)


def stack_controller(spec: DramSpec) -> ControllerSpec:
    """The controller of a channel of the stack (S4)."""
    return ControllerSpec(
        scheduler="frfcfs_row_hit",
        refresh=spec.refresh,
        read_queue=spec.queue_requests,
        write_queue=spec.queue_requests,
    )


def pim_ticks(spec: DramSpec, channels: int, pim: PimSpec) -> dict[str, int]:
    """Timings of PIM units (S7, S8) in ticks of one of `channels` channels, each rounded up: spacing of columns,
    activate to first MAC, last MAC to precharge, change of mode, time that units give to cores, and the least time from
    the last MAC of a row to the first one of the next."""
    tick, cycle = tick_ps(spec, channels), Fraction(spec.clock.num, spec.clock.den)

    def ticks(cycles: int) -> int:
        return math.ceil(cycles * cycle / tick)

    opened = ticks(spec.t_rcd if pim.t_rcd_mac is None else pim.t_rcd_mac)
    return {
        "spacing": ticks(pim.spacing_cycles),
        "t_rcd_mac": opened,
        "t_rtp": ticks(spec.t_rtp),
        "mode_change": ticks(pim.mode_change_cycles),
        "yield": ticks(pim.yield_cycles),
        "between": ticks(spec.t_rtp) + ticks(spec.t_rp) + opened,
    }


def pim_parameters(spec: DramSpec, channels: int, pim: PimSpec) -> dict[int, int]:
    """Parameters of PIM units by their index in the server's state. ConfigError where they do not fit the channels."""
    misfit = pim.misfit(spec.banks_per_channel, spec.row_bytes)
    if misfit is not None:
        raise ConfigError(misfit)
    ticks = pim_ticks(spec, channels, pim)
    return {
        sx.P_PIM: 1,
        sx.P_PIM_EXCLUSIVE: int(not pim.mixed_access),
        sx.P_PIM_TOGETHER: int(pim.activate == "together"),
        sx.P_PIM_COLUMN_BYTES: pim.column_bytes,
        sx.P_PIM_COLUMNS: spec.row_bytes // pim.column_bytes,
        sx.P_PIM_SPACING: ticks["spacing"],
        sx.P_PIM_RCD: ticks["t_rcd_mac"],
        sx.P_PIM_RTP: ticks["t_rtp"],
        sx.P_PIM_CHANGE: ticks["mode_change"],
        sx.P_PIM_TURN: pim.turn_rows,
        sx.P_PIM_YIELD: ticks["yield"],
        sx.P_PIM_BETWEEN: ticks["between"],
        sx.P_PIM_PARTS: pim.turn_parts,
    }
