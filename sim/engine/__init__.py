"""Two engines, one meaning: `compiled` (Numba, the default) and `reference` (SimPy, to be read and tested against).

Both follow these rules, so that a plan has one trace, to the tick, on every machine and in every process.

1. Time is integer ticks (picoseconds) from 0. The tasks of a queue stand in line in plan order, that is by task id,
   and only the head of the line can be issued; if it is not ready, everything behind it waits.
2. A head is ready when all its predecessor events have been committed and its queue has a free place, that is fewer
   than `depth` tasks in flight (issued and not ended). A task without a queue is ready when its predecessor events
   have been committed.
3. Time stands at a tick for as many rounds as something happens; then it goes to the earliest tick at which a task
   of fixed duration ends or a server may complete something. Tick 0 begins with a round in which nothing completes.
4. First in a round, every completion is collected: tasks whose duration is over, zero-length tasks that were issued
   in the round before, and what servers complete at this tick. A server is advanced to this tick when its
   `next_event` is not later, again and again until its `next_event` lies in the future.
5. Second, the completions are committed in task-id order, first data before end. First data releases the successors
   in `on_first`, the end those in `on_done`, and the end frees the task's place. A task that no server serves, or whose
   server reported no first data, gives its first data at its end.
6. Third, ready heads are issued in task-id order. Issuing a head makes the next task of the queue the head, which
   takes its turn in the same phase if it is ready. A task of fixed duration ends that many ticks later; of duration
   zero, in the next round of this tick.
7. A task with a server is handed to it at its issue: the server is advanced to now (where nothing more completes,
   because of rule 4), then the request is enqueued. Its planned duration counts for nothing. What it completes at once
   belongs to the next round of this tick.
8. The run ends with the end of the last task; every server is then advanced to that tick, so that its counters cover
   the whole run. A run in which tasks are left and nothing is under way is stuck, which is an error.

A server that breaks its contract, or says in header slot 7 of its state that it cannot go on, ends the run with an
error that names it, the tick and what it did.
"""
