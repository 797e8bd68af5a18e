"""Samsung HBM2-PIM: products against PIMSimulator, padding, and the time to stream the same weights to a host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.mapping import AddressMap
from cairn.hw_models.dram.request_list import pattern
from cairn.hw_models.dram.simulate import simulate_channel
from cairn.hw_models.pim.device import PimDevice, pim_device
from cairn.hw_models.pim.registers import RegisterPlan, lower_gemv
from cairn.hw_models.pim.simulate import simulate_program, verdict_of
from cairn.validation.reference import Record, ReferenceDir
from cairn.validation.rows import Row

FILE: Final = "pim/hbmpim_samsung.csv"
OBTAIN: Final = "PIMSimulator is public (SAITPublic/PIMSimulator); the conditions of a row say what was run"
PRESET: Final = "HBM2_PIM"
NAME: Final = re.compile(r"hbmpim\.gemv\.(\d+)x(\d+)\.(pim|host)")
PHASES: Final = 8
"""A run of the reference begins at an unknown time between two refreshes: the mean over so many beginnings is taken."""
FITTED: Final = ("1024x4096", "2048x4096", "4096x4096")
"""nSETUP is fitted on 4096 x 4096; the other two are the same run for the reference, since outputs are padded."""


def rows(reference: ReferenceDir) -> Iterator[Row]:
    """Cycles with PIM, protocol, cycles of the host's stream, and the ratio of both, for each product."""
    if reference.optional(FILE, OBTAIN) is None:
        return
    device = pim_device(PRESET)
    pairs: dict[tuple[int, int], dict[str, Record]] = {}
    for record in reference.csv(FILE):
        match = NAME.fullmatch(record.text("id"))
        if match is None:
            reference.leave_out(f"{record.text('id')}: not a product that is known here")
            continue
        pairs.setdefault((int(match[1]), int(match[2])), {})[match[3]] = record
    for (outputs, inputs), records in pairs.items():
        yield from _product(device, outputs, inputs, records)
    yield from _padding(device, pairs)


def _product(device: PimDevice, outputs: int, inputs: int, records: dict[str, Record]) -> Iterator[Row]:
    name, plan = f"{outputs}x{inputs}", lower_gemv(device, outputs, inputs)
    ours, host = cycles_with_refresh(plan), host_cycles(device, outputs, inputs)
    source = records[next(iter(records))].text("source")
    if "pim" in records:
        fitted = name in FITTED
        no_setup = lower_gemv(device.changed(nSETUP=0), outputs, inputs)
        yield Row(
            f"samsung/{name}", "HBM2-PIM, product", records["pim"].number("value"), ours, "cycles", source,
            () if fitted else ("samsung", "samsung_nothing_fitted"),
            {"samsung": "nSETUP is fitted on this run"} if fitted else {},
            baselines={"nothing fitted": cycles_with_refresh(no_setup)},
        )  # fmt: skip
        broken = verdict_of(simulate_program(plan.program, trace=True)).count
        yield Row(
            f"samsung/{name}/protocol", "HBM2-PIM, protocol violations", 0, broken, "commands", "rules of the device",
            ("protocol",),
        )  # fmt: skip
    if "host" in records:
        yield Row(
            f"samsung/{name}/host", "HBM2-PIM, stream to the host", records["host"].number("value"), host, "cycles",
            source, ("samsung_host",),
        )  # fmt: skip
    if len(records) == 2:
        ratio = records["host"].number("value") / records["pim"].number("value")
        yield Row(f"samsung/{name}/gain", "HBM2-PIM, gain over the host", ratio, host / ours, "ratio", source,
                  ("samsung_gain",))  # fmt: skip


def cycles_with_refresh(plan: RegisterPlan) -> float:
    """Clocks with all-bank refresh, the mean over beginnings between two refreshes."""
    interval = plan.layout.device.dram.clocks["nREFI"]
    firsts = [interval * (2 * phase + 1) // (2 * PHASES) for phase in range(PHASES)]
    runs = [simulate_program(plan.program, "all_bank", first_refresh=first).cycles for first in firsts]
    return sum(runs) / PHASES


def host_cycles(device: PimDevice, outputs: int, inputs: int) -> float:
    """Clocks to read all weights over the channel's data bus, by the controller of plain channels."""
    dram, unit = device.dram, device.unit
    bits = 8 * unit.channels * dram.organisation.transaction_bytes
    requests = -(-outputs * inputs * unit.element_bits // bits)
    block = pattern("stream_rd", requests, AddressMap.named(dram, "bank_group_first"))
    return float(simulate_channel(dram, ControllerSpec(), block).cycles)


def _padding(device: PimDevice, pairs: dict[tuple[int, int], dict[str, Record]]) -> Iterator[Row]:
    """Fewer outputs than a pass has cost as much as a whole one: the ratio to 4,096 outputs of the same inputs."""
    whole = lower_gemv(device, 1, 1).layout.pass_outputs
    for (outputs, inputs), records in pairs.items():
        other = pairs.get((whole, inputs), {})
        if outputs >= whole or "pim" not in records or "pim" not in other:
            continue
        reference = records["pim"].number("value") / other["pim"].number("value")
        few, all_ = (simulate_program(lower_gemv(device, count, inputs).program).cycles for count in (outputs, whole))
        yield Row(
            f"samsung/{outputs}x{inputs}/padding", "HBM2-PIM, padding", reference, few / all_, "ratio",
            records["pim"].text("source"), ("samsung_padding",),
        )  # fmt: skip
