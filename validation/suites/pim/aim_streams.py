"""The instruction lists behind the rows of aim_cycles.csv, from their names and conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.pim.gemv import GemvMapping, gemv_layout, lower_gemv
from cairn.hw_models.pim.program import Program, ProgramBuilder

INSTRUCTIONS: Final = {
    "MAC_ABK": "MAC16", "WR_GB": "WRGB", "WR_BIAS": "WRMAC16", "RD_MAC": "RDMAC16", "EWMUL": "EWMUL16", "AF": "AF16",
    "RD_AF": "RDAF16", "WR_ABK": "WRA16",
}  # fmt: skip
"""Names of instructions in the reference, and the commands that they are."""

Writer = Callable[[ProgramBuilder, int], None]


def _rows(command: str, columns: int = 64) -> Writer:
    """`count` instructions, each in a row of its own."""

    def write(program: ProgramBuilder, count: int) -> None:
        for row in range(count):
            program.add(command, columns, row=row)

    return write


def _same(command: str, columns: int = 1) -> Writer:
    """`count` instructions in one row, or on registers."""

    def write(program: ProgramBuilder, count: int) -> None:
        for _ in range(count):
            program.add(command, columns)

    return write


def _one(command: str) -> Writer:
    """One instruction of `count` columns."""

    def write(program: ProgramBuilder, count: int) -> None:
        program.add(command, count)

    return write


def _mac_read_mac(program: ProgramBuilder, count: int) -> None:
    for _ in range(count):
        program.add("WRMAC16")
        program.add("MAC16", 64, row=0)
        program.add("RDMAC16")
        program.add("MAC16", 64, row=1)


def _activation(program: ProgramBuilder, count: int) -> None:
    table = program.device.dram.organisation.row - 1
    for _ in range(count):
        program.add("WRMAC16")
        program.add("MAC16", 64, row=0)
        program.add("AF16", row=table)
        program.add("RDAF16")


def _copies(program: ProgramBuilder, count: int) -> None:
    for row in range(count):
        program.add("WRGB", 64)
        program.add("WRCP", 64, bank=0, row=row)
        program.add("RDCP", 64, bank=8, row=row)


MICRO: Final[Mapping[str, Writer]] = {
    r"aim\.micro\.mac1\.op(\d+)": _one("MAC16"),
    r"aim\.micro\.macrow\.(\d+)": _rows("MAC16"),
    r"aim\.micro\.macsame\.(\d+)": _same("MAC16", 64),
    r"aim\.micro\.rdmac\.(\d+)": _same("RDMAC16"),
    r"aim\.micro\.wrbias\.(\d+)": _same("WRMAC16"),
    r"aim\.micro\.wrgb\.op(\d+)": _one("WRGB"),
    r"aim\.test\.micro_macab_(1024)_16banks": _rows("MAC16"),
    r"aim\.test\.micro_ewmul_16banks": _rows("EWMUL16"),
    r"aim\.test\.micro_rdmac_(1024)_16banks": _same("RDMAC16"),
    r"aim\.test\.micro_wrbias_(1024)_16banks": _same("WRMAC16"),
    r"aim\.test\.micro_wrab_(1024)_1bank": _rows("WRA16", 1),
    r"aim\.test\.micro_wrbias_mac_rdmac_mac_16banks": _mac_read_mac,
    r"aim\.test\.micro_wrbias_mac_af_rdaf_16banks": _activation,
    r"aim\.test\.micro_wrgb_gbbk_bggb_16banks": _copies,
}
"""Names of rows, and what writes their instructions. A name without a number stands for 1,024 rounds, as in the
source's `test/*.trace`."""
GEMV: Final = re.compile(r"aim\.gemv(R?)\.N(\d+)\.K(\d+)")


def micro_program(device: PimDevice, name: str, conditions: str) -> Program | None:
    """The instructions of a row that is no product; None where neither name nor conditions say what they are."""
    for pattern, write in MICRO.items():
        if match := re.fullmatch(pattern, name):
            program = ProgramBuilder(device)
            write(program, int(match[1]) if match.groups() else 1024)
            return program.build()
    return _listed(device, conditions) if name.startswith("aim.micro.seq.") else None


def _listed(device: PimDevice, conditions: str) -> Program | None:
    """Conditions that list instructions: "WR_GB 64, WR_BIAS, MAC_ABK 64, RD_MAC; ..."."""
    program = ProgramBuilder(device)
    for words in (instruction.split() for instruction in conditions.partition(";")[0].split(",")):
        count = words[1] if len(words) == 2 else "1"
        if not 0 < len(words) <= 2 or words[0] not in INSTRUCTIONS or not count.isdigit():
            return None
        program.add(INSTRUCTIONS[words[0]], int(count))
    return program.build()


def gemv_of(name: str) -> tuple[int, int, bool] | None:
    """Outputs, inputs, and whether the buffer is used again, of a row that is a product."""
    match = GEMV.fullmatch(name)
    return (int(match[2]), int(match[3]), bool(match[1])) if match else None


def gemv_program(device: PimDevice, outputs: int, inputs: int, reuse: bool) -> Program:
    """The product in the order of the reference: outputs first, or with as many accumulators as there are rounds."""
    mapping = GemvMapping()
    if reuse:
        mapping = GemvMapping(accumulators=gemv_layout(device, outputs, inputs).rounds)
    return lower_gemv(device, outputs, inputs, mapping).program
