"""What a compute task does to its tile: the action codes of the plan's compute table.

A tile is (group, rows m0..m1, columns n0..n1, reduction k0..k1) of its operator. The numeric executor gives each
action its meaning; the units charge cycles for it.
"""

from __future__ import annotations

from typing import Final

MATMUL: Final = 0  # y[m, n] += x[m, k] w[group][k, n]
REDUCE: Final = 1  # adding a received partial sum to the local one: y[m, n]
NORM_STATS: Final = 2  # sum and sum of squares of x[m, n] over n: statistics `group`, rows m
STATS_REDUCE: Final = 3  # statistics k, rows m, added to statistics `group`
NORM_APPLY: Final = 4  # y[m, n] from x[m, n], statistics `group` of rows m and the weight
ELEMENTWISE: Final = 5  # y[m, n] from its inputs, element by element
ROPE: Final = 6  # rotary embedding of columns n of rows m
SCORES: Final = 7  # query rows m against keys n of cache `group`
SOFTMAX: Final = 8  # running softmax over keys n; unfused: the whole softmax of rows m, scores become probabilities
CONTEXT: Final = 9  # probabilities of keys n times their values, added to the rows' result
FINISH: Final = 10  # division by the softmax sum: result rows m
MERGE: Final = 11  # joining a partial attention result, or maxima and sums of scores, received from another core
GATHER: Final = 12  # rows m of a table
STATE: Final = 13  # state[group] updated and read for token rows m, value columns n
TOP_K: Final = 14  # routing decision of rows m
COMBINE: Final = 15  # adding expert outputs, weighted, to their token rows
ROW_STATS: Final = 16  # unfused: maximum of the scores of rows m over keys n and sum of their exponentials
PROBABILITIES: Final = 17  # unfused: probabilities of rows m and keys n from scores, maxima and sums
PRECOMPUTE: Final = 18  # tables of x[m, n], a group of k1 columns each; group FUSED: of values that pass anyway
LOOKUP: Final = 19  # y[m, n] += x[m, k] w[group][k, n], looked up in the tables of x

FUSED: Final = 1
"""`group` of PRECOMPUTE where tables are made of values on their way into the SRAM: these are not read from there."""

NAMES: Final = (
    "matmul", "reduce", "norm_stats", "stats_reduce", "norm_apply", "elementwise", "rope", "scores", "softmax",
    "context", "finish", "merge", "gather", "state", "top_k", "combine", "row_stats", "probabilities", "precompute",
    "lookup",
)  # fmt: skip
