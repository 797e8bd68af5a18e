"""Kernels that rank the splits of a product: what each costs, which may be the cheapest at some rate of the DRAM, and
which one is.

Cycles of a split are overlapped(DRAM, rest), and the rest does not depend on the rate of the DRAM. The 4-norm grows
with both, so the cheapest split at any rate is one than which none has both fewer bytes and less rest: a handful. Of
equal ones the first counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel
from cairn.sim.mapping import cost_layout as at

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Element = tuple[float, float, float, float, float]
"""Bits of an element of x, of w and of a partial sum; bits of SRAM that an element of x takes and additions for it: its
own bits and none, unless a LUT unit works on tables of it."""


@kernel(error_model="numpy")
def overlapped(a: Any, b: Any) -> Any:
    """Time of two activities that overlap through buffers of a few tiles: a little over the longer one when both are
    about as long, because then each waits for the other in turn (assumed: the 4-norm). Numbers or arrays."""
    c, d = a * a, b * b
    return np.sqrt(np.sqrt(c * c + d * d))


@kernel(error_model="numpy")
def split_cost(split: FloatArray, chip: FloatArray, compute: float, element: Element, cost: FloatArray) -> None:
    """Fill `cost` (COST_COLUMNS,) for a split on a chip: the busiest core's compute, DRAM and network.

    Weights stream while the cores compute. Gathering x and reducing y come before and after the compute but not before
    and after the weight stream, which runs ahead. Tables are made of x as it is gathered, those of later passes beside
    the products of earlier ones.
    """
    x_bits, w_bits, partial_bits, held_bits, adds = element
    m, n, k = split[at.M], split[at.N], split[at.K]
    gn, gk, shared = split[at.GN], split[at.GK], split[at.SHARED]
    sram, link = chip[at.SRAM], chip[at.LINK]
    x_bytes, w_bytes, y_bytes = m * k * x_bits / 8, k * n * w_bits / 8, m * n * partial_bits / 8
    partial = 2 * min(y_bytes, sram / at.PARTIAL_SHARE) if gk > 1 else 0.0
    tables = m * k * adds / chip[at.LANES]
    needed = m * k * held_bits / 8 + y_bytes / gk
    passes = min(max(np.ceil(needed / max(chip[at.BUDGET] - partial, 1.0)), 1.0), max(m, 1.0))
    act = needed / passes + partial
    stretches = np.ceil(y_bytes / passes / (sram / at.PARTIAL_SHARE)) if gk > 1 else 1.0
    flow_n = x_bytes * (gn - 1) / gn
    flow_m = w_bytes * (shared - 1) / shared * passes
    flow_k = y_bytes * (gk - 1) / gk
    network = (flow_n + flow_m + flow_k) / link
    hop, start = chip[at.HOP], chip[at.START]
    compute = max(compute, tables)
    cost[at.COMPUTE] = compute
    cost[at.BYTES] = w_bytes / shared * passes
    cost[at.NETWORK] = network
    cost[at.ACT] = act
    cost[at.PASSES] = passes
    cost[at.STRETCHES] = stretches
    cost[at.FITS] = act <= chip[at.BUDGET]
    cost[at.GATHER] = flow_n / link * split[at.BUSY_N] + (gn - 1) * (start + hop * split[at.STRIDE_N]) + tables / passes
    cost[at.X_BYTES] = x_bytes
    cost[at.COST_GN] = gn
    cost[at.COST_LINK] = link
    # a small message of the chain may find a packet of the weight ring on its link, half of it on average
    blocked = chip[at.PACKET] / 2 if shared > 1 else 0.0
    moving = max(flow_m / link * split[at.BUSY_M], network)
    ring = flow_k / link * split[at.BUSY_K]
    step = start + hop * split[at.STRIDE_K] + blocked
    adding = m * n * (gk - 1) / gk / chip[at.LANES]
    for cut in range(at.CUTS):
        reductions = at.FINER_STRETCHES[cut] * stretches
        if cut > 0 and (gk <= 1 or reductions * chip[at.ARRAY] > n):  # a stretch has an array's columns at least
            cost[at.INSIDE + cut], cost[at.AFTER + cut] = np.inf, 0.0
            continue
        in_all = reductions * passes
        reducing = ring + in_all * (gk - 1) * step + adding if gk > 1 else 0.0
        cost[at.INSIDE + cut] = overlapped(compute, max(moving, reducing))
        cost[at.AFTER + cut] = reducing / in_all


@kernel(error_model="numpy")
def beside_stream(cost: FloatArray, load: float, cut: int) -> float:
    """Cycles of all that overlaps with the stream of weights, x passing the busiest link `load` times on its way."""
    gather = cost[at.GATHER]
    if load > 0:
        gather += load * cost[at.X_BYTES] / cost[at.COST_GN] / cost[at.COST_LINK]
    return cost[at.INSIDE + cut] + (gather + cost[at.AFTER + cut])  # type: ignore[no-any-return]


@kernel(error_model="numpy")
def least_beside_stream(cost: FloatArray, load: float) -> float:
    """The same with the best cut of the columns."""
    least = beside_stream(cost, load, 0)
    if cost[at.INSIDE + 1] < np.inf:
        for cut in range(1, at.CUTS):
            least = min(least, beside_stream(cost, load, cut))
    return least


@kernel(error_model="numpy")
def split_costs(
    size: IntArray, chip: IntArray, sizes: FloatArray, chips: FloatArray, unit: IntArray, cycles: FloatArray,
    element: Element,
) -> FloatArray:  # fmt: skip
    """(n, COST_COLUMNS) for n pairs of a row of `sizes` and a row of `chips`."""
    costs = np.empty((size.size, at.COST_COLUMNS))
    for i in range(size.size):
        split_cost(sizes[size[i]], chips[chip[i]], cycles[unit[chip[i]], size[i]], element, costs[i])
    return costs


@kernel(error_model="numpy")
def fronts(
    alike: IntArray, fits: BoolArray, sizes: FloatArray, chips: FloatArray, unit: IntArray, cycles: FloatArray,
    element: Element, chip: IntArray, before: IntArray, loads: FloatArray, wanted: BoolArray,
) -> tuple[IntArray, IntArray]:  # fmt: skip
    """For each pair of a `chip` and a split `before` (-1: none) that left x, the splits that may be the cheapest.

    Answers where a pair's begin (pairs + 1,), and the splits in ascending order; one that needs the least SRAM where
    none fits. `chip` ascends. `loads` (before, split) are NaN where unknown; such a load is taken as none, and `wanted`
    is marked where that let a split come into a front, which is then preliminary.
    """
    count = alike.size
    costs = np.empty((len(sizes), at.COST_COLUMNS))
    begin = np.zeros(chip.size + 1, dtype=np.int64)
    found = np.empty(max(16, 4 * chip.size), dtype=np.int64)
    front, front_bytes, front_rest = np.empty(count, dtype=np.int64), np.empty(count), np.empty(count)
    for pair in range(chip.size):
        row, earlier = chip[pair], before[pair]
        if pair == 0 or row != chip[pair - 1]:
            for size in range(len(sizes)):
                split_cost(sizes[size], chips[row], cycles[unit[row], size], element, costs[size])
        length, tightest = 0, -1
        for split in range(count):
            cost = costs[alike[split]]
            if not fits[split]:
                continue
            if tightest < 0 or cost[at.ACT] < costs[alike[tightest], at.ACT]:
                tightest = split
            if cost[at.FITS] == 0:
                continue
            load = 0.0 if earlier < 0 or np.isnan(loads[earlier, split]) else loads[earlier, split]
            rest = least_beside_stream(cost, load)
            length = _enter(split, cost[at.BYTES], rest, front, front_bytes, front_rest, length)
        if length == 0:
            front[0], length = tightest, 1
        if begin[pair] + length > found.size:
            found = np.concatenate((found, np.empty(found.size + length, dtype=np.int64)))
        for i in range(length):
            found[begin[pair] + i] = front[i]
            if earlier >= 0 and np.isnan(loads[earlier, front[i]]):
                wanted[earlier, front[i]] = True
        begin[pair + 1] = begin[pair] + length
    return begin, found[: begin[chip.size]].copy()


@kernel(error_model="numpy")
def _enter(
    split: int, size: float, rest: float, front: IntArray, sizes: FloatArray, rests: FloatArray, length: int
) -> int:
    """Put a split into a front of those before it, if none is as good, and take out those that it beats."""
    for i in range(length):
        if sizes[i] <= size and rests[i] <= rest:
            return length
    kept = 0
    for i in range(length):
        if sizes[i] < size or rests[i] < rest:
            front[kept], sizes[kept], rests[kept] = front[i], sizes[i], rests[i]
            kept += 1
    front[kept], sizes[kept], rests[kept] = split, size, rest
    return kept + 1


@kernel(error_model="numpy")
def with_stream(costs: FloatArray, load: FloatArray, rate: FloatArray) -> tuple[FloatArray, IntArray]:
    """For n costs with loads and rates of the DRAM: cycles with the best cut, and the cut to be made."""
    total, chosen = np.empty(rate.size), np.empty(rate.size, dtype=np.int64)
    for i in range(rate.size):
        cost = costs[i]
        chosen[i] = cut_of(cost, load[i], rate[i])
        stream = cost[at.BYTES] / rate[i]
        total[i] = overlapped(stream, least_beside_stream(cost, load[i])) if cost[at.FITS] > 0 else np.inf
    return total, chosen


@kernel(error_model="numpy")
def cut_of(cost: FloatArray, load: float, rate: float) -> int:
    """The coarsest cut whose cycles are within WORTH of the best."""
    stream = cost[at.BYTES] / rate
    limit = (1 + at.WORTH) * overlapped(stream, least_beside_stream(cost, load))
    for cut in range(at.CUTS):
        if overlapped(stream, beside_stream(cost, load, cut)) <= limit:
            return cut
    return 0


@kernel(error_model="numpy")
def cheapest(
    pair: IntArray, rate: FloatArray, begin: IntArray, costs: FloatArray, load: FloatArray
) -> tuple[IntArray, IntArray]:
    """For each design with its pair and rate of the DRAM: the place of the cheapest split in the fronts, and its cut.

    `begin` is of `fronts`; `costs` (places, COST_COLUMNS) and `load` (places,) belong to the splits there.
    """
    places, cuts = np.empty(pair.size, dtype=np.int64), np.empty(pair.size, dtype=np.int64)
    rest = np.empty(load.size)
    for i in range(load.size):
        rest[i] = least_beside_stream(costs[i], load[i])
    for design in range(pair.size):
        best, least = begin[pair[design]], np.inf
        for place in range(begin[pair[design]], begin[pair[design] + 1]):
            total = overlapped(costs[place, at.BYTES] / rate[design], rest[place])
            if total < least:
                best, least = place, total
        places[design], cuts[design] = best, cut_of(costs[best], load[best], rate[design])
    return places, cuts
