"""The controller of one DRAM channel, to the tick.

Rules (kernels and the oracle cite them by number). They describe the single-channel controllers of Ramulator 2.1
(CMU-SAFARI/ramulator2 @c5b1c3a), whose cycle counts they give exactly; rules marked + are Cairn's own.

Time and queues
K1  The tick counter starts at 0. For each tick: requests are offered in list order, those whose time has come, until
    the first is refused for want of a free slot in its queue (reads and writes have one each), and are stamped with the
    counter; then the counter is raised, the refresh timer looked at, and commands issue.
K2  A request's next command is RD or WR where its row is open, ACT where its bank is closed, PRE where another row is
    open. With the ACT the request leaves its queue and its slot is free; it waits, activated, for its RD or WR. Row
    hits keep their slot until their RD or WR.
K3  Order of choice, for each command slot: activated requests; the refresh that is due longest; and if none is due the
    queue of reads or that of writes.
K4  Writes are served from when their queue holds more than `enter_writes` of its size or no read waits, until it
    holds less than `leave_writes`, or nothing+, and a read waits. This is decided whenever the queues are looked at;
    activated requests wait in no queue.

Choice
K5  frfcfs: among the requests whose next command may issue now, that of the earliest stamp (then the order in the
    list; among activated requests the order of activation). A PRE is refused while its bank has an activated request.
    frfcfs_row_hit: also while a hit of the bank with the same or an earlier stamp waits in the same queue.
    fcfs+: the earliest request of the queue, and its command only if it may issue now; a row hit also waits until no
    activated request is left and no activate incomplete (K12).
K6  A request counts as hit, miss (ACT) or conflict (PRE) when its first command issues. What closes a row for a
    refresh counts for none.

Commands
K7  Every rule of the standard (device.limits) keeps a command at least so many ticks after the earlier one. Commands
    of several ticks occupy their bus that long. One command a tick; with row and column bus one on each, the column
    bus first.
K8  Half ticks (HBM3, HBM4): RD, WR, ACT and refreshes issue on odd ticks only, PRE and PREA on all. On the even tick
    after a row command on an odd one (three ticks after an ACT), a PRE of the same pseudo-channel must be of another
    bank, and neither of both may be for all banks.
K9  Page `closed`+: a RD or WR after which no hit of its row waits (in either queue), nor the request that the row was
    opened for, precharges by itself (RDA, WRA).

Refresh
K10 all_bank: at every multiple of nREFI one refresh for each refresh scope, in order, falls due. It needs all banks of
    the scope closed, and closes them with PREA, for which it waits until no activated request is in the scope; then
    REF. per_bank: at every multiple of nREFIpb the next bank (pseudo-channels of HBM3 and HBM4 in step, each its own)
    falls due; an open one is precharged first, when its activated request is served; then REFPB. Nothing is postponed
    or pulled in.
K11 The run's length is the later of the last RD plus the read latency and the last WR.

LPDDR5
K12 ACT is two commands. After the first the request has left its queue and its bank is opening: no other ACT begins,
    requests of that bank wait, and a refresh whose scope holds it. The second takes the first slot in which nothing
    else may issue, and at the deadline (nAAD) has priority over all; then the row is open and the request activated.
    Times count from the first.
K13 The data clock stops at the last RD or WR plus its latency, burst and nWCKPST. A RD or WR that is chosen while it
    is stopped (that tick included) gives its slot to a CAS that starts it, and takes the next slot (unless an ACT's
    second command would miss its deadline there: then that takes the present slot).
"""
