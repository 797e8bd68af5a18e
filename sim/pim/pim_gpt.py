"""A decode step on PIM-GPT (arXiv 2310.09385): products on banks of GDDR6 channels, all else on an ASIC beside them.

Matrices are dealt to all channels and banks; inputs wider than a row are cut into chunks, each a product of its own,
whose results the ASIC adds. Keys and values lie as hw_models/pim/pim_gpt.py has them. Every product is simulated
command by command on one channel, as all do the same.

Operators follow each other, and nothing of the ASIC hides behind the banks (assumed: one token's operators need each
other's results, and how far PIM-GPT overlaps the heads of a layer was never published). Embeddings are looked up at no
cost; biases come with the accumulators.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Literal

from cairn.base.errors import ConfigError, Infeasibility, InfeasibleError
from cairn.base.spec import Spec, sourced
from cairn.hw_models.pim.asic import AsicSpec, Function
from cairn.hw_models.pim.cost import aim_device, energy_of
from cairn.hw_models.pim.device import PimDevice, pim_device
from cairn.hw_models.pim.gemv import GemvLayout, GemvMapping, gemv_layout, lower_gemv
from cairn.hw_models.pim.pim_gpt import HeadLayout, context, new_key, new_value, scores
from cairn.hw_models.pim.program import Program
from cairn.hw_models.pim.simulate import simulate_program
from cairn.hw_models.pim.standard import PimUnit
from cairn.hw_models.pim.system_energy import PJ, UNIT_SOURCE, area
from cairn.sim.pim.outcome import Spent, SystemTime
from cairn.workloads.graph import Block, Operator, OperatorGraph, OpKind

BANKS: Final = "banks"
ASIC: Final = "ASIC"
SLOW_GHZ: Final = 0.1
"""The slowest clock of the paper's study of the ASIC (abstract of arXiv 2310.09385 v2)."""
_FUNCTIONS: Final[dict[str, Function]] = {"gelu": "gelu", "layer": "layer_norm"}


class PimGptSpec(Spec):
    """Channels with computing banks and the ASIC. Timings of the banks are the preset PIM_GPT's, which are AiM's."""

    kind: Literal["pim_gpt"] = sourced("pim_gpt", "this project: names the system")
    channels: int = sourced(8, "arXiv 2310.09385 v2: 8 channels of 16 banks", ge=1, le=1024)
    accumulators: int = sourced(1, "assumed: never published; a unit holds one sum", ge=1, le=4096)
    refresh: Literal["none", "all_bank"] = sourced("all_bank", "assumed: as every DRAM needs it")
    asic: AsicSpec = sourced(AsicSpec(), "hw_models/pim/asic.py")
    energy_of: str = sourced("GDDR6_AiM", "assumed: never published; commands take what those of this preset do")
    asic_pj: float = sourced(
        1.1, "assumed: never published; an FP16 multiplication in 45 nm (Horowitz, ISSCC 2014), whatever is done", ge=0
    )
    unit_mm2: float = sourced(0.081, UNIT_SOURCE, ge=0)

    def device(self) -> PimDevice:
        """All channels; ConfigError for a preset without energies of these commands."""
        energy = aim_device(self.energy_of, "machine.energy_of").energy
        return replace(pim_device("PIM_GPT", channels=self.channels), energy=energy)


@dataclass
class _Tally:
    """Time, energy and commands of what was done so far, by operator and side."""

    spent: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    commands: Counter[str] = field(default_factory=Counter)
    rows: int = 0

    def add(self, name: str, side: str, seconds: float, joules: float) -> None:
        before = self.spent.get((name, side), (0.0, 0.0))
        self.spent[name, side] = before[0] + seconds, before[1] + joules


def pim_gpt_time(spec: PimGptSpec, graph: OperatorGraph) -> SystemTime:
    """The decode step `graph`, one token of each request. ConfigError for operators that neither banks nor ASIC have,
    InfeasibleError when weights, keys and values do not fit the rows of a bank."""
    work, tally = _Work(spec, spec.device()), _Tally()
    for segment in graph.segments:
        for op in segment.block.operators:
            work.operator(tally, segment.block, op, segment.repeat)
    _check_rows(work.device, tally.rows)
    spent = tuple(Spent(name, side, *cost) for (name, side), cost in tally.spent.items())
    unit = work.device.unit
    areas = (area(spec, "unit_mm2", "units beside banks (the ASIC's was never published)", unit.units * unit.channels),)
    return SystemTime("banks and ASIC", spent, graph.tokens, areas, _figures(spec, graph, unit, spent, tally))


def _figures(
    spec: PimGptSpec, graph: OperatorGraph, unit: PimUnit, spent: tuple[Spent, ...], tally: _Tally
) -> dict[str, float]:
    """Figures that the paper has too: the ASIC's share and what a slow one costs, row hits, bytes that stay inside."""
    asic = sum(each.seconds for each in spent if each.side == ASIC)
    banks = sum(each.seconds for each in spent if each.side == BANKS)
    counts = tally.commands
    moved = sum(counts[name] for name in ("WRGB", "WRMAC16", "RDMAC16", "WR", "WRA16")) * unit.access_bytes
    read = sum(segment.repeat * _bytes_read(segment.block) for segment in graph.segments)
    return {
        "outside_products_percent": 100 * asic / (asic + banks),
        "slow_asic_percent": 100 * asic * (spec.asic.clock_ghz / SLOW_GHZ - 1) / (asic + banks),
        "row_hits_percent": 100 * (1 - counts["ACT16"] / counts["MAC16"]),
        "off_chip_reduction": read / moved,
    }


def _bytes_read(block: Block) -> float:
    """Bytes of weights, keys and values that a device without units would fetch."""
    size = 0.0
    for op in block.operators:
        if op.kind is OpKind.MATMUL:
            size += block.tensor(op.inputs[1]).bytes
        elif op.kind is OpKind.ATTENTION:
            size += sum(block.tensor(name).bytes for name in op.inputs[1:])
    return size


def _check_rows(device: PimDevice, rows: int) -> None:
    room = device.dram.organisation.row
    if rows > room:
        remedy = "use more channels, a smaller model, fewer requests or a shorter context"
        raise InfeasibleError([Infeasibility("rows of a bank", rows, room, "rows", remedy)])


@dataclass
class _Work:
    """Writes, simulates and remembers the programs of a step."""

    spec: PimGptSpec
    device: PimDevice
    known: dict[tuple[object, ...], tuple[float, float, Mapping[str, int]]] = field(default_factory=dict)

    def operator(self, tally: _Tally, block: Block, op: Operator, count: int) -> None:
        """Add an operator of `count` layers."""
        rows = block.tensor(op.outputs[0]).rows
        columns = block.tensor(op.outputs[0]).columns
        if op.kind is OpKind.MATMUL:
            self._product(tally, block, op, count)
        elif op.kind is OpKind.ATTENTION:
            self._attention(tally, block, op, count)
        elif op.kind in (OpKind.ACTIVATION, OpKind.NORM):
            function = _FUNCTIONS.get(str(op.function))
            if function is None or (len(op.inputs) > 1 and op.kind is OpKind.ACTIVATION):
                raise ConfigError(f"PIM-GPT's ASIC has GELU and LayerNorm, not {op.function} ({op.name})", key="model")
            self._on_asic(tally, op.name, function, rows * columns, count)
        elif op.kind is OpKind.ADD:
            self._on_asic(tally, op.name, "add", rows * columns, count)
        elif op.kind is not OpKind.EMBEDDING:
            raise ConfigError(f"PIM-GPT knows no operator {op.kind.value} ({op.name})", key="model")

    def _check_bits(self, op: Operator, bits: float) -> None:
        """ConfigError for weights, keys or values of another width than the units have."""
        if bits != (own := self.device.unit.element_bits):
            raise ConfigError(f"banks of PIM-GPT multiply {own} bits, not {bits:g} ({op.name})", key="model")

    def _on_asic(self, tally: _Tally, name: str, function: Function, elements: int, count: int) -> None:
        asic = self.spec.asic
        joules = elements * asic.operations(function) * self.spec.asic_pj * PJ
        tally.add(name, ASIC, count * asic.seconds(function, elements), count * joules)

    def _product(self, tally: _Tally, block: Block, op: Operator, count: int) -> None:
        """Chunks of inputs as wide as a row, one after the other; the ASIC adds their results."""
        x, w = (block.tensor(name) for name in op.inputs)
        self._check_bits(op, w.bits)
        wide = self.device.dram.organisation.col * self.device.unit.lanes
        chunks = [min(wide, w.rows - first) for first in range(0, w.rows, wide)]
        for inputs in chunks:
            mapping = GemvMapping(accumulators=self.spec.accumulators)
            layout = gemv_layout(self.device, w.columns, inputs, mapping)
            write = partial(_lowered, layout, x.rows)
            self._run(tally, op.name, (w.columns, inputs, x.rows), write, count)
            tally.rows += count * layout.rows
        if len(chunks) > 1:
            self._on_asic(tally, f"{op.name}, sums", "add", (len(chunks) - 1) * w.columns * x.rows, count)

    def _attention(self, tally: _Tally, block: Block, op: Operator, count: int) -> None:
        """Each request in turn: its key and value written, scores, soft-max, context, and sums of its parts."""
        attention = op.attention
        if attention is None or attention.latent or any(request.new != 1 for request in attention.requests):
            raise ConfigError(f"PIM-GPT attends to one new token of each request ({op.name})", key="model")
        self._check_bits(op, block.tensor(op.inputs[1]).bits)
        held = self.spec.accumulators
        for request in attention.requests:
            shape = HeadLayout.of(
                self.device, attention.heads, attention.kv_heads, attention.head_dim, request.cached + 1
            )
            self._run(tally, "new key", ("key", shape), partial(new_key, self.device, shape), count, 1)
            self._run(tally, "new value", ("value", shape), partial(new_value, self.device, shape), count)
            self._run(tally, "scores", ("scores", shape), partial(scores, self.device, shape, held), count)
            self._run(tally, "context", ("context", shape), partial(context, self.device, shape, held), count)
            tally.rows += count * shape.rows
            self._on_asic(tally, "softmax", "softmax", shape.heads * shape.context, count)
            if shape.segments > 1:
                elements = (shape.segments - 1) * shape.heads * shape.head_dim
                self._on_asic(tally, "context, sums", "add", elements, count)

    def _run(
        self, tally: _Tally, name: str, key: tuple[object, ...], write: Callable[[], Program], count: int,
        channels: int | None = None,
    ) -> None:  # fmt: skip
        """Add `count` times a program of so many channels (None: all), written and simulated once."""
        if key not in self.known:
            run = simulate_program(write(), self.spec.refresh)
            self.known[key] = run.seconds, energy_of(run, channels).total_pj * PJ, run.counts
        seconds, joules, commands = self.known[key]
        tally.add(name, BANKS, count * seconds, count * joules)
        for command, times in commands.items():
            tally.commands[command] += count * times * (channels or self.device.unit.channels)


def _lowered(layout: GemvLayout, vectors: int) -> Program:
    return lower_gemv(layout.device, layout.outputs, layout.inputs, layout.mapping, vectors=vectors).program
