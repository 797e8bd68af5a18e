"""A step of a language model on devices whose memory computes too, part by part.

Dense products are done by the cores. Experts and the attention of decode go to cores or PIM (`Machine.pim`): to
whatever is done first, to PIM up to so many operations per byte, or where one says (`Choice`). A product of m tokens
has about m operations per byte of its weights, attention as many as query heads share a key head.

Dense products are divided over the `tensor_parallel` devices of a group, requests over groups; an expert over
`expert_parallel` devices, experts over what is left. A layer ends when its slowest device does. Activations go through
memory between operators; norms and residuals are hidden (assumed, as in the reference's simulator).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError, Infeasibility, InfeasibleError
from cairn.hw_models.pim.duplex import DuplexDevice, DuplexSpec, Unit, duplex_device
from cairn.sim.pim.coprocess import divide
from cairn.sim.pim.traffic import elementwise, elementwise_bytes, passed_bytes
from cairn.workloads.graph import Attention, Block, Operator, OperatorGraph, OpKind

FloatArray = npt.NDArray[np.float64]

SECTIONS: Final = 4
"""Sections of a device's memory by bank bundle (Duplex, arXiv 2409.01141, section V-B)."""
PRODUCTS_BY_ROWS: Final = ("o", "down", "shared_down")
"""Products whose weights are divided along their rows, so that partial sums are added up after them."""


class Choice(StrEnum):
    """Who decides between cores and PIM: their times, operations per byte against those that PIM has, or a hand."""

    FASTEST = "fastest"
    OPS_PER_BYTE = "ops_per_byte"
    CORES = "cores"
    PIM = "pim"


PARTS: Final = ("qkv", "attention", "o", "dense", "experts", "other", "all_reduce", "exchange")


@dataclass(frozen=True)
class Machine:
    """Devices and how a model is divided over them.

    `pim` is the unit beside the cores, None for none, and `choice` says what goes there; with `coprocessing` experts
    are divided between both, which work at the same time, otherwise one follows the other.
    """

    device: DuplexSpec
    devices: int
    nodes: int = 1
    tensor_parallel: int = 1
    expert_parallel: int = 1
    pim: Unit | None = None
    coprocessing: bool = False
    choice: Choice = Choice.FASTEST

    def __post_init__(self) -> None:
        """ConfigError when devices cannot be cut into the groups."""
        for name in ("devices", "nodes", "tensor_parallel", "expert_parallel"):
            if getattr(self, name) < 1:
                raise ConfigError(f"at least 1 belongs here, not {getattr(self, name)}", key=name)
        for name in ("nodes", "tensor_parallel", "expert_parallel"):
            if self.devices % getattr(self, name):
                message = f"{self.devices} devices cannot be cut into groups of {getattr(self, name)}"
                raise ConfigError(message, key=name)
        if self.pim is Unit.CORES:
            raise ConfigError("cores are no PIM unit; choose logic or bank, or none", key="pim")
        if self.coprocessing and self.pim is None:
            raise ConfigError("coprocessing needs a PIM unit; choose logic or bank", key="coprocessing")
        if self.coprocessing and self.choice is not Choice.FASTEST:
            raise ConfigError("coprocessing divides experts by their times; leave choice at fastest", key="choice")

    @property
    def groups(self) -> int:
        """Groups of devices that each have all dense weights, and a part of the requests."""
        return self.devices // self.tensor_parallel

    @property
    def units(self) -> tuple[Unit, ...]:
        return (Unit.CORES,) if self.pim is None else (Unit.CORES, self.pim)

    def chosen(self, times: Mapping[Unit, FloatArray], ops_per_byte: npt.ArrayLike) -> FloatArray:
        """Of the times of each unit those that count, with so many operations per byte read from the banks."""
        cores = times[Unit.CORES]
        if self.pim is None or self.choice is Choice.CORES or self.pim not in times:
            return cores
        pim = times[self.pim]
        if self.choice is Choice.PIM:
            return pim
        if self.choice is Choice.OPS_PER_BYTE:
            return np.where(np.asarray(ops_per_byte) <= self.device.pim(self.pim).ops_per_byte, pim, cores)
        return np.minimum(cores, pim)


@dataclass(frozen=True)
class OperatorTime:
    """An operator of one layer on the device that takes longest, and where it is done.

    `ops_per_byte` is of weights (experts: their mean, of those with tokens) or of keys; `cores_s` and `pim_s` are what
    it would take on either side alone, `pim_s` None for what PIM is not asked; `seconds` count. `pim_share` is the
    share done by PIM: 0 or 1, of experts by products. `count` layers have it. Over all devices, `cores_bytes` go
    through the channels and `pim_bytes` to PIM, for `ops` operations.
    """

    name: str
    part: str
    ops_per_byte: float
    cores_s: float
    pim_s: float | None
    seconds: float
    pim_share: float
    count: int = 1
    cores_bytes: float = 0.0
    pim_bytes: float = 0.0
    ops: float = 0.0


@dataclass
class StepTime:
    """Seconds of a step by part (PARTS)."""

    qkv: float = 0.0
    attention: float = 0.0
    o: float = 0.0
    dense: float = 0.0
    experts: float = 0.0
    other: float = 0.0
    all_reduce: float = 0.0
    exchange: float = 0.0
    units: dict[str, Unit] = field(default_factory=dict)
    """The unit that did each dense operator or attention, by name."""
    operators: list[OperatorTime] = field(default_factory=list)
    """Dense products, attention and experts, block after block."""
    elementwise_bytes: float = 0.0
    """Bytes that element-wise operators between dense products read and write, over all devices."""

    @property
    def seconds(self) -> float:
        """The whole step: parts follow each other."""
        return float(sum(getattr(self, part.name) for part in fields(self) if part.name in PARTS))


def step_time(machine: Machine, graph: OperatorGraph) -> StepTime:
    """Time of the step `graph` on `machine`. ConfigError for operators that it does not know, InfeasibleError when
    heads or experts cannot be divided over the devices."""
    found, work = StepTime(), _Work(machine, duplex_device(machine.device), graph.tokens)
    for segment in graph.segments:
        done: list[OperatorTime] = []
        found.elementwise_bytes += segment.repeat * elementwise_bytes(segment.block)
        for part, seconds in work.block(segment.block, done):
            setattr(found, part, getattr(found, part) + segment.repeat * seconds)
        found.operators += [replace(each, count=segment.repeat) for each in done]
    for each in found.operators:
        if each.part != "experts" or each.name == "router":
            found.units[each.name] = machine.units[-1] if each.pim_share else Unit.CORES
    return found


@dataclass(frozen=True)
class _Work:
    """Times of the operators of a step."""

    machine: Machine
    device: DuplexDevice
    tokens: int

    def block(self, block: Block, done: list[OperatorTime]) -> Iterator[tuple[str, float]]:
        """(part, seconds) of each operator of a block that takes time of its own; those with a place join `done`."""
        experts = [op for op in block.operators if op.kind is OpKind.GROUPED_MATMUL]
        for op in block.operators:
            if op.kind is OpKind.MATMUL:
                yield from self._dense(block, op, done)
            elif op.kind is OpKind.ATTENTION:
                yield "attention", self._attention(block, op, done)
            elif elementwise(op):
                yield "dense", self._elementwise(block, op)
            elif op.kind is OpKind.COMBINE:
                yield "experts", self._experts(block, experts, done)
                yield from self._after_experts(block, op)
            elif op.kind not in _FREE:
                raise ConfigError(f"PIM systems know no operator {op.kind.value} ({op.name})", key="model")

    def _dense(self, block: Block, op: Operator, done: list[OperatorTime]) -> Iterator[tuple[str, float]]:
        """A product on the cores, divided over a group; partial sums are added up after those divided by rows."""
        x, w = (block.tensor(name) for name in op.inputs)
        rows = self._rows(x.rows)
        degree = self.machine.tensor_parallel
        inner, columns = w.rows, w.columns
        if op.name in PRODUCTS_BY_ROWS:
            inner = self._share(inner, degree, op.name)
        elif op.name == "lm_head":
            columns = -(-columns // self.machine.devices)
        elif op.name != "router":
            columns = self._share(columns, degree, op.name)
        size, of_x, of_y = (tensor.bits / 8 for tensor in (w, x, block.tensor(op.outputs[0])))
        part = _PART.get(op.name, "dense")
        seconds = float(self.device.product_s(Unit.CORES, rows, inner, columns, size, x_bytes=of_x, y_bytes=of_y))
        moved = rows * inner * of_x + inner * columns * size + rows * columns * of_y
        cost = OperatorTime(op.name, part, 2 * rows / size, seconds, None, seconds, 0.0)
        over = self.machine.devices
        done.append(replace(cost, cores_bytes=over * moved, ops=over * 2.0 * rows * inner * columns))
        yield part, seconds
        if op.name in PRODUCTS_BY_ROWS:
            yield "all_reduce", self.device.all_reduce_s(degree, rows * w.columns * of_y)

    def _attention(self, block: Block, op: Operator, done: list[OperatorTime]) -> float:
        """Keys, then values: each the longer of reading and of two operations for each element and query head."""
        attention = op.attention
        if attention is None:
            raise ConfigError(f"attention ({op.name}) does not say of what", key="model")
        ops_per_byte = keys_ops_per_byte(block, op, attention)
        self._share(attention.kv_heads, self.machine.tensor_parallel, "key heads")
        parts = self.machine.groups * self.machine.tensor_parallel
        prefill = any(request.new > 1 for request in attention.requests)
        reads = dict(op.reads)
        sizes = [reads.get(name, block.tensor(name).bytes) / parts for name in op.inputs[1:3]]
        times = {
            unit: np.asarray(sum(self.device.attend_s(unit, size, op.matrix_ops / 2 / parts) for size in sizes))
            for unit in (self.machine.units if not prefill else (Unit.CORES,))
        }
        seconds = float(self.machine.chosen(times, ops_per_byte))
        cores, *pim = (float(each) for each in times.values())
        share = 0.0 if seconds == cores else 1.0
        size = sum(sizes) * parts
        near = 0.0 if self.machine.pim is None else self.device.bytes_read(self.machine.pim, size, op.matrix_ops)
        done.append(
            OperatorTime(
                op.name, "attention", ops_per_byte, cores, pim[0] if pim else None, seconds, share,
                cores_bytes=(1 - share) * size, pim_bytes=share * near, ops=op.matrix_ops,
            )
        )  # fmt: skip
        return seconds

    def _elementwise(self, block: Block, op: Operator) -> float:
        """Inputs are read and the output written, on the cores."""
        size = sum(block.tensor(name).bytes for name in op.inputs) / self.machine.devices
        out = block.tensor(op.outputs[0]).bytes / self.machine.devices
        read, write = self.device.bytes_s(Unit.CORES, size), self.device.bytes_s(Unit.CORES, out, write=True)
        return float(read + write)

    def _experts(self, block: Block, products: list[Operator], done: list[OperatorTime]) -> float:
        """The slowest device's experts."""
        machine = self.machine
        if not products:
            raise ConfigError("a layer combines experts that it does not have", key="model")
        loads = np.array(products[0].group_rows)
        sharing = machine.devices // machine.expert_parallel
        if loads.size % sharing:
            raise _undivided("experts", loads.size, sharing)
        times = {unit: self._expert_times(unit, block, products, loads) for unit in machine.units}
        parts = np.split(np.arange(loads.size), sharing)
        seconds, by_pim = self._placed(times, loads, parts)
        alone = [max(float(times[unit][:, here].sum()) for here in parts) for unit in machine.units]
        mean = 2 * float(loads[loads > 0].mean()) / (block.tensor(products[0].inputs[1]).bits / 8)
        share = float(by_pim[:, loads > 0].mean())
        pim_s = None if machine.pim is None else alone[-1]
        held = np.array([[block.tensor(op.inputs[1]).bytes / loads.size] for op in products]) * (loads > 0)
        near, ops = float((held * by_pim).sum()), float(sum(op.matrix_ops for op in products))
        moved = float(held.sum()) - near + passed_bytes(block, products, loads, machine.expert_parallel)
        done.append(
            OperatorTime(
                "experts", "experts", mean, alone[0], pim_s, seconds, share, cores_bytes=moved, pim_bytes=near, ops=ops
            )
        )  # fmt: skip
        return seconds

    def _placed(
        self, times: dict[Unit, FloatArray], loads: FloatArray, parts: list[npt.NDArray[np.intp]]
    ) -> tuple[float, npt.NDArray[np.bool_]]:
        """Seconds of the slowest device, and which products (rows) of which experts (columns) PIM does."""
        machine, cores = self.machine, times[Unit.CORES]
        chosen = machine.chosen(times, loads)
        if machine.pim is None or not machine.coprocessing:
            return max(float(chosen.sum(axis=0)[here].sum()) for here in parts), chosen != cores
        sums = [times[unit].sum(axis=0) for unit in machine.units]
        sections = SECTIONS if parts[0].size > SECTIONS and parts[0].size % SECTIONS == 0 else 0
        divisions = [divide(loads[here], sums[0][here], sums[1][here], sections) for here in parts]
        by_pim = ~np.concatenate([each.on_cores for each in divisions])
        return max(each.seconds for each in divisions), np.broadcast_to(by_pim, cores.shape)

    def _expert_times(self, unit: Unit, block: Block, products: list[Operator], loads: FloatArray) -> FloatArray:
        """Seconds of each product (rows) of each expert (columns) on a unit, its activation with the first."""
        degree = self.machine.expert_parallel
        found = []
        for number, op in enumerate(products):
            w = block.tensor(op.inputs[1])
            last = number == len(products) - 1
            inner = self._share(w.rows, degree, op.name) if last else w.rows
            columns = w.columns if last else self._share(w.columns, degree, op.name)
            x, y = block.tensor(op.inputs[0]), block.tensor(op.outputs[0])
            size, of_x, of_y = (tensor.bits / 8 for tensor in (w, x, y))
            seconds = self.device.product_s(unit, loads, inner, columns, size, x_bytes=of_x, y_bytes=of_y)
            if not last:
                act = block.tensor(products[-1].inputs[0])
                read, write = loads * columns * of_y, loads * act.columns / degree * act.bits / 8
                seconds = seconds + self.device.bytes_s(Unit.CORES, read)
                seconds = seconds + self.device.bytes_s(Unit.CORES, write, write=True)
            found.append(seconds)
        return np.array(found)

    def _after_experts(self, block: Block, op: Operator) -> Iterator[tuple[str, float]]:
        """Parts of an expert are added up among its devices, results among the devices that share a token."""
        machine, out = self.machine, block.tensor(op.outputs[0])
        size = self._rows(out.rows) * out.columns * out.bits / 8
        yield "all_reduce", self.device.all_reduce_s(machine.expert_parallel, size)
        yield "all_reduce", self.device.all_reduce_s(machine.tensor_parallel, size)
        sent = len(op.rows) / machine.groups * (1 - 1 / machine.groups) / machine.tensor_parallel
        yield "exchange", 2 * self.device.exchange_s(sent * out.columns * out.bits / 8, machine.nodes)

    def _rows(self, rows: int) -> int:
        """Rows of a group."""
        return -(-rows // self.machine.groups)

    def _share(self, whole: int, degree: int, what: str) -> int:
        if whole % degree:
            raise _undivided(what, whole, degree)
        return whole // degree


def keys_ops_per_byte(block: Block, op: Operator, attention: Attention) -> float:
    """Operations for each byte of keys, or of values, by one new token: a multiply and an add of each query head that
    shares a key head (Duplex, arXiv 2409.01141, section III). ConfigError for latent keys."""
    if attention.latent:
        raise ConfigError(f"attention with latent keys ({op.name}) has no PIM model here", key="model")
    return 2 * attention.heads / attention.kv_heads / (block.tensor(op.inputs[1]).bits / 8)


def _undivided(what: str, count: int, degree: int) -> InfeasibleError:
    remedy = f"choose a degree that divides {count}"
    return InfeasibleError([Infeasibility(f"{what} divided over devices", degree, count % degree, "devices", remedy)])


_PART: Final[dict[str, str]] = {"qkv": "qkv", "o": "o", "lm_head": "other", "router": "experts"}
_FREE: Final = (
    OpKind.EMBEDDING, OpKind.NORM, OpKind.ROPE, OpKind.ADD, OpKind.TOP_K, OpKind.DISPATCH, OpKind.GROUPED_MATMUL,
    OpKind.ACTIVATION,
)  # fmt: skip
"""Kinds that take no time of their own here: hidden, or part of another."""
