"""The DRAM of a chip: channels of stacked banks that serve streams, each channel with the controller of `control`.

A request is a row of the table that `request` (hw_models/dram/request.py) describes.

Rules (the kernels and the oracle cite them)
S1  Ticks. A burst occupies the data bus for burst_bytes over the channel's bandwidth, exactly (bandwidths of very many
    digits: to 1e-7, never less). The controller's tick is that time over a power of two, so that it is at most a
    sixteenth of the DRAM clock; timings of n cycles of the clock
    are rounded up to ticks. A request that arrives at t ps is present from the first tick that begins at t or later.
S2  Runs. A request is cut at stripe boundaries and at multiples of `turn_bytes` of its offset. A run of n bytes moves
    ceil(n / burst_bytes) whole bursts, consecutively; the rest of its last burst is padding.
S3  Offering. At every tick, before commands, bursts enter the queue of reads or that of writes while it has a free slot
    (K1): first those of the run that has begun to enter, then a run of another request, the one with the smallest
    task id above the one served last, else the one with the smallest. It is chosen when its first burst enters; while
    its queue is full, nobody else enters. A request whose next run is for a bank that PIM units have claimed, or may
    claim by right for their first request (S7), is passed over, so that what cannot issue takes no slot from others.
S4  Commands follow rules K1 to K7, K10 and K11 of `control` with row and column buses, each command occupying its bus
    for one cycle of the clock (for a burst, where that is shorter), and scheduler frfcfs_row_hit; where stamps are
    equal, the order of arrival decides. Writes are also served (K4) from when the first burst of the oldest waiting
    one's run has waited in the queue for `write_wait_cycles`.
S5  The data of a column command at tick c begin t_cl after it, for writes as for reads, and last one burst. FIRST is
    the end of the first burst that issues of a request, DONE that of the last one.

Channels with PIM units (`dram/pim_spec.py`):

S6  PIM requests. They are served one after the other, in the order of arrival (of the task number within a tick),
    beside the queues of S3. One works on `bytes` of the banks bank_base .. bank_base + bank_count - 1 in columns, each
    of `column_bytes` in all of these banks together: from column offset / (bank_count * column_bytes), counted from
    that of row_base, on, row after row. It moves nothing over column and data bus (units on the logic die have wires
    of their own). Requests of buffers are streams as all others (S2 to S5), whose bursts ask no bank: each may issue
    when the buses let it, and does not push back a row command.
S7  Claims. The units claim the banks of the first request, or all of the channel without `mixed_access`, at the
    first tick after its arrival at which no refresh is due and no core waits for one of them (with a burst in a
    queue, or the next run of a request), or the time to give way is over. In claimed banks no row hit and no row
    command of a core issues, but bursts that were activated for. Without `mixed_access` the mode changes then, for
    `mode_change_cycles`. When the banks of a row are closed again (S8) the units give way if at least `turn_rows`
    rows were done since they last did and a core waits for a claimed bank: they may claim by right `yield_cycles`
    after the claim ends, at once otherwise. With `mixed_access` the claim ends with each row. Without, it ends when
    the units give way, or when there is no request and a core waits for a bank (from the tick after it was there),
    and the mode has changed back.
S8  Rows. When no claimed bank waits for a burst that it was activated for, no refresh is due and the mode has
    changed, claimed banks with open rows are precharged, then the request's row is activated in its banks:
    `together`, when the rules K7 allow it in every claimed (open) bank, or `each`, bank by bank in rising order.
    The first column is worked on `t_rcd_mac` after the last activate, the others `spacing_cycles` (times the
    request's turns, which are counted in `turn_parts`-ths, one whole at least) after the one before, and t_rtp
    after the last one at the earliest the banks are precharged in the same way. While rows of the units are open no
    refresh is done. FIRST is t_cl and a burst after the last column of the first row, DONE after the last column of
    all. A tick at which the units claim, give a row command, reach the last column of a row, begin to leave or
    leave is theirs: nobody else's command issues at it. At a tick at which a refresh falls due they do nothing but
    reach a last column.

A channel looks at runs, not at bursts: while hits of one run are the oldest that may issue and nothing else may happen,
they issue back to back and are done in one step. A test runs the same requests burst by burst through the controller of
`control` and compares every tick.
"""
