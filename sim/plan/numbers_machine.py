"""What the numeric executor's actions work with: named tensors in memories, and where an operator finds its inputs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from cairn.base.errors import CairnError
from cairn.base.registry import nearest_hint
from cairn.sim.plan.instance import BlockInstance
from cairn.sim.plan.numbers_memory import Dram, Numbers, Rect, Sram, of_units, shape_of
from cairn.sim.plan.plan import Plan
from cairn.workloads.graph import Block, Operator, OpKind, Request, Role

View = Callable[[int, int, Rect], Numbers]
"""Another form in which a core may hold a rectangle (core, group, rectangle) of a tensor; NaN where it does not."""

Effect = Callable[[], None]
"""What a task does at its end."""


@dataclass(frozen=True)
class Job:
    """A compute task: rows m, columns n and reduction k of `group` of an operator of a block instance, on a core."""

    task: int
    core: int
    instance: BlockInstance
    operator: Operator
    group: int
    m: tuple[int, int]
    n: tuple[int, int]
    k: tuple[int, int]

    @property
    def rect(self) -> Rect:
        """Rows m and columns n."""
        return (*self.m, *self.n)


def token_starts(requests: Sequence[Request]) -> list[int]:
    """First token row of each request, and the number of rows."""
    return list(accumulate((request.new for request in requests), initial=0))


def is_deferred(operator: Operator) -> bool:
    """Whether the operator works on whole heads: its result is a tensor of its own, "<tensor>@<operator>"."""
    return operator.kind is OpKind.ROPE or (operator.kind is OpKind.NORM and operator.attention is not None)


def changed_columns(operator: Operator) -> int:
    """Columns from 0 on that an operator on whole heads changes; those behind them stay as they are."""
    attention = operator.attention
    return (attention.heads + attention.kv_heads) * attention.head_dim if attention else 0


class Machine:
    """Memories, names, and the rules by which a core finds a tensor that lies there in another form."""

    def __init__(self, plan: Plan, instances: Sequence[BlockInstance], inputs: Mapping[str, Numbers]):
        self.plan = plan
        self.numbers = {name: number for number, name in enumerate(plan.tensors)}
        self.sram = Sram()
        for name in inputs:
            if name not in self.numbers:
                raise CairnError(f"the plan has no tensor {name!r}{nearest_hint(name, self.numbers)}")
        begun = {plan.tensors[i.input]: i for i in instances if i.input is not None and i.begins}
        resident = {self.numbers[name]: _matrices(values) for name, values in inputs.items() if name not in begun}
        self.dram = Dram(resident)
        self.table_groups: dict[str, int] = {}
        """Columns of x that a table of a LUT unit stands for, by name of the tables."""
        self.shapes: dict[Hashable, tuple[int, int]] = {}
        self._rows: dict[Hashable, int] = {}
        self._views: dict[Hashable, View] = {}
        self._made: dict[str, View] = {}
        self._shared = {self.numbers[name] for instance in instances for name in instance.names.values()}
        for instance in instances:
            self._describe(instance)
        for name in begun.keys() & inputs.keys():
            for core, rect in begun[name].begins:
                values = _matrices(inputs[name])[0, rect[0] : rect[1], rect[2] : rect[3]]
                self.put(core, self.numbers[name], 0, rect, values)

    # -- names ---------------------------------------------------------------------------------------------------------

    def key(self, instance: BlockInstance, name: str) -> Hashable:
        """The plan's number of tensor `name` of a block instance (its name where the plan never moves it)."""
        if name == instance.block.input and instance.input is not None:
            return instance.input
        full = instance.tensor_name(name)
        return self.held(self.numbers[full], instance.number) if full in self.numbers else full

    def held(self, tensor: int, block: int) -> Hashable:
        """A tensor as the SRAM holds it for a block instance.

        What several instances have in DRAM (caches and states that micro-batches leave each other) each loads anew.
        """
        return (tensor, block) if tensor in self._shared else tensor

    def source(self, instance: BlockInstance, operator: Operator, name: str) -> Hashable:
        """What `operator` reads as its input `name`: turned or normed heads where an operator before it does that."""
        found = name
        for before in instance.block.operators:
            if before is operator:
                break
            if is_deferred(before) and before.inputs[0] == name:
                found = f"{name}@{before.name}"
        return self.key(instance, found)

    def title(self, tensor: Hashable) -> str:
        itself = _itself(tensor)
        return self.plan.tensors[itself] if isinstance(itself, int) else str(itself)

    def parts(self, tensor: Hashable, group: int, rect: Rect) -> Iterator[tuple[int, Rect, slice]]:
        """Matrices that a rectangle covers: rows beyond the last one of a matrix lie in the next group's matrix."""
        r0, r1, c0, c1 = rect
        rows = self._rows.get(_itself(tensor), r1)
        row = r0
        while row < r1:
            further, first = divmod(row, max(rows, 1))
            last = min(rows, first + r1 - row)
            yield group + further, (first, last, c0, c1), slice(row - r0, row - r0 + last - first)
            row += last - first

    # -- reading and writing -------------------------------------------------------------------------------------------

    def look(self, core: int, tensor: Hashable, group: int, rect: Rect) -> Numbers:
        """What a core holds of a rectangle, in whatever form; NaN where it holds nothing. PIM units have what lies in
        their buffers and in the banks of their channel."""
        values = self.sram.sheet(core, tensor, group).read(rect)
        if core < 0:
            number = _itself(tensor)
            if isinstance(number, int):
                values = np.where(np.isnan(values), self.dram.read(of_units(core), number, group, rect), values)
            return values
        view = self._views.get(tensor)
        if view is not None and np.isnan(values).any():
            values = np.where(np.isnan(values), view(core, group, rect), values)
        return values

    def need(
        self, core: int, tensor: Hashable, group: int, rect: Rect, task: int, verb: str = "reads",
        needless: npt.NDArray[np.bool_] | None = None,
    ) -> Numbers:  # fmt: skip
        """The rectangle, which must lie in the core's SRAM (cells that are `needless` may be missing: NaN)."""
        values = np.empty(shape_of(rect))
        for matrix, part, rows in self.parts(tensor, group, rect):
            values[rows] = self.look(core, tensor, matrix, part)
        missing = np.isnan(values) if needless is None else np.isnan(values) & ~needless
        if missing.any():
            who = f"core {core} has" if core >= 0 else f"the PIM units of channel {of_units(core)} have"
            raise CairnError(f"{who} no {self.region(tensor, group, rect)} when task {task} {verb} it")
        return values

    def put(self, core: int, tensor: Hashable, group: int, rect: Rect, values: Numbers) -> None:
        for matrix, part, rows in self.parts(tensor, group, rect):
            self.sram.sheet(core, tensor, matrix).cells(part)[...] = values[rows]

    def add(self, core: int, tensor: Hashable, group: int, rect: Rect, values: Numbers, task: int) -> None:
        """Add to what lies there, which must be something."""
        self.put(core, tensor, group, rect, self.need(core, tensor, group, rect, task, "adds to") + values)

    def forget(self, core: int, tensor: Hashable, group: int, rect: Rect) -> None:
        """What was sent away, or has no room here, must not be used again."""
        self.sram.sheet(core, tensor, group).cells(rect)[...] = np.nan

    def region(self, tensor: Hashable, group: int, rect: Rect) -> str:
        matrix = f" (matrix {group})" if group else ""
        return f"{self.title(tensor)}[{rect[0]}:{rect[1]}, {rect[2]}:{rect[3]}]{matrix}"

    # -- other forms ---------------------------------------------------------------------------------------------------

    def _describe(self, instance: BlockInstance) -> None:
        for tensor in instance.block.tensors:
            self.shapes[self.key(instance, tensor.name)] = tensor.rows, tensor.columns
            if tensor.role is not Role.ACTIVATION:
                key = _itself(self.key(instance, tensor.name))
                self._rows[key] = max(tensor.rows, self._rows.get(key, 0))
        for operator in instance.block.operators:
            if is_deferred(operator):
                result = self.key(instance, f"{operator.inputs[0]}@{operator.name}")
                self._views[result] = self._unchanged_columns(instance, operator)
            elif operator.kind is OpKind.EMBEDDING:
                self._views[self.key(instance, operator.outputs[0])] = self._table_rows(instance, operator)
            elif operator.attention is not None:
                for cache in (n for n in operator.inputs if instance.block.tensor(n).role is Role.KV):
                    if self.key(instance, cache) not in self._views:
                        self._views[self.key(instance, cache)] = self._rows_made(instance, operator, cache)

    def _unchanged_columns(self, instance: BlockInstance, operator: Operator) -> View:
        """Columns behind the heads that are turned: the tensor as it was before."""
        before, first = self.source(instance, operator, operator.inputs[0]), changed_columns(operator)

        def view(core: int, group: int, rect: Rect) -> Numbers:
            values = self.look(core, before, group, rect)
            values[:, : max(0, first - rect[2])] = np.nan
            return values

        return view

    def _table_rows(self, instance: BlockInstance, operator: Operator) -> View:
        """Rows of an embedding: the rows of the table that the core has loaded."""
        table = self.key(instance, operator.inputs[0])

        def view(core: int, group: int, rect: Rect) -> Numbers:
            rows = operator.rows[rect[0] : rect[1]]
            return np.concatenate([self.look(core, table, group, (row, row + 1, rect[2], rect[3])) for row in rows])

        return view

    def _rows_made(self, instance: BlockInstance, operator: Operator, cache: str) -> View:
        """New rows of a cache; where they are not appended, those of earlier instances too, which the cores keep."""
        own, name = self._new_keys(instance, operator, cache), instance.tensor_name(cache)
        earlier = self._made.get(name)
        self._made[name] = own
        if earlier is None or any(cache in dict(other.writes) for other in instance.block.operators):
            return own

        def view(core: int, group: int, rect: Rect) -> Numbers:
            values = own(core, group, rect)
            return np.where(np.isnan(values), earlier(core, group, rect), values)

        self._made[name] = view
        return view

    def _new_keys(self, instance: BlockInstance, operator: Operator, cache: str) -> View:
        """New rows of a cache: the columns of the activation that they are made of."""
        attention, block = operator.attention, instance.block
        if attention is None:
            raise ValueError(f"operator {operator.name} has no attention parameters")
        activations = [n for n in operator.inputs if block.tensor(n).role is Role.ACTIVATION]
        width, first = block.tensor(cache).columns, 0
        if not attention.latent:
            first = attention.heads * attention.head_dim
            first += attention.kv_heads * attention.head_dim if cache in _values_of(operator, block) else 0
        tensor = self.source(instance, operator, activations[-1])
        starts = token_starts(attention.requests)

        def view(core: int, group: int, rect: Rect) -> Numbers:
            request, head = divmod(group, attention.kv_heads)
            cached, new = attention.requests[request].cached, attention.requests[request].new
            values = np.full(shape_of(rect), np.nan)
            r0, r1 = max(rect[0], cached), min(rect[1], cached + new)
            if r1 > r0:
                column, token = first + head * width, starts[request] + r0 - cached
                part = (token, token + r1 - r0, column + rect[2], column + rect[3])
                values[r0 - rect[0] : r1 - rect[0]] = self.look(core, tensor, 0, part)
            return values

        return view


def _itself(tensor: Hashable) -> Hashable:
    """The tensor, whichever instance holds it in SRAM."""
    return tensor[0] if isinstance(tensor, tuple) else tensor


def _values_of(operator: Operator, block: Block) -> list[str]:
    """The caches of an attention that hold values, not keys: the second of two, or that of an unfused context."""
    caches = [name for name in operator.inputs if block.tensor(name).role is Role.KV]
    return caches if operator.kind is OpKind.ATTENTION_CONTEXT else caches[1:]


def _matrices(values: Numbers) -> Numbers:
    """(groups, rows, columns) of a tensor given so, or as one matrix."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (2, 3):
        raise CairnError(f"a tensor has 2 or 3 dimensions ((groups,) rows, columns), not {array.ndim}")
    return array if array.ndim == 3 else array[None]
