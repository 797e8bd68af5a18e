# %% [markdown]
# # A plan, a unit and a server of one's own
#
# Two cores of the tiny chip compute y = x w1 w2: core 0 the first product, core 1 the second. The plan is written by
# hand, run on both engines, and executed on numbers. Then the matrix unit is replaced by one that skips blocks of
# zeros, and the DRAM by one without banks. Both are plain Python, which the reference engine runs as it is.

# %%
import numpy as np

import cairn
from cairn.base.ticks import NEVER
from cairn.hw_models.server import COUNT, DONE, DONE_AT, HEADER, NOW, Server, ServerKind
from cairn.sim.config.run_config import Engine
from cairn.sim.engine.reference import simulate_plan
from cairn.sim.plan import actions
from cairn.sim.plan.builder import PlanBuilder, Region, Slice, Tile
from cairn.sim.plan.instance import BlockInstance
from cairn.sim.plan.numbers import execute
from cairn.sim.plan.plan import COMPUTE, COMPUTE_COLUMNS, DRAM, SRAM
from cairn.sim.run import run_plan
from cairn.workloads.graph import Block, Operator, OpKind, Role, Tensor

chip = cairn.load("demo").chip
M, K, H, N = 8, 64, 64, 32  # rows of all, columns of x, of h = x w1, and of y = h w2

# %% [markdown]
# ## What is computed
#
# The block says which operators and tensors there are. It is what the plan's numbers refer to.

# %%
SHAPES = {"x": (M, K), "w1": (K, H), "h": (M, H), "w2": (H, N), "y": (M, N)}
block = Block(
    "pair",
    (
        Operator("first", OpKind.MATMUL, ("x", "w1"), ("h",)),
        Operator("second", OpKind.MATMUL, ("h", "w2"), ("y",)),
    ),
    tuple(
        Tensor(name, Role.WEIGHT if name[0] == "w" else Role.ACTIVATION, *shape, 16) for name, shape in SHAPES.items()
    ),
    None,
    "y",
)

# %% [markdown]
# ## The plan
#
# Three calls: `copy` moves a rectangle between two places, `compute` keeps a unit busy with a tile, `sync` joins. Tasks
# that a task waits for are named; nothing else orders them but the queues.

# %%
plan = PlanBuilder(chip)
first, second = plan.operator("pair/first"), plan.operator("pair/second")
tensor = {name: plan.tensor(name) for name in SHAPES}


def whole(name: str) -> Slice:
    """All of a tensor: 2 bytes an element."""
    rows, columns = SHAPES[name]
    return Slice(tensor[name], (0, rows), (0, columns), 2 * rows * columns)


def load(core: int, name: str, row: int, op: int) -> np.ndarray:
    """From the channel above the core, spread over four banks from DRAM row `row` on."""
    channel = int(chip.channel_of(np.array([core]))[0])
    address = (0, 4, row, chip.dram.row_bytes, 0)
    return plan.copy(Region(DRAM, channel, whole(name), address), Region(SRAM, core, whole(name)), op)


def multiply(core: int, op: int, m: int, n: int, k: int, after: list[np.ndarray]) -> np.ndarray:
    """One tile on the core's matrix unit, as long as the chip's array needs for it."""
    cycles = int(chip.matrix_unit.tile_cycles(m, n, k))
    return plan.compute(core, "matrix", Tile(op, actions.MATMUL, (0, m), (0, n), (0, k)), cycles, after, 2 * m * n * k)


h = multiply(0, first, M, H, K, [load(0, "x", 0, first), load(0, "w1", 8, first)])
moved = plan.copy(Region(SRAM, 0, whole("h")), Region(SRAM, 1, whole("h")), second, h, cause="handoff")
y = multiply(1, second, M, N, H, [load(1, "w2", 0, second), moved])
plan.sync(y, cycles=10)
built = plan.build()

# %% [markdown]
# ## Time, and numbers
#
# Both engines give one trace. On numbers, every core has what lies in its own SRAM and no more: a dependence that was
# forgotten shows as data that is not there.

# %%
trace = run_plan(built, chip)
reference = run_plan(built, chip, Engine.REFERENCE)
agree = all(np.array_equal(getattr(trace, part), getattr(reference, part)) for part in ("start", "first", "end"))
print(f"{built.n_tasks} tasks, {trace.makespan / 1e6:.3f} us, engines agree: {agree}")
for task in range(built.n_tasks):
    queue = built.queues[built.queue[task]].name if built.queue[task] >= 0 else "-"
    print(f"  task {task} on {queue:13} {trace.start[task] / 1e3:9.1f} to {trace.end[task] / 1e3:9.1f} ns")

generator = np.random.default_rng(0)
inputs = {name: generator.normal(size=SHAPES[name]) for name in ("x", "w1", "w2")}
result = execute(built, trace, [BlockInstance(0, "", block)], inputs).gathered("y")
print("largest difference to NumPy:", np.abs(result - inputs["x"] @ inputs["w1"] @ inputs["w2"]).max())

# %% [markdown]
# ## A unit of one's own
#
# A unit is a function of plan, task and time that answers how long the task lasts, in ticks. This one is an array that
# skips zeros: of w1, seven in eight rows are zero, so the reduction is an eighth as long.

# %%
DENSE = {first: 1 / 8, second: 1.0}  # share of rows of the weights that hold anything


def skipping(plan_: cairn.Plan, task: int, now: int) -> int:
    """Ticks of a tile whose reduction leaves out rows of zeros."""
    if plan_.kind[task] != COMPUTE:
        return int(plan_.duration[task])
    tile = dict(zip(COMPUTE_COLUMNS, plan_.compute[plan_.row[task]].tolist(), strict=True))
    k = max(1, round((tile["k1"] - tile["k0"]) * DENSE[tile["op"]]))
    cycles = int(chip.matrix_unit.tile_cycles(tile["m1"] - tile["m0"], tile["n1"] - tile["n0"], k))
    issue = chip.synchronisation.task_issue_cycles
    return -(-(cycles + issue) * chip.clock.num // chip.clock.den)


sparse = simulate_plan(built, chip.servers(), {"matrix": skipping})
print(f"with zeros skipped {sparse.makespan / 1e6:.3f} us instead of {trace.makespan / 1e6:.3f} us")

# %% [markdown]
# ## A server of one's own
#
# A server is one array and three functions. This DRAM has no banks and no rows: a request is done LATENCY ticks after
# its bytes have passed, all channels over one pipe at the bandwidth of the whole chip. It stands under the same name in
# the plan and reads the same request columns as the real one.

# %%
LATENCY = 20_000  # ticks, 20 ns: assumed, a round figure
PASSED, HELD, PENDING = HEADER, HEADER + 1, HEADER + 2
ROOM = 64
TICKS_PER_BYTE = 1e12 / (chip.dram.bandwidth_gb_per_s * 1e9)


def enqueue(state, task, request):  # type: ignore[no-untyped-def]
    """Bytes pass in the order of admission."""
    state[PASSED] = max(state[NOW], state[PASSED]) + int(np.ceil(request[-1] * TICKS_PER_BYTE))
    at = PENDING + 2 * state[HELD]
    state[at : at + 2] = task, state[PASSED] + LATENCY
    state[HELD] += 1


def next_event(state):  # type: ignore[no-untyped-def]
    """The oldest request is done first."""
    return int(state[PENDING + 1]) if state[HELD] else NEVER


def advance(state, until):  # type: ignore[no-untyped-def]
    """Go to `until`, or to the first completion if that is earlier, and report what is done there."""
    state[NOW] = min(until, next_event(state))
    count = 0
    while state[HELD] and state[PENDING + 1] == state[NOW]:
        state[state[DONE_AT] + count] = 2 * state[PENDING] + DONE
        state[PENDING : PENDING + 2 * (ROOM - 1)] = state[PENDING + 2 : PENDING + 2 * ROOM].copy()
        state[HELD] -= 1
        count += 1
    state[COUNT] = count
    return count


real = chip.servers()
state = np.zeros(PENDING + 3 * ROOM, np.int64)
state[DONE_AT] = PENDING + 2 * ROOM
mine = Server(ServerKind("pipe", enqueue, advance, next_event, real["dram"].kind.request_columns, lambda _: {}), state)
piped = simulate_plan(built, {**real, "dram": mine})
print(f"with a DRAM of no banks, shared by all channels, {piped.makespan / 1e6:.3f} us")
loaded = int(sum(request[-1] for request in built.requests[built.servers.index("dram")]))
