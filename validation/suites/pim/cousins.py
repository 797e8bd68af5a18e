"""UniNDP and GeniePIM: the same units with their parameters, reported beside what these tools answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from cairn.hw_models.pim.device import PimDevice, pim_device
from cairn.hw_models.pim.gemv import GemvMapping, gemv_layout, lower_gemv
from cairn.hw_models.pim.registers import lower_gemv as lower_registers
from cairn.hw_models.pim.simulate import simulate_program
from cairn.validation.reference import Record, ReferenceDir
from cairn.validation.rows import Row

UNINDP, GENIE = "pim/unindp_gemv.csv", "pim/geniepim_gemv.csv"
OBTAIN: Final = "both tools are public (thu-nics/UniNDP, AMDResearch/AMDGeniePIM); rows name their commands"
UNINDP_NAME: Final = re.compile(r"unindp\.(aim|hbm-pim)\.K(\d+)\.N(\d+)\.(best|base)")
VERIFY_NAME: Final = re.compile(r"unindp\.verify\.K(\d+)\.N(\d+)")
GENIE_NAME: Final = re.compile(r"genie\.(\d+)x(\d+)\.n(\d+)\.total")
PARTS: Final = (1, 2, 4, 8)
"""What "best" tries on AiM, as UniNDP searches mappings: parts of the inputs on different channels."""


def rows(reference: ReferenceDir) -> Iterator[Row]:
    """One row for each product of either tool."""
    if reference.optional(UNINDP, OBTAIN) is not None:
        for record in reference.csv(UNINDP):
            yield from _unindp(record)
    if reference.optional(GENIE, OBTAIN) is not None:
        for record in reference.csv(GENIE):
            yield from _genie(record)


def _unindp(record: Record) -> Iterator[Row]:
    name = record.text("id")
    if match := UNINDP_NAME.fullmatch(name):
        inputs, outputs = int(match[2]), int(match[3])
        if match[1] == "aim":
            ours = _on_buffers(pim_device("UniNDP_AiM"), outputs, inputs, best=match[4] == "best")
        else:
            plan = lower_registers(pim_device("UniNDP_HBM_PIM"), outputs, inputs)
            ours = simulate_program(plan.program).cycles
        kind = f"UniNDP, {match[1]}"
    elif match := VERIFY_NAME.fullmatch(name):
        device = pim_device("UniNDP_HBM_PIM")
        cycles = simulate_program(lower_registers(device, int(match[2]), int(match[1])).program).cycles
        ours, kind = cycles * (3900 + 350) / 3900, "UniNDP, its imitation of PIMSimulator"  # as the tool derates
    else:
        return
    unit, source = record.text("unit").split()[0], record.text("source")
    yield Row(name, kind, record.number("value"), ours, unit, source, ("cousins",))


def _on_buffers(device: PimDevice, outputs: int, inputs: int, *, best: bool) -> float:
    """Clocks with the buffer used again for all outputs, as its baseline does; the least over several parts."""
    plans = []
    for parts in PARTS if best else (1,):
        rounds = gemv_layout(device, outputs, inputs, GemvMapping(k_parts=parts)).rounds
        plans.append(lower_gemv(device, outputs, inputs, GemvMapping(k_parts=parts, accumulators=rounds)))
    return min(simulate_program(plan.program).cycles for plan in plans)


def _genie(record: Record) -> Iterator[Row]:
    match = GENIE_NAME.fullmatch(record.text("id"))
    if match is None:
        return
    outputs, inputs, vectors = (int(match[group]) for group in (1, 2, 3))
    device = pim_device("GeniePIM_LPDDR5X")
    rounds = gemv_layout(device, outputs, inputs).rounds
    plan = lower_gemv(device, outputs, inputs, GemvMapping(accumulators=rounds), vectors=vectors)
    ns = device.seconds(simulate_program(plan.program).cycles) * 1e9
    source = record.text("source")
    yield Row(record.text("id"), "GeniePIM, product", record.number("value"), ns, "ns", source, ("cousins",))
