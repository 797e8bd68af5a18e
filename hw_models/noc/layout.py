"""Where things stand in the state of a network server (one int64 array).

    header | neighbours (nodes x 4) | resources | transfers | packets | promises | far | buckets | words | batch
           | completions

A resource (link, injection port, ejection port) is RESOURCE words; links come first, then the injection ports,
then the ejection ports. Transfers and packets are records taken from a pool: a list of returned records, then
records never used. Promises and far arrivals are heaps (`heap.py`); buckets, words and batch belong to the wheel
of near arrivals (`wheel.py`).
"""

from __future__ import annotations

from typing import Final

from cairn.hw_models.noc.spec import MAX_PACKETS
from cairn.hw_models.server import HEADER

# Reasons in the header slot ERROR.
TOO_MANY_TRANSFERS: Final = 1
TOO_MANY_PACKETS: Final = 2
BAD_REQUEST: Final = 3  # what `check_requests` refuses, or a task or tick beyond the range of the state

# Parameters.
NUM: Final = HEADER
DEN: Final = HEADER + 1
LAST_TICK: Final = HEADER + 2
NUMBERED_LINKS: Final = HEADER + 3
ROWS: Final = HEADER + 4
COLUMNS: Final = HEADER + 5
WRAPS: Final = HEADER + 6
START_CYCLES: Final = HEADER + 7
HOP_CYCLES: Final = HEADER + 8
PACKET_BYTES: Final = HEADER + 9
# Bytes per cycle and cycles of a full packet, of an injection port, a link, an ejection port.
WIDTH: Final = HEADER + 10
FULL: Final = HEADER + 13
# Offsets.
NEIGHBOURS: Final = HEADER + 16
RESOURCES: Final = HEADER + 17
INJECTIONS: Final = HEADER + 18
EJECTIONS: Final = HEADER + 19
TRANSFERS: Final = HEADER + 20
PACKETS: Final = HEADER + 21
PROMISES: Final = HEADER + 22
FAR: Final = HEADER + 23
BUCKETS: Final = HEADER + 24
WORDS: Final = HEADER + 25
BATCH_END: Final = HEADER + 26
# Fill of the heaps; words of the wheel in use, and the last cycle that was opened.
N_PROMISES: Final = HEADER + 27
N_FAR: Final = HEADER + 28
SUMMARY: Final = HEADER + 29
BASE: Final = HEADER + 30
# Pools: last returned record (0: none) and first record never used.
RETURNED_TRANSFER: Final = HEADER + 31
NEXT_TRANSFER: Final = HEADER + 32
RETURNED_PACKET: Final = HEADER + 33
NEXT_PACKET: Final = HEADER + 34
# Statistics.
SUM_TRANSFERS: Final = HEADER + 35
SUM_PACKETS: Final = HEADER + 36
SUM_HOP_BYTES: Final = HEADER + 37
SUM_WAIT: Final = HEADER + 38
MAX_WAIT: Final = HEADER + 39
BODY: Final = HEADER + 40

# Classes of resources: index into WIDTH, FULL and LAST.
INJECTION: Final = 0
LINK: Final = 1
EJECTION: Final = 2

RESOURCE: Final = 4
FREE_AT: Final = 0
BUSY: Final = 1
BYTES: Final = 2
WAIT: Final = 3

TRANSFER: Final = 16
# The first eight words are read at every arrival, the others at the ends of the way.
SIZE: Final = 0
N_PACKETS: Final = 1
HOPS: Final = 2
STEPS_X: Final = 3
DIRECTIONS_XY: Final = 4  # along the row in the upper bits, along the column in the lower two
LAST: Final = 5  # and 6, 7: cycles of the last packet on an injection port, a link, an ejection port
TASK: Final = 8
FLAGS_OF: Final = 9
SOURCE: Final = 10
DESTINATION: Final = 11
EJECTED: Final = 12
AT_FIRST: Final = 13  # earliest cycle of FIRST, exact once a packet was ejected
AT_DONE: Final = 14  # earliest cycle of DONE, exact once all were

PACKET: Final = 8
OWNER: Final = 0
PASSED: Final = 1
NODE: Final = 2
TAIL: Final = 3  # no earlier than this does the tail leave the next resource
KEY: Final = 4
NEXT: Final = 5  # in the same bucket of the wheel

SPAN: Final = 4096
"""Cycles of the wheel: 64 words of 64 bits; eight full packets of 16 KiB on a 32-byte link."""

NO_ALLOCATION: Final = {"_nrt": False}
"""Options of these kernels: none of them allocates, and counting references to the state cost a quarter of the time."""

NUMBER_BITS: Final = MAX_PACKETS.bit_length() - 1
"""A packet's key is `task << NUMBER_BITS | number`: it orders by task, then by packet number."""
NUMBER_MASK: Final = (1 << NUMBER_BITS) - 1
