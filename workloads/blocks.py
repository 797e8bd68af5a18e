"""Building one block: tensors by name, operators in order, with the counts of the operators that all families share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cairn.workloads import counts
from cairn.workloads.architecture import ModelSpec
from cairn.workloads.graph import Attention, Block, Operator, OpKind, Recurrence, Request, Role, Tensor
from cairn.workloads.step import AttentionForm, WorkloadSpec

Traffic = tuple[tuple[str, int], ...]
"""Unique bytes that an operator reads or writes, by tensor."""


@dataclass(frozen=True)
class Step:
    """A model and the requests that one step of it advances."""

    model: ModelSpec
    requests: tuple[Request, ...]
    tokens: int
    fused: bool
    kv_append: bool
    appended: int = 0
    """Cached tokens of each request that an earlier part of the same step has appended."""

    @classmethod
    def of(cls, model: ModelSpec, workload: WorkloadSpec, appended: int = 0) -> Step:
        requests = workload.requests()
        tokens = sum(request.new for request in requests)
        return cls(model, requests, tokens, workload.attention is AttentionForm.FUSED, workload.kv_append, appended)


@dataclass
class BlockBuilder:
    """Collects the tensors and operators of one block. An operator's output tensor has the operator's name."""

    step: Step
    name: str
    operators: list[Operator] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def tensor(self, name: str) -> Tensor:
        return self.tensors[name]

    def declare(self, tensor: Tensor) -> str:
        """Add `tensor`; its name must be new in the block (ValueError)."""
        if tensor.name in self.tensors:
            raise ValueError(f"block {self.name} has two tensors called {tensor.name}")
        self.tensors[tensor.name] = tensor
        return tensor.name

    def activation(self, name: str, columns: int, bits: float, rows: int | None = None) -> str:
        """An activation of `rows` (all tokens of the step) x `columns`."""
        return self.declare(Tensor(name, Role.ACTIVATION, rows or self.step.tokens, columns, bits))

    def weight(self, name: str, rows: int, columns: int, bits: float, groups: int = 1) -> str:
        return self.declare(Tensor(name, Role.WEIGHT, rows, columns, bits, groups))

    def add_operator(self, operator: Operator) -> str:
        """Append `operator`; gives the name of its output."""
        self.operators.append(operator)
        return operator.outputs[0]

    def matmul(
        self, name: str, x: str, columns: int, weight_bits: float | None = None, out_bits: float | None = None
    ) -> str:
        """`name` = x times a weight `name_w` of `columns` columns."""
        precision, source = self.step.model.precision, self.tensor(x)
        w = self.weight(f"{name}_w", source.columns, columns, weight_bits or precision.stored_weight_bits)
        y = self.activation(name, columns, out_bits or precision.residual_bits, source.rows)
        ops = 2 * source.rows * source.columns * columns
        reads = ((w, self.tensor(w).bytes),)
        return self.add_operator(Operator(name, OpKind.MATMUL, (x, w), (y,), matrix_ops=ops, reads=reads))

    def norm(self, name: str, x: str, bits: float, columns: int | None = None) -> str:
        """`name` = the first `columns` (all) columns of x normalised, in `bits`."""
        source, kind = self.tensor(x), self.step.model.norm.value
        width = columns or source.columns
        w = self.weight(f"{name}_w", 1, width, self.step.model.precision.norm_bits)
        y = self.activation(name, source.columns, bits, source.rows)
        ops = source.rows * width * counts.NORM[kind]
        reads = ((w, self.tensor(w).bytes),)
        return self.add_operator(Operator(name, OpKind.NORM, (x, w), (y,), vector_ops=ops, function=kind, reads=reads))

    def rope(self, name: str, x: str, attention: Attention) -> None:
        """Turn the query and key columns of x in place."""
        turned = (attention.heads + attention.kv_heads) * (attention.rotary_dim or attention.head_dim)
        ops = self.tensor(x).rows * turned * counts.ROPE
        self.add_operator(Operator(name, OpKind.ROPE, (x,), (x,), vector_ops=ops, attention=attention))

    def add(self, name: str, x: str, z: str) -> str:
        """`name` = x + z."""
        source = self.tensor(x)
        y = self.activation(name, source.columns, self.step.model.precision.residual_bits, source.rows)
        ops = source.rows * source.columns * counts.ADD
        return self.add_operator(Operator(name, OpKind.ADD, (x, z), (y,), vector_ops=ops))

    def activate(self, name: str, inputs: Sequence[str], function: str, bits: float, gated: bool = False) -> str:
        """`name` = f(x), f(x) z of two inputs, or with `gated` f(gate) up of the alternating columns of one."""
        source = self.tensor(inputs[0])
        columns = source.columns // 2 if gated else source.columns
        y = self.activation(name, columns, bits, source.rows)
        each = counts.ACTIVATION[function] + (counts.GATE if gated or len(inputs) == 2 else 0)
        ops = source.rows * columns * each
        return self.add_operator(
            Operator(name, OpKind.ACTIVATION, tuple(inputs), (y,), vector_ops=ops, function=function)
        )

    def state(self, name: str, recurrence: Recurrence) -> tuple[str, Traffic, Traffic]:
        """A recurrent state, and what is read and written of it: all, once (read if it is from before the step)."""
        groups, bits = len(recurrence.requests) * recurrence.heads, self.step.model.precision.state_bits
        state = Tensor(name, Role.STATE, recurrence.key_dim, recurrence.value_dim, bits, groups)
        once = ((name, state.bytes),)
        return self.declare(state), () if self.step.appended else once, once

    def build(self, input_name: str | None, output: str) -> Block:
        return Block(self.name, tuple(self.operators), tuple(self.tensors.values()), input_name, output)
