"""Rows of the request table of a chip's DRAM server, whatever its model: columns, and what a server refuses.

A request moves `bytes` of a region of one channel. The region is dealt over banks bank_base .. bank_base + bank_count
- 1 in stripes of `stripe_bytes`, which divides `row_bytes`: byte `offset` lies in stripe s = offset // stripe_bytes, in
bank bank_base + s mod bank_count, at byte (s // bank_count) * stripe_bytes + offset mod stripe_bytes of that bank's
share, and so in row row_base + that // row_bytes. `offset_bytes` is the offset of the first byte moved.

Two further flags are for channels with PIM units. IS_PIM: the bytes are not moved but worked on where they lie, in all
these banks together; stripes are whole columns of a bank, offset and bytes whole columns of all banks, and the flags
from TURNS on say how many parts of the spacing of columns (chip.pim.turn_parts) each one takes (fewer than all of them:
one spacing). IS_BUFFER: the bytes go to, or with
IS_WRITE unset come from, the buffers of the units over the channel's data bus, and no bank is asked (bank_base and
row_base say nothing).
"""

from __future__ import annotations

from functools import partial
from typing import Final

from cairn.base.kernel import kernel
from cairn.hw_models.server import ERROR, IntArray

REQUEST_COLUMNS: Final = (
    "flags", "channel", "bank_base", "bank_count", "row_base", "stripe_bytes", "offset_bytes", "bytes",
)  # fmt: skip
R_CHANNEL, R_BANK_BASE, R_BANK_COUNT, R_ROW_BASE, R_STRIPE, R_OFFSET, R_BYTES = range(1, len(REQUEST_COLUMNS))

IS_PIM: Final = 4
IS_BUFFER: Final = 8
TURNS: Final = 16
"""Flags of requests for PIM units; see above. The parts are counted in units of TURNS."""

OVERFLOW: Final = 1
"""`state[ERROR]`: more requests at once in a channel than the server was built for."""
BAD_REQUEST: Final = 2
"""`state[ERROR]`: a request row outside the channels, the banks, the rule that stripe_bytes divides row_bytes, or
for PIM units that the channel has not, or whose columns the request does not keep to."""

_inner = partial(kernel, _nrt=False, forceinline=True)


@_inner()
def is_inside(request: IntArray, channels: int, banks: int, row_bytes: int) -> bool:
    """Whether a request row lies within the channels, the banks of each and the rule on stripes."""
    channel, stripe = request[R_CHANNEL], request[R_STRIPE]
    if channel < 0 or channel >= channels or stripe <= 0 or row_bytes % stripe != 0:
        return False
    base, count = request[R_BANK_BASE], request[R_BANK_COUNT]
    if base < 0 or count <= 0 or base + count > banks:
        return False
    return bool(request[R_ROW_BASE] >= 0 and request[R_OFFSET] >= 0 and request[R_BYTES] > 0)


@_inner()
def refuse(state: IntArray, reason: int) -> None:
    """Leave the reason of the first request that was refused."""
    if state[ERROR] == 0:
        state[ERROR] = reason
