"""Stacked DRAM: all channels of a chip, their banks and rows, behind one server.

A request moves `bytes` of a region of one channel. Its row of the request table has the columns

    flags, channel, bank_base, bank_count, row_base, stripe_bytes, offset_bytes, bytes

The region is dealt over banks bank_base .. bank_base + bank_count - 1 in stripes of `stripe_bytes`, which divides
`row_bytes`: byte `offset` lies in stripe s = offset // stripe_bytes, in bank bank_base + s mod bank_count, at byte
(s // bank_count) * stripe_bytes + offset mod stripe_bytes of that bank's share, and so in row
row_base + that // row_bytes. `offset_bytes` is the offset of the first byte moved.

Rules of a channel (the cycle model and the oracle cite them). All times are ticks (ps); a timing of n cycles is
n periods of the DRAM clock rounded up; a burst's slot on the bus is burst_bytes over the channel's bandwidth.

D1  Runs. A request is cut at stripe boundaries and at multiples of `run_bytes` of its offset. A run of n bytes
    moves ceil(n / burst_bytes) whole bursts, consecutively; the rest of its last burst is padding.
D2  Admission. Runs are admitted one after the other, in one order per channel. Run i is admitted at the earliest
    tick at which run i - queue_runs has begun its data and a request with runs left is present (enqueued at that
    tick or before). The request served is the one with the smallest task id above the one served last, else the
    one with the smallest. Who is present at tick t is known when time passes t: an admission at t takes effect in
    the first advance beyond t.
D3  Rows stay open. The rows that earlier admitted runs leave open decide whether a run hits (its row is open),
    misses (the bank is closed) or conflicts (another row is open).
D4  Commands. A conflict precharges: PRE >= admission, the bank's last ACT + tRAS, its last read command + tRTP,
    the end of its last write data + tWR. A miss or conflict activates: ACT >= admission, PRE + tRP, the channel's
    last ACT + tRRD, its fourth-last ACT + tFAW, the bank's last ACT + tRAS + tRP. Column command >= admission,
    ACT + tRCD. Data begin tCL after the first column command, for writes as for reads, in the order of admission
    and not before the previous run's data have ended; plus tWTR if those were written and these are read, tRTW if
    the other way round. A column command waits for its place on the bus. Data last the slots of the bursts,
    rounded up once per run; the last column command precedes the end of data by one slot (rounded up) and tCL.
D5  All-bank refresh k = 1, 2, ... holds the channel from k * tREFI for tRFC and leaves all banks closed. Data that
    began before it finish. A run whose data would begin at or after its start issues all its commands after its
    end (and so misses). Without refresh (`refresh: none`) this rule does not apply.
D6  FIRST is the tick at which the first burst of the first run has arrived, DONE the end of the last run's data.

Left out: reordering between runs (activates, too, keep the order of admission), bank groups and the occupation of the
command bus (the slot is taken to be no shorter than tCCD), a write latency of its own, per-bank refresh, power-down.

Everything about a run follows at its admission from earlier runs alone, which is what makes the channel quick.
"""
