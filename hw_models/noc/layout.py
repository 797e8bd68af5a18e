"""Where things stand in the state of a network server (one int64 array).

    header | arrivals | promises | link ends | resources | routes | transfers | packets | batch | completions

A resource (link, injection port, ejection port) is RESOURCE words; links come first, then the injection ports,
then the ejection ports. Routes are tables (`network.Routes`), or nothing where directions decide. Transfers and packets
are records taken from a pool: a list of returned records, then records never used. Packets that are to arrive and
transfers with a promise stand in wheels (`wheel.py`); the batch has the resources at which heads arrive in the cycle
at hand.

Indices of what is looked at for every packet are unsigned (`u`): Numba asks of every signed one whether it counts from
the end, which took a quarter of the time.
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
BATCH: Final = HEADER + 31
# Pools: last returned record (0: none) and first record never used.
RETURNED_TRANSFER: Final = HEADER + 32
NEXT_TRANSFER: Final = HEADER + 33
RETURNED_PACKET: Final = HEADER + 34
NEXT_PACKET: Final = HEADER + 35
# Statistics.
SUM_TRANSFERS: Final = HEADER + 36
SUM_PACKETS: Final = HEADER + 37
SUM_HOP_BYTES: Final = HEADER + 38
SUM_WAIT: Final = HEADER + 39
MAX_WAIT: Final = HEADER + 40
LIMITED: Final = HEADER + 41  # whether buffers or channels are

# A wheel.
SPAN_BITS: Final = 12
SPAN: Final = 1 << SPAN_BITS
"""Cycles of a wheel: 64 words of 64 bits; eight full packets of 16 KiB on a 32-byte link."""
BASE: Final = 0  # the cycle that it has reached
SUMMARY: Final = 1  # words that are not 0, and what they say: buckets in use
WORDS: Final = 2
FAR_AT: Final = WORDS + 64  # first cycle of the earliest span in use beyond the buckets, NEVER when there is none
FAR_SPANS: Final = FAR_AT + 1  # which of the next 64 spans are in use, and their lists
FAR: Final = FAR_SPANS + 1
BUCKETS: Final = FAR + 64
WHEEL: Final = BUCKETS + SPAN

ARRIVALS: Final = HEADER + 42
PROMISES: Final = ARRIVALS + WHEEL
BODY: Final = PROMISES + WHEEL

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

# Of all records.
NEXT: Final = 0  # in its pool, in the same bucket of a wheel, or in line at the same resource
AT: Final = 1  # the cycle to which it belongs, where that is beyond the buckets of its wheel

TRANSFER: Final = 18
# The words up to LAST are read at every arrival, the others at the ends of the way.
SIZE: Final = 2
N_PACKETS: Final = 3
HOPS: Final = 4
STEPS_X: Final = 5
DIRECTIONS_XY: Final = 6  # along the row in the upper bits, along the column in the lower two
ROUTE: Final = 6  # with tables: offset of the column of the destination in its table
LAST: Final = 7  # and 8, 9: cycles of the last packet on an injection port, a link, an ejection port
TASK: Final = 10
FIRST_LEFT: Final = 11  # destinations not reached by the first packet; FIRST_UNWANTED when FIRST is not to be told
LEFT: Final = 12  # ejections of packets that are to come
AT_FIRST: Final = 13  # earliest cycle of FIRST, exact once no destination is left
AT_DONE: Final = 14  # earliest cycle of DONE, exact once no ejection is left
DESTINATION: Final = 15
HEAD: Final = 16  # cycles of a head from its start on the injection port to the ejection port, unless it waits
FIRST_UNWANTED: Final = -1
# Of a transfer from or to a rectangle of cores (`tree.py`), whose HOPS is one of the two negative numbers:
SPREADS: Final = -1
GATHERS: Final = -2
HIGH: Final = 5  # the corner of the rectangle with the largest coordinates
REACHES: Final = 6  # steps of the tree from its root to the right, left, down, up: REACH_BITS each
LOW: Final = 15  # the corner with the smallest coordinates
JOINS: Final = 16  # list of packets that wait at a router for others of their number; linked by NEXT
ROOT: Final = 17
REACH_BITS: Final = 15

PACKET: Final = 8
OWNER: Final = 2
PASSED: Final = 3
NODE: Final = 4  # the router where it is
TAIL: Final = 5  # no earlier than this does the tail leave the next resource
KEY: Final = 6
AHEAD: Final = 7  # cycles of its head from the start on its next resource to the ejection port, unless it waits
# In a tree PASSED is 0 at the injection port, 1 + direction at a link, TO_EJECT at the ejection port; of a packet that
# waits for others, how many are missing, and AHEAD is when the last of those that are there arrived.
TO_EJECT: Final = 5

WIDTH: Final = 2  # words of a width: bytes per cycle as a fraction, numerator and denominator

NO_ALLOCATION: Final = {"_nrt": False}
"""Options of these kernels: none of them allocates, and counting references to the state cost a quarter of the time."""
INLINE: Final = {"_nrt": False, "forceinline": True}
"""Of those that run for every transfer, or for every packet at every resource: handing over the state took a tenth of
the time of each of the two."""

NUMBER_BITS: Final = MAX_PACKETS.bit_length() - 1
"""A packet's key is `task << NUMBER_BITS | number`: it orders by task, then by packet number."""
NUMBER_MASK: Final = (1 << NUMBER_BITS) - 1
