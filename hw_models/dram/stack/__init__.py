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
    its queue is full, nobody else enters.
S4  Commands follow rules K1 to K7, K10 and K11 of `control` with row and column buses, each command occupying its bus
    for one cycle of the clock (for a burst, where that is shorter), and scheduler frfcfs_row_hit; where stamps are
    equal, the order of arrival decides. Writes are also served (K4) from when the first burst of the oldest waiting
    one's run has waited in the queue for `write_wait_cycles`.
S5  The data of a column command at tick c begin t_cl after it, for writes as for reads, and last one burst. FIRST is
    the end of the first burst that issues of a request, DONE that of the last one.

A channel looks at runs, not at bursts: while hits of one run are the oldest that may issue and nothing else may happen,
they issue back to back and are done in one step. A test runs the same requests burst by burst through the controller of
`control` and compares every tick.
"""
