"""Rows for the operator tables: each operator, and the sum of the four GEMMs at each token count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cairn.sim.config.run_config import RunConfig
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.shipped import shipped_model_name
from cairn.validation.suites.voxel.operators import GEMMS, AttentionRow, DenseRow, gemm_bound_us, read
from cairn.validation.suites.voxel.simulated import Simulated
from cairn.validation.suites.voxel.steps import StepTimes, decode_of, gemm_config, mixed_of, prefill_of

LARGEST_DECODE = 128
"""assumed: up to 128 tokens come from that many decoding requests, as in the tables' columns of attention and LM head
(n_decode and sequences end there); more tokens are one prompt."""
CONTEXT = 1024
"""Keys of each decoding request where the table does not say; assumed: half of reference/stacked3d/voxel.yaml
(vx.workload), so that 128 requests fit the DRAM. Element-wise operators and the LM head do not depend on it."""

OPERATORS = {
    "qkv_proj": ("qkv",),
    "o_proj": ("o",),
    "gate_up_proj": ("gate_up",),
    "down_proj": ("down",),
    "act_fn": ("ffn_act",),
    "layernorm": ("mixer_norm", "ffn_norm"),
    "final_layernorm": ("final_norm",),
    "rotary_emb": ("rope",),
    "lm_head": ("lm_head",),
}
"""Operators of the table and Cairn's of the same work. `layernorm` is both of a layer: it takes twice as long as
`final_layernorm` at every token count."""
ATTENTION = ("attention",)

SUM = "gemm_sum"
SINGLE = ("gemm_median", "gemm_p90")


def operator_rows(reference: ReferenceDir, simulated: Simulated) -> Iterator[Row]:
    """Every row of the operator tables; those of models that are not shipped are left out, and said to be."""
    dense, attention = read(reference)
    tables: list[DenseRow | AttentionRow] = [*dense, *attention]
    known: dict[str, str | None] = {}
    for name in dict.fromkeys(row.setting.model for row in tables):
        known[name] = shipped_model_name(name)
        if known[name] is None:
            reference.leave_out(f"operators of {name}: no model of this name is shipped")
    by_tokens: dict[tuple[str, int, str], list[tuple[DenseRow, Row]]] = {}
    for item in dense:
        model = known[item.setting.model]
        if model is None or item.operator not in OPERATORS:
            continue
        row = _gemm_row(item, model, simulated) if item.operator in GEMMS else _dense_row(item, model, simulated)
        yield row
        if item.operator in GEMMS:
            by_tokens.setdefault((item.setting.model, item.tokens, item.source), []).append((item, row))
    for four in by_tokens.values():
        yield from _sum_row(four)
    for step in attention:
        if (model := known[step.setting.model]) is not None:
            yield _attention_row(step, attention_config(step, model), simulated)


def dense_config(row: DenseRow, model: str) -> RunConfig:
    """The step in which an operator works on `row.tokens` tokens."""
    if row.tokens <= LARGEST_DECODE:
        return decode_of(model, row.setting, row.tokens, CONTEXT)
    return prefill_of(model, row.setting, row.tokens)


def attention_config(row: AttentionRow, model: str) -> RunConfig:
    """The step whose attention is that of `row`."""
    cached = max(0, row.kv_prefill - row.prefill_chunk)
    if row.n_decode == 0:
        return prefill_of(model, row.setting, row.prefill_chunk, cached)
    if row.prefill_chunk == 0:
        return decode_of(model, row.setting, row.n_decode, row.kv_decode)
    return mixed_of(model, row.setting, row.prefill_chunk, cached, row.n_decode, row.kv_decode)


def _time_us(times: StepTimes | None, names: Sequence[str]) -> float | None:
    if times is None or any(name not in times.operator_us for name in names):
        return None
    return sum(times.operator_us[name] for name in names)


def _identity(row: DenseRow | AttentionRow, name: str) -> str:
    """Rows of other models than the default carry the model's name, so that ids stay unique and short."""
    return f"operator/{row.setting.model}/{name}"


def _dense_row(item: DenseRow, model: str, simulated: Simulated) -> Row:
    """Element-wise operators and the LM head, with the time that a step of the model charges to them."""
    times, remark = simulated.step(dense_config(item, model))
    return Row(
        id=_identity(item, f"{item.operator}/{item.tokens}"),
        kind=item.operator,
        reference=item.time_us,
        prediction=_time_us(times, OPERATORS[item.operator]),
        unit="us",
        source=item.source,
        remark=remark,
    )


def _gemm_row(item: DenseRow, model: str, simulated: Simulated) -> Row:
    """A GEMM, repeated: its period, which credits loads and gathering with overlap as Voxel's operator times do."""
    config = gemm_config(model, item.setting, item.tokens)
    period, remark = simulated.operator(config, OPERATORS[item.operator][0])
    bound = gemm_bound_us(item, config.model, config.chip.clock_ghz)
    beats = f"faster than its own bound of {bound:.2f} us"
    counts = SINGLE if item.time_us >= bound else ()
    return Row(
        id=_identity(item, f"{item.operator}/{item.tokens}"),
        kind=item.operator,
        reference=item.time_us,
        prediction=period,
        unit="us",
        source=item.source,
        counts=counts,
        excluded={} if counts else dict.fromkeys(SINGLE, beats),
        baselines={"bound": bound},
        remark=remark,
    )


def _sum_row(four: Sequence[tuple[DenseRow, Row]]) -> Iterator[Row]:
    """The sum of the four GEMMs of one token count, where the table has all four."""
    if {item.operator for item, _ in four} != set(GEMMS):
        return
    predictions = [row.prediction for _, row in four]
    item = four[0][0]
    yield Row(
        id=_identity(item, f"gemm_sum/{item.tokens}"),
        kind="sum of the four GEMMs",
        reference=sum(one.time_us for one, _ in four),
        prediction=None if None in predictions else sum(value for value in predictions if value is not None),
        unit="us",
        source=item.source,
        counts=(SUM,),
        baselines={"bound": sum(row.baselines["bound"] for _, row in four)},
        remark=" ".join(dict.fromkeys(row.remark for _, row in four if row.remark)),
    )


def _attention_row(item: AttentionRow, config: RunConfig, simulated: Simulated) -> Row:
    times, remark = simulated.step(config)
    return Row(
        id=_identity(item, f"attention/{item.name}"),
        kind="attention, decode" if item.prefill_chunk == 0 else "attention, prefill",
        reference=item.time_us,
        prediction=_time_us(times, ATTENTION),
        unit="us",
        source=item.source,
        remark=remark,
    )
