"""What every core does in a decode layer, operator by operator, and what lines of cores then sum.

The order is that of WaferLLM's kernel (reference/wafer/waferllm_algorithms.yaml, decode_layer_ops): hidden vectors lie
along one axis of the mesh and are the same along the other; a product reduces over the axis its input lies along, so
that its result lies along the other. Ten all-reduces a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from cairn.base.errors import Infeasibility, InfeasibleError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.compute.vector.cycle import passes_of, vector_cycles
from cairn.sim.wafer.spec import WaferSpec

Axis = Literal["x", "y"]


@dataclass(frozen=True)
class Tiles:
    """Elements of a core: of a hidden vector, of the keys (or values) of a token, of the feed-forward network, and
    tokens of the context. All are padded to whole tiles, as the kernels pad them (decode_configs_in_repo)."""

    hidden: int
    kv: int
    ffn: int
    tokens: int

    @classmethod
    def of(cls, spec: WaferSpec) -> Tiles:
        """Tiles of a run; MLA, windows and other shapes of attention have no meaning in the kernel."""
        model, attention = spec.model, spec.model.attention
        heads = attention.heads if attention else 1
        shared = (attention.kv_heads or heads) if attention else heads
        kv = model.hidden if spec.widths == "kernel" else model.hidden * shared // heads
        width = model.ffn.width if model.ffn else 0
        return cls(*(-(-size // spec.mesh) for size in (model.hidden, kv, width, spec.context)))

    def sram_bytes(self, element_bytes: int) -> dict[str, int]:
        """What a core holds of the layer, by name."""
        h, kv, ffn = self.hidden, self.kv, self.ffn
        return {
            "weights": element_bytes * (2 * h * h + 2 * h * kv + 3 * h * ffn),
            "keys and values": element_bytes * 2 * kv * self.tokens,
            "vectors": element_bytes * (4 * h + 2 * kv + 2 * ffn + 2 * self.tokens),
        }


@dataclass(frozen=True)
class Step:
    """An operator: `cycles` on the `unit` of every core for `ops` operations, then an all-reduce of `elements` of each
    core along `axis` (None: none)."""

    name: str
    unit: Literal["matrix", "vector"]
    cycles: int
    ops: int
    axis: Axis | None = None
    elements: int = 0


SOFTMAX_SUM: Final = ("add", "exponential", "add")
"""x - max, its exponential, the sum."""


def layer_steps(spec: WaferSpec) -> tuple[Step, ...]:
    """The operators of a layer. InfeasibleError when a core's tiles do not fit its SRAM."""
    chip, t, overhead = spec.chip, Tiles.of(spec), spec.operator_overhead_cycles
    shortage = chip.sram.shortage(t.sram_bytes(spec.element_bytes))
    if shortage is not None:
        raise InfeasibleError([_told(shortage, spec)])

    def product(name: str, k: int, n: int, axis: Axis) -> Step:
        cycles = int(chip.matrix_cycles(1, n, k, *(8 * spec.element_bytes,) * 3))
        return Step(name, "matrix", overhead + cycles, 2 * k * n, axis, n)

    def vector(name: str, elements: int, passes: int, axis: Axis | None = None, summed: int = 0) -> Step:
        cycles = int(vector_cycles(chip.vector_unit, elements, passes))
        return Step(name, "vector", overhead + cycles, elements * passes, axis, summed)

    norm = passes_of(chip.vector_unit, "norm_stats") + passes_of(chip.vector_unit, "norm_apply")
    return (
        vector("rmsnorm", t.hidden, norm, "y", 1),
        product("qkv", t.hidden, t.hidden + 2 * t.kv, "y"),
        vector("rope", t.hidden + t.kv, passes_of(chip.vector_unit, "rope")),
        product("scores", t.hidden, t.tokens, "x"),
        vector("softmax max", t.tokens, chip.vector_unit.compare_cycles, "y", 1),
        vector("softmax sum", t.tokens, _softmax_passes(chip), "y", 1),
        product("context", t.tokens, t.hidden, "y"),
        product("o", t.hidden, t.hidden, "x"),
        vector("residual, rmsnorm", t.hidden, passes_of(chip.vector_unit, "add") + norm, "y", 1),
        product("up, gate", t.hidden, 2 * t.ffn, "y"),
        vector("silu", t.ffn, passes_of(chip.vector_unit, "silu_mul")),
        product("down", t.ffn, t.hidden, "x"),
        vector("residual", t.hidden, passes_of(chip.vector_unit, "add")),
    )


def _softmax_passes(chip: ChipSpec) -> int:
    unit = chip.vector_unit
    return sum(int(getattr(unit, f"{name}_cycles")) for name in SOFTMAX_SUM) + unit.divide_cycles


def _told(shortage: Infeasibility, spec: WaferSpec) -> Infeasibility:
    remedy = "a larger mesh, whose cores hold smaller tiles, or a shorter context; the mesh is " + str(spec.mesh)
    return Infeasibility(shortage.constraint, shortage.demand, shortage.bound, shortage.unit, remedy)
