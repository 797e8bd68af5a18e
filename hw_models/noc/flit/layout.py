"""Where things stand in the state of a flit network (one int64 array).

    header | routes | groups | channels | lanes | senders | buffers | slots | routers | lists | nodes | wheels | packets

A channel is a link, or the way from a node into its router (injection), or from a router to a node (ejection); they are
numbered in this order. Each virtual channel of a channel has a record at its sending end (`S_`), one at its receiving
end (`B_`, a buffer) and a ring of slots; a slot is one credit's worth of buffer, and holds its flit from the moment the
flit is granted the switch. Records refer to each other by address, that is by their place in the state; 0 is nobody.
Numbers of virtual channels and of slots are padded to powers of two, so that addresses follow from shifts.
"""

from __future__ import annotations

from typing import Final

from cairn.hw_models.server import HEADER

NO_ALLOCATION: Final = {"_nrt": False}
"""Options of these kernels: none of them allocates, and counting references to the state costs time."""

# Reasons in the header slot ERROR.
DEADLOCK: Final = 1
TOO_MANY_TRANSFERS: Final = 2
BAD_REQUEST: Final = 3  # what `check_requests` refuses, or a tick beyond the range of the state

# Parameters (RouterSpec).
VCS: Final = HEADER
VC_BITS: Final = HEADER + 1
SLOT_BITS: Final = HEADER + 2
ROUTING_DELAY: Final = HEADER + 3
VC_DELAY: Final = HEADER + 4
SWITCH_DELAY: Final = HEADER + 5
FINAL_DELAY: Final = HEADER + 6
CREDIT_DELAY: Final = HEADER + 7
SPECULATIVE: Final = HEADER + 8
INPUT_SPEEDUP: Final = HEADER + 9
INTERNAL_SPEEDUP: Final = HEADER + 10
SINGLE: Final = HEADER + 11  # every stage of the pipeline takes one cycle
# Sizes.
NODES: Final = HEADER + 12
N_ROUTERS: Final = HEADER + 13
LINKS: Final = HEADER + 14
CLASSES: Final = HEADER + 15
SETS: Final = HEADER + 16
WHEEL_MASK: Final = HEADER + 17
# Offsets of the regions.
ROUTES: Final = HEADER + 18
GROUPS: Final = HEADER + 19
CHANNELS: Final = HEADER + 20
LANES: Final = HEADER + 21
SENDERS: Final = HEADER + 22
BUFFERS: Final = HEADER + 23
SLOTS: Final = HEADER + 24
ROUTERS: Final = HEADER + 25
LISTS: Final = HEADER + 26
NODE_RECORDS: Final = HEADER + 27
FLIT_WHEEL: Final = HEADER + 28
CREDIT_WHEEL: Final = HEADER + 29
AWAKE_ROUTERS: Final = HEADER + 30
AWAKE_NODES: Final = HEADER + 31
TOUCHED: Final = HEADER + 32
CHOSEN: Final = HEADER + 33
PACKETS: Final = HEADER + 34
# What is under way.
CYCLE: Final = HEADER + 35
N_AWAKE_ROUTERS: Final = HEADER + 36
N_AWAKE_NODES: Final = HEADER + 37
EVENTS: Final = HEADER + 38
COMING: Final = HEADER + 39  # first and last packet that is not created yet
LAST_COMING: Final = HEADER + 40
FLITS_INSIDE: Final = HEADER + 41
UNFINISHED: Final = HEADER + 42  # packets offered and not arrived
LAST_ARRIVAL: Final = HEADER + 43
WORK: Final = HEADER + 44  # cycles in which routers were looked at, summed over the routers
# Transfers of a server (`transfers.py`): clock, sizes, pools, sums.
NUM: Final = HEADER + 45
DEN: Final = HEADER + 46
LAST_TICK: Final = HEADER + 47
START_CYCLES: Final = HEADER + 48
WIDTH: Final = HEADER + 49  # bytes of a flit
PACKET_BYTES: Final = HEADER + 50
TRANSFERS: Final = HEADER + 51
END_OF_TRANSFERS: Final = HEADER + 52
RETURNED_TRANSFER: Final = HEADER + 53  # last returned record (0: none) and first record never used
NEXT_TRANSFER: Final = HEADER + 54
RETURNED_PACKET: Final = HEADER + 55
NEXT_PACKET: Final = HEADER + 56
SUM_TRANSFERS: Final = HEADER + 57
SUM_PACKETS: Final = HEADER + 58
TABLES: Final = HEADER + 59
BODY: Final = HEADER + 64

# Channel.
C_SOURCE: Final = 0  # router, by address; 0 for an injection channel
C_SINK: Final = 1  # router; 0 for an ejection channel
C_DIMENSION: Final = 2  # of a link; -1 of the others
C_CYCLES: Final = 3
C_OUT: Final = 4  # number among the outputs of its source
C_NODE: Final = 5  # record of the node of an injection or ejection channel
C_FREE: Final = 6  # bit v: virtual channel v is not held by a packet
C_DEPART: Final = 7  # last cycle in which a flit departs, as known so far
C_CREDIT: Final = 8  # last cycle in which a credit is sent back, and the step that freed it
C_STEP: Final = 9
C_FLITS: Final = 10
C_GRANT: Final = 11  # round-robin pointer of the output in switch allocation
C_NEAR: Final = 12  # scratch: the nearest request so far
C_FROM: Final = 13
C_SENDERS: Final = 14  # its first sender
C_BYTES: Final = 15  # of the packets whose heads it has carried
CHANNEL: Final = 16

# Lane: an input of the switch; a channel has `input speedup` of them.
L_NUMBER: Final = 0
L_ACCEPT: Final = 1  # round-robin pointer over outputs
L_TURN: Final = 2  # round-robin pointer over virtual channels
L_NEAR: Final = 3
L_TO: Final = 4
L_BEST: Final = 5
LANE: Final = 8

# Sender: the sending end of a virtual channel.
S_CREDITS: Final = 0
S_OWNER: Final = 1  # buffer whose packet holds the virtual channel
S_WRITE: Final = 2  # slot to be filled next
S_NUMBER: Final = 3
S_GRANT: Final = 4  # round-robin pointer over buffers
S_NEAR: Final = 5
S_FROM: Final = 6
S_SLOTS: Final = 7  # first slot
SENDER: Final = 8

# Buffer: the receiving end of a virtual channel.
B_STATE: Final = 0
B_READ: Final = 1  # slot to be emptied next
B_COUNT: Final = 2  # flits in it
B_OUT: Final = 3  # channel that its packet takes
B_TO: Final = 4  # sender that its packet holds
B_LOW: Final = 5  # range of virtual channels that its packet may take
B_HIGH: Final = 6
B_NUMBER: Final = 7
B_ACCEPT: Final = 8  # round-robin pointer over senders
B_NEAR: Final = 9
B_GOT: Final = 10  # sender that VC allocation found
B_LISTED: Final = 11  # whether it stands in the list of switch allocation
B_ASKED: Final = 12  # whether it asks in this round
B_LANE: Final = 13
B_CHANNEL: Final = 14
B_SLOTS: Final = 15
BUFFER: Final = 16

IDLE: Final = 0
ROUTING: Final = 1
WAITING: Final = 2  # for a virtual channel
ACTIVE: Final = 3

# Slot.
F_FLIT: Final = 0  # 4 x packet + 2 x head + tail
F_NEXT: Final = 1  # in its bucket
F_VC: Final = 2  # number of its virtual channel, shared by sender and buffer
SLOT: Final = 4

# Router.
R_NUMBER: Final = 0
R_AWAKE: Final = 1
R_ROUTING: Final = 2  # lists (begin), their fill, and the step in which what is under way is done
R_N_ROUTING: Final = 3
R_IN_ROUTING: Final = 4
R_ROUTED_AT: Final = 5
R_WAITING: Final = 6
R_N_WAITING: Final = 7
R_FOUND_AT: Final = 8
R_SWITCH: Final = 9
R_N_SWITCH: Final = 10
R_SWITCHED_AT: Final = 11
R_WINNERS: Final = 12
R_N_WINNERS: Final = 13
R_CROSS_FROM: Final = 14
R_CROSS_TO: Final = 15
ROUTER: Final = 16

# Node.
N_FIRST: Final = 0  # packets that wait at the source
N_LAST: Final = 1
N_SENT: Final = 2  # flits of the first one that are on their way
N_VC: Final = 3
N_AWAKE: Final = 4
N_CHANNEL: Final = 5  # its injection channel
N_INJECTED: Final = 6  # flits
N_EJECTED: Final = 7
N_TABLE: Final = 8  # of the routes, for its next packet
NODE: Final = 10

# Packet.
P_CREATED: Final = 0
P_SOURCE: Final = 1
P_DESTINATION: Final = 2
P_FLITS: Final = 3
P_TABLE: Final = 4
P_NEXT: Final = 5
P_CLASS: Final = 6
P_ISSUED: Final = 7  # cycle in which it came first at its source, -1 before
P_INJECTED: Final = 8  # cycle in which its head left the source, -1 before
P_HEAD: Final = 9  # cycle in which its head arrived, -1 before
P_ARRIVED: Final = 10  # cycle in which its tail arrived, -1 before
P_OWNER: Final = 11  # a server's transfer, or 0
P_BYTES: Final = 12
P_NUMBER: Final = 13  # among those of its transfer
PACKET: Final = 14

# Transfer.
T_TASK: Final = 0
T_FLAGS: Final = 1
T_SOURCE: Final = 2
T_DESTINATION: Final = 3
T_PACKETS: Final = 4
T_CREATED: Final = 5  # packets
T_ARRIVED: Final = 6  # packets
T_LAST_BYTES: Final = 7
TRANSFER: Final = 8

CLASS_BITS: Final = 8
CLASS_MASK: Final = (1 << CLASS_BITS) - 1
"""A route is a link and the class of its virtual channels, link << CLASS_BITS | class, or -1 to eject."""
FAR: Final = 1 << 40
"""Further than any round-robin pointer."""
