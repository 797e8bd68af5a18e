"""What the compute actions of unfused attention do with numbers.

Scores lie in one tensor, which the soft-max changes to probabilities in place: matrix (request, key head), a row for
each token of the step, and for each key as many columns as query heads share it, side by side. Of a row that does not
look at a key the score is -inf, the probability 0; rows that look at no key of a tile may be left out of it.
"<scores>.statistics" has of each row the largest score of each query head, then the sums of the exponentials.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.sim.plan import actions
from cairn.sim.plan.numbers_actions import Action
from cairn.sim.plan.numbers_attention import attention_of, caches_of, hidden_keys, join, scored
from cairn.sim.plan.numbers_machine import Effect, Job, Machine
from cairn.sim.plan.numbers_memory import Numbers, Rect
from cairn.workloads.graph import OpKind

Statistics = tuple[Numbers, Numbers]
"""Largest score and sum of exponentials below it, (rows, query heads) each."""


def _heads(job: Job) -> int:
    attention = attention_of(job)
    return attention.heads // attention.kv_heads


def _rect(job: Job) -> Rect:
    return *job.m, job.n[0] * _heads(job), job.n[1] * _heads(job)


def _hidden_cells(job: Job) -> npt.NDArray[np.bool_]:
    return np.repeat(hidden_keys(job), _heads(job), axis=1)


def _taken(machine: Machine, job: Job, name: str, hidden: float) -> Numbers:
    """Scores (or probabilities) of rows m and keys n, `hidden` where a row does not look: (rows, keys, heads).

    Every one that a row looks at must be there. A core has no room for those that lie in DRAM: they came for this task.
    """
    tensor, rect, unseen = machine.key(job.instance, name), _rect(job), _hidden_cells(job)
    values = machine.need(job.core, tensor, job.group, rect, job.task, needless=unseen)
    if isinstance(tensor, int) and machine.dram.holds(tensor, job.group, rect):
        machine.forget(job.core, tensor, job.group, rect)
    return np.where(unseen, hidden, values).reshape(len(values), -1, _heads(job))


def scores(machine: Machine, job: Job) -> Effect:
    """Scores of a tile of keys."""
    values = scored(machine, job).swapaxes(1, 2)
    tensor = machine.key(job.instance, job.operator.outputs[0])
    return lambda: machine.put(job.core, tensor, job.group, _rect(job), values.reshape(len(values), -1))


def row_stats(machine: Machine, job: Job) -> Effect:
    """Maximum and sum over these keys, joined with those over other keys of the rows."""
    found = _statistics_of(_taken(machine, job, job.operator.outputs[0], -np.inf))

    def end() -> None:
        tensor, rect = _statistics(machine, job)
        before = machine.look(job.core, tensor, job.group, rect)
        begun = ~np.isnan(before[:, :1])
        machine.put(job.core, tensor, job.group, rect, np.where(begun, _joined(before, found), np.hstack(found)))

    return end


def merge_statistics(machine: Machine, job: Job, received: Numbers) -> Effect:
    """Joins the maxima and sums of another core with the own ones."""

    def end() -> None:
        tensor, rect = _statistics(machine, job)
        mine = machine.need(job.core, tensor, job.group, rect, job.task)
        machine.put(job.core, tensor, job.group, rect, _joined(mine, _halves(received)))

    return end


def softmax(machine: Machine, job: Job) -> Effect:
    """Probabilities of whole rows from their scores."""
    values = _taken(machine, job, job.operator.outputs[0], -np.inf)
    return _probabilities(machine, job, values, _statistics_of(values))


def probabilities(machine: Machine, job: Job) -> Effect:
    """Probabilities of some keys from their scores and the maxima and sums of the whole rows."""
    tensor, rect = _statistics(machine, job)
    known = _halves(machine.need(job.core, tensor, job.group, rect, job.task))
    return _probabilities(machine, job, _taken(machine, job, job.operator.outputs[0], -np.inf), known)


def context(machine: Machine, job: Job) -> Effect:
    """Adds the values of these keys, times their probabilities, to what the core has of the result."""
    cache, width = machine.key(job.instance, caches_of(job)[-1]), attention_of(job).value_dim
    weights = _taken(machine, job, job.operator.inputs[0], 0.0)
    values = machine.need(job.core, cache, job.group, (*job.n, 0, width), job.task)
    product = np.einsum("mnh,nd->mhd", weights, values).reshape(len(weights), -1)
    y, rect = machine.key(job.instance, job.operator.outputs[0]), _result_rect(job)
    return lambda: machine.put(job.core, y, 0, rect, np.nan_to_num(machine.look(job.core, y, 0, rect)) + product)


def merge_results(machine: Machine, job: Job, received: Numbers) -> Effect:
    """Adds the result over the keys of another core."""
    y = machine.key(job.instance, job.operator.outputs[0])
    return lambda: machine.add(job.core, y, 0, _result_rect(job), received, job.task)


def _result_rect(job: Job) -> Rect:
    attention = attention_of(job)
    head, width = job.group % attention.kv_heads, _heads(job) * attention.value_dim
    return *job.m, head * width, (head + 1) * width


def _statistics(machine: Machine, job: Job) -> tuple[Hashable, Rect]:
    name = f"{job.operator.outputs[0]}.statistics"
    return machine.key(job.instance, name), (*job.m, 0, 2 * _heads(job))


def _statistics_of(values: Numbers) -> Statistics:
    highest = values.max(axis=1)
    finite = np.where(np.isfinite(highest), highest, 0.0)
    return highest, np.exp(values - finite[:, None]).sum(axis=1)


def _halves(packed: Numbers) -> Statistics:
    first, second = np.split(packed, 2, axis=1)
    return first, second


def _joined(packed: Numbers, other: Statistics) -> Numbers:
    """Statistics of a row over the keys of both, as they lie in their tensor."""
    highest, total = _halves(packed)
    nothing = np.zeros((*highest.shape, 0))
    return np.hstack(join((nothing, highest, total), (nothing, *other))[1:])


def _probabilities(machine: Machine, job: Job, values: Numbers, known: Statistics) -> Effect:
    highest, total = known
    shares = (np.exp(values - highest[:, None]) / total[:, None]).reshape(len(values), -1)
    tensor, rect = machine.key(job.instance, job.operator.outputs[0]), _rect(job)
    return lambda: machine.put(job.core, tensor, job.group, rect, shares)


ACTIONS: Final[dict[tuple[OpKind, int], Action]] = {
    (OpKind.ATTENTION_SCORES, actions.SCORES): scores,
    (OpKind.SOFTMAX, actions.SOFTMAX): softmax,
    (OpKind.SOFTMAX, actions.ROW_STATS): row_stats,
    (OpKind.SOFTMAX, actions.PROBABILITIES): probabilities,
    (OpKind.ATTENTION_CONTEXT, actions.CONTEXT): context,
}
