"""Energy and area of on-chip buffers by CACTI 7: 64 KiB a bank at 28 nm, one read and one write port.

Run by us with HewlettPackard/cacti at 1ffd8df on the configuration that the BitMoD simulator writes
(bitmod_sim/mem/cacti_config.py and cacti_simulation.py at 6b68523): cell itrs-hp, 360 K, one bank of 65,536 bytes,
whose port is an eighth of the buffer's.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from cairn.base.errors import ConfigError

BANK_KIB: Final = 64
BANKS: Final = 8

_TABLE: Final = np.array(
    [  # port bits of 8 banks, read pJ, write pJ, mm2: CACTI 7, see above
        (128, 60.12992, 37.16792, 1.427944),
        (192, 66.57808, 43.3184, 1.529144),
        (256, 70.0928, 51.71784, 1.48456),
        (288, 72.59616, 54.1192, 1.500336),
        (320, 75.51064, 56.89696, 1.52772),
        (384, 82.8304, 64.04792, 1.590344),
        (448, 88.0848, 78.69616, 1.575944),
        (512, 92.7944, 83.3536, 1.601896),
        (576, 107.696, 89.3432, 1.43136),
        (640, 113.0392, 94.6288, 1.44788),
        (768, 125.648, 107.0496, 1.497104),
        (896, 140.4232, 121.6256, 1.559488),
        (1024, 138.4416, 156.0904, 1.570672),
        (1152, 147.1376, 164.7336, 1.604216),
        (1536, 182.8184, 200.1048, 1.747528),
        (2048, 213.356, 302.7912, 1.9062),
    ]
)


class BufferCost(NamedTuple):
    """Energy of one access over the whole port, and area."""

    read_pj: float
    write_pj: float
    area_mm2: float


def buffer_cost(port_bits: int, kib: int = BANK_KIB * BANKS) -> BufferCost:
    """Cost of a buffer of `kib` with a port of `port_bits`, between tabled widths by straight lines.

    Raises ConfigError outside 128 to 2048 bits, and for another size than the tabled 512 KiB.
    """
    if kib != BANK_KIB * BANKS:
        raise ConfigError(f"energies are tabled for {BANK_KIB * BANKS} KiB only, got {kib}", key="buffer_kib")
    widths = _TABLE[:, 0]
    if not widths[0] <= port_bits <= widths[-1]:
        range_text = f"{widths[0]:.0f} to {widths[-1]:.0f}"
        raise ConfigError(f"energies are tabled for ports of {range_text} bits, got {port_bits}", key="port_bits")
    return BufferCost(*(float(np.interp(port_bits, widths, _TABLE[:, column])) for column in (1, 2, 3)))
