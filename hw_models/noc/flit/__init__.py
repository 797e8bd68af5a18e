"""The network to the flit: wormhole routers with virtual channels and credits, cycle by cycle.

Rules (kernels and the oracle cite them by number). With delays of one cycle for both allocations they give the cycles
of BookSim2 (github.com/booksim/booksim2 @28f43299, input-queued router with iSLIP allocators).

F0  Channels are the links of a network, and between each node and its router one to inject and one to eject, of one
    cycle. Every channel has V virtual channels, each with a buffer of B flits at its end. Outputs of a router are
    numbered in the order of its links, then its nodes. So are inputs, with growing and falling directions exchanged,
    so that on a grid an input has the number of the output that leads back.

Sources
F1  A packet is created in its cycle and joins the queue of its source. In each cycle a source sends one flit of its
    first packet, if there is a credit. The packet behind a tail may begin in the next cycle.
F2  A head takes the first virtual channel with a credit, in turn from behind the last one taken, whatever its route;
    the body follows on it. A credit that comes back to a source may be used in the cycle in which it arrives.

Routers
F3  In each cycle a router does `internal_speedup` rounds. A round first lets every stage decide on the state at its
    beginning, then applies what was decided. A stage of one cycle applies at the end of the round in which it began.
    One of d > 1 cycles applies in the first round of the cycle d - 1 later; until then it begins nothing new, and in
    the round after that it takes up all that has come meanwhile.
F4  Routing takes up the head of a packet in the round in which it arrives in an empty buffer, or in the round after
    the tail before it was sent; with a delay of 0 it is done at once. It answers an output and the virtual channels
    allowed there: those of the set of the packet's table and class (`network.Routes`), or all of V at an ejection
    port. From the next round on (of delay 0: in this round) the packet asks for one.
F5  VC allocation: a waiting packet asks for all free virtual channels that it is allowed. Each of these takes the
    nearest packet behind its pointer, in the order of input and virtual channel; each packet takes the nearest of
    those that took it, behind a pointer of its input channel. Both pointers then move behind the match. From the
    next round on the packet asks for the switch. It holds the channel until its tail has won the switch; others may
    ask for it in the round after that.
F6  Switch allocation: a buffer that holds a virtual channel, a flit and a credit asks for its output on behalf of its
    lane. An input has `input_speedup` lanes, and buffer v uses lane v mod their number. Each output takes the nearest
    lane behind its pointer, each lane the nearest output behind its own, and both move behind the match. Among the
    buffers of the lane that ask for that output the first in turn wins, and the turn moves on by `input_speedup`.
F7  Speculative: a packet asks for the switch while it waits for a virtual channel, if one that it is allowed is free
    and has a credit. In its lane it comes after buffers that hold one. If it wins, it is sent only when VC allocation
    gave it a channel with a credit in the same round; pointers stay where the allocation put them.
F8  A flit that wins leaves its buffer. In the next round it crosses the switch, in `st_final_delay` cycles (a stage
    as in F3), and in the cycle in which it is through it leaves by its output, one flit in each cycle. It arrives 1 +
    the link's cycles later. What a round frees at one input is one credit message, one of which leaves in each cycle,
    the first in the cycle of the round; it arrives 1 + the link's cycles later and may be used `credit_delay` cycles
    after that.
F9  A node takes every flit in the cycle in which it arrives, and its credit leaves in the same cycle.
F10 When no flit can move any more while some are in the network, the run ends, and names the channels that wait for
    each other (Cairn's own).

As a server
F11 A transfer waits `start` cycles (>= 1) after it was requested; a request within a cycle counts from the next one.
    Then its first packet is created, each further one in the cycle after the tail before it left the source, at the
    end of the source's line: transfers take turns packet by packet. Packets have `max_packet_bytes`, the last one
    less, and as many flits as that takes; packets of one source take the tables of the routes in turn, as they join
    its line.
F12 FIRST is the cycle in which the head of the first packet arrives, DONE that in which the last tail does, whichever
    packet's it is.
F13 All times are whole cycles of the network's clock, and completions fall on the tick in which their cycle begins.

A packet's latency is from its creation to the arrival of its tail. A batch is complete one cycle after the last
arrival, that is, cycles are counted from 0 and the last one is counted too.

`spec` (parameters), `layout`, `state` (the state as one array), `allocate`, `router`, `events`, `cycle` (the
kernels), `simulate` (a network to run), `measure` and `saturation` (batches, loads, curves), `deadlock`, `oracle`
(the rules in plain Python), `server` (the network of a chip).
"""
