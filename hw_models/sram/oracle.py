"""Banked SRAM served line by line, cycle by cycle: small, slow, and the judge of `cycle.access_cycles`."""

from __future__ import annotations

from cairn.hw_models.sram.spec import SramSpec


def simulate(spec: SramSpec, n_bytes: int, stride_bytes: int, word_bytes: int, *, write: bool = False) -> int:
    """Cycles until every word has been served; words from address 0 on, `stride_bytes` apart, in port-wide groups."""
    port = spec.write_bytes_per_cycle if write else spec.read_bytes_per_cycle
    addresses = [index * stride_bytes for index in range(-(-n_bytes // word_bytes))]
    cycle = 0
    while addresses:
        group, addresses = addresses[: port // word_bytes], addresses[port // word_bytes :]
        waiting = [address // spec.bank_width_bytes for address in group]
        while waiting:
            served: dict[int, int] = {}
            for line in waiting:
                served.setdefault(line % spec.banks, line)
            waiting = [line for line in waiting if served[line % spec.banks] != line]
            cycle += 1
    return cycle
