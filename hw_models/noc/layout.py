"""Where things stand in the state of a network server (one int64 array).

    header | link ends | resources | routes | transfers | packets | promises | far | buckets | words | batch
           | completions

A resource (link, injection port, ejection port) is RESOURCE words; links come first, then the injection ports,
then the ejection ports. Routes are tables (`network.Routes`), or nothing where directions decide. Transfers and packets
are records taken from a pool: a list of returned records, then records never used. Promises and far arrivals are
heaps (`heap.py`); buckets and words belong to the wheel of near arrivals (`wheel.py`), the batch has the
resources at which heads arrive in the cycle at hand.

Indices of what is looked at for every packet are unsigned (`u`): Numba asks of every signed one whether it counts from
the end, which took a quarter of the time.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from cairn.hw_models.noc.spec import MAX_PACKETS
from cairn.hw_models.server import HEADER

u: Final = np.uint64

# Reasons in the header slot ERROR.
TOO_MANY_TRANSFERS: Final = 1
TOO_MANY_PACKETS: Final = 2
BAD_REQUEST: Final = 3  # what `check_requests` refuses, or a task or tick beyond the range of the state

# Parameters.
NUM: Final = HEADER
DEN: Final = HEADER + 1
LAST_TICK: Final = HEADER + 2
NUMBERED_LINKS: Final = HEADER + 3
ROWS: Final = HEADER + 4  # and columns of a grid whose routes follow from directions
COLUMNS: Final = HEADER + 5
WRAPS: Final = HEADER + 6
START_CYCLES: Final = HEADER + 7
EJECTION_CYCLES: Final = HEADER + 8
PACKET_BYTES: Final = HEADER + 9
HEADER_BYTES: Final = HEADER + 10
WIDTHS: Final = HEADER + 11  # offset of (2 nodes + 1,) widths: of injection ports, ejection ports, and links
LINK_FULL: Final = HEADER + 13  # cycles of a full packet on a link
NODES: Final = HEADER + 14
ROUTERS: Final = HEADER + 15
N_TABLES: Final = HEADER + 16  # 0: directions decide
LOOPBACK: Final = HEADER + 17  # whether a node may send to itself
BUFFER_FLITS: Final = HEADER + 18  # 0: unbounded
CREDIT_CYCLES: Final = HEADER + 19
CHANNELS: Final = HEADER + 20
# Offsets.
NEIGHBOURS: Final = HEADER + 21  # (links,) router at the far end, -1 where there is no link
LINK_SOURCES: Final = HEADER + 22  # (links,) router at the near end
RESOURCES: Final = HEADER + 23
INJECTIONS: Final = HEADER + 24
EJECTIONS: Final = HEADER + 25
NODE_ROUTERS: Final = HEADER + 26  # (nodes,) with tables: the router of each; else its row << PLACE_BITS | column
TURNS: Final = HEADER + 27  # (nodes,) table of the next transfer of each source
TABLES: Final = HEADER + 28  # (tables, routers, nodes)
TRANSFERS: Final = HEADER + 29
PACKETS: Final = HEADER + 30
PROMISES: Final = HEADER + 31
FAR: Final = HEADER + 32
BUCKETS: Final = HEADER + 33
WORDS: Final = HEADER + 34
BATCH: Final = HEADER + 35
# Fill of the heaps; words of the wheel in use, and the last cycle that was opened.
N_PROMISES: Final = HEADER + 36
N_FAR: Final = HEADER + 37
SUMMARY: Final = HEADER + 38
BASE: Final = HEADER + 39
# Pools: last returned record (0: none) and first record never used.
RETURNED_TRANSFER: Final = HEADER + 40
NEXT_TRANSFER: Final = HEADER + 41
RETURNED_PACKET: Final = HEADER + 42
NEXT_PACKET: Final = HEADER + 43
# Statistics.
SUM_TRANSFERS: Final = HEADER + 44
SUM_PACKETS: Final = HEADER + 45
SUM_HOP_BYTES: Final = HEADER + 46
SUM_WAIT: Final = HEADER + 47
MAX_WAIT: Final = HEADER + 48
LIMITED: Final = HEADER + 49  # whether buffers or channels are
BODY: Final = HEADER + 50

PLACE_BITS: Final = 20
MANY_CHANNELS: Final = 1 << 40  # more than any packet has cycles

# Classes of resources: index into LAST.
INJECTION: Final = 0
LINK: Final = 1
EJECTION: Final = 2

RESOURCE: Final = 8
FREE_AT: Final = 0
BUSY: Final = 1
BYTES: Final = 2
WAIT: Final = 3
FULL: Final = 4  # cycles of a full packet
LATENCY: Final = 5  # cycles from here to the next resource
STAMP: Final = 6  # the last cycle in which heads arrived, and the first of them
LINE: Final = 7

TRANSFER: Final = 16
# The first eight words are read at every arrival, the others at the ends of the way.
SIZE: Final = 0
N_PACKETS: Final = 1
HOPS: Final = 2
STEPS_X: Final = 3
DIRECTIONS_XY: Final = 4  # along the row in the upper bits, along the column in the lower two
ROUTE: Final = 4  # with tables: offset of the column of the destination in its table
LAST: Final = 5  # and 6, 7: cycles of the last packet on an injection port, a link, an ejection port
TASK: Final = 8
FIRST_LEFT: Final = 9  # destinations that the first packet has not reached; FIRST_UNWANTED when FIRST is not to be told
SOURCE: Final = 10
DESTINATION: Final = 11
LEFT: Final = 12  # ejections of packets that are to come
AT_FIRST: Final = 13  # earliest cycle of FIRST, exact once no destination is left
AT_DONE: Final = 14  # earliest cycle of DONE, exact once no ejection is left
HEAD: Final = 15  # cycles of a head from its start on the injection port to the ejection port, unless it waits
FIRST_UNWANTED: Final = -1
# Of a transfer from or to a rectangle of cores (`tree.py`), whose HOPS is one of the two negative numbers:
SPREADS: Final = -1
GATHERS: Final = -2
HIGH: Final = 3  # the corner of the rectangle with the largest coordinates
REACHES: Final = 4  # steps of the tree from its root to the right, left, down, up: REACH_BITS each
ROOT: Final = 10
LOW: Final = 11  # the corner with the smallest coordinates
JOINS: Final = 15  # list of packets that wait at a router for others of their number; linked by NEXT
REACH_BITS: Final = 15

PACKET: Final = 8
OWNER: Final = 0
PASSED: Final = 1
NODE: Final = 2  # the router where it is
TAIL: Final = 3  # no earlier than this does the tail leave the next resource
KEY: Final = 4
NEXT: Final = 5  # in the same bucket of the wheel, or in line at the same resource
AHEAD: Final = 6  # cycles of its head from the start on its next resource to the ejection port, unless it waits
# In a tree PASSED is 0 at the injection port, 1 + direction at a link, TO_EJECT at the ejection port; of a packet that
# waits for others, how many are missing, and AHEAD is when the last of those that are there arrived.
TO_EJECT: Final = 5
KIND: Final = 7  # class of the resource at which it arrives now

WIDTH: Final = 2  # words of a width: bytes per cycle as a fraction, numerator and denominator

SPAN: Final = 4096
"""Cycles of the wheel: 64 words of 64 bits; eight full packets of 16 KiB on a 32-byte link."""

NO_ALLOCATION: Final = {"_nrt": False}
"""Options of these kernels: none of them allocates, and counting references to the state cost a quarter of the time."""

NUMBER_BITS: Final = MAX_PACKETS.bit_length() - 1
"""A packet's key is `task << NUMBER_BITS | number`: it orders by task, then by packet number."""
NUMBER_MASK: Final = (1 << NUMBER_BITS) - 1
