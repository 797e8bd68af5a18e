"""What the causes of lost time on a DRAM channel mean, and what helps against each, in a sentence for people."""

from __future__ import annotations

from typing import Final, NamedTuple


class Cause(NamedTuple):
    """A cause in few words, and what would make it smaller."""

    meaning: str
    remedy: str


CAUSES: Final = {
    "data_bus": Cause("data on the bus", "Only a faster device helps"),
    "column_spacing": Cause(
        "accesses in one bank group follow too closely (tCCD_L)",
        "A mapping that changes the bank group with every access helps (--mapping bank_group_first)",
    ),
    "activate_spacing": Cause(
        "activates may not follow closer (tRRD, tFAW)",
        "More accesses to each opened row help: requests in order of address, or longer ones",
    ),
    "row_bus": Cause(
        "a ready activate or precharge had to let another command go first",
        "Fewer activates help: more accesses to each opened row",
    ),
    "command_bus": Cause(
        "a ready read or write had to let another command go first",
        "Spreading requests over pseudo-channels and bank groups helps, and more accesses to each opened row",
    ),
    "row_cycle": Cause(
        "a bank closes one row and opens another (tRC, tRP, tRCD)",
        "Spreading the requests over more banks helps (another --mapping, or its _xor variant)",
    ),
    "refresh": Cause(
        "refresh holds the banks",
        "Refreshing bank by bank may help, where the device can (--set refresh=per_bank)",
    ),
    "turnaround": Cause(
        "the bus turns round between reads and writes, or ranks",
        "Longer runs of reads and of writes help: a deeper write queue (--set write_queue=64)",
    ),
    "queue": Cause(
        "the queue was full and hid later requests",
        "A deeper queue helps (--set read_queue=64; write_queue for writes)",
    ),
    "no_demand": Cause(
        "nothing was asked of the channel, or of one of its pseudo-channels",
        "Requests that come sooner, or to all pseudo-channels, would use it",
    ),
    "drain": Cause("the last data are on their way", "A longer trace makes it small"),
}
"""Causes as hw_models/dram/control/account.py charges them."""

LITTLE: Final = 0.01
"""Share of the time below which a loss is not worth a remedy (assumed)."""


def verdict(lost_to: str, share: float) -> str:
    """One sentence on the main loss and one on what helps."""
    if share < LITTLE:
        return "Hardly any time is lost: the data bus limits."
    cause = CAUSES[lost_to]
    return f"Main loss: {lost_to}, {share:.1%} of the time: {cause.meaning}. {cause.remedy}."
