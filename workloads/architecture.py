"""Model architectures: the shape, the parts and the precision of a language model, as data.

One `ModelSpec` describes dense and mixture-of-experts decoders (MHA, GQA, MQA or multi-head latent attention), RetNet
and Mamba. Counts of its parameters and caches are in `parameters`; its operators come from `build`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from cairn.base.spec import Spec, required, sourced

SCHEMA: Final = "cairn.model/1"

MAX_SIZE: Final = 1 << 24
"""assumed: a hundred times the largest published dimension; a matrix then has at most 2**48 elements."""

_ABSENT: Final = "assumed: a part that the architecture does not have unless it is given"
_SHAPE: Final = "assumed: what most architectures do; given by those that differ"
_BF16: Final = "Hugging Face config.json files of the shipped models: torch_dtype bfloat16 or float16"

MAX_LAYERS: Final = 10_000
"""assumed: far beyond any model; checks walk over the layers, so a mistyped number must not keep them for hours."""

TERNARY_BITS: Final = 1.58
"""log2(3), as written in BitNet b1.58, arXiv 2402.17764."""


class Family(StrEnum):
    TRANSFORMER = "transformer"
    RETNET = "retnet"
    MAMBA = "mamba"


class NormKind(StrEnum):
    RMS = "rms"
    LAYER = "layer"


class PositionKind(StrEnum):
    ROPE = "rope"
    LEARNED = "learned"
    ALIBI = "alibi"
    NONE = "none"


class BiasKind(StrEnum):
    """Which matrices have a bias: none, the fused query-key-value projection, or every matrix of the layers."""

    NONE = "none"
    QKV = "qkv"
    ALL = "all"


class Function(StrEnum):
    SILU = "silu"
    GELU = "gelu"
    RELU = "relu"
    RELU2 = "relu2"


class MLASpec(Spec):
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1); dimensions per head."""

    q_lora_rank: int = sourced(0, "DeepSeek-V2-Lite config.json: 0, queries are projected directly", ge=0, le=MAX_SIZE)
    kv_lora_rank: int = required(gt=0, le=MAX_SIZE)
    qk_nope_head_dim: int = required(gt=0, le=MAX_SIZE)
    qk_rope_head_dim: int = required(gt=0, le=MAX_SIZE)
    v_head_dim: int = required(gt=0, le=MAX_SIZE)


class AttentionSpec(Spec):
    """Soft-max attention. `window`: a token looks at no more than so many tokens, itself included."""

    heads: int = required(gt=0, le=MAX_SIZE)
    kv_heads: int | None = sourced(None, "assumed: multi-head attention, as many as query heads", gt=0, le=MAX_SIZE)
    head_dim: int | None = sourced(
        None, "assumed: hidden / heads, as in the Hugging Face model classes", gt=0, le=MAX_SIZE
    )
    window: int | None = sourced(None, _ABSENT, gt=0, le=MAX_SIZE)
    full_attention_every: int | None = sourced(None, "assumed: the window holds in every layer", ge=2, le=MAX_SIZE)
    qk_norm: bool = sourced(False, _ABSENT)
    rotary_dim: int | None = sourced(None, "assumed: all columns of a head turn", gt=0, le=MAX_SIZE, multiple_of=2)
    mla: MLASpec | None = sourced(None, _ABSENT)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise ValueError(f"kv_heads ({self.kv_heads}) must divide heads ({self.heads})")
        if self.full_attention_every is not None and self.window is None:
            raise ValueError("full_attention_every needs a window: it names the layers without one")
        if self.mla is not None:
            given = [name for name in ("kv_heads", "head_dim", "rotary_dim", "window") if getattr(self, name)]
            if given or self.qk_norm:
                raise ValueError(f"mla replaces {', '.join(given) or 'qk_norm'}: leave it out")
        return self


class FFNSpec(Spec):
    """A feed-forward network: down(f(gate(x)) * up(x)) when gated, else down(f(up(x)))."""

    width: int = required(gt=0, le=MAX_SIZE)
    gated: bool = sourced(True, _SHAPE)
    function: Function = sourced(Function.SILU, _SHAPE)


class MoESpec(Spec):
    """Experts in place of the feed-forward network: in every `every`-th layer behind the first `dense_layers`.

    `shared_experts` networks of `shared_width` (default: `width`) take every token; they run as one dense network.
    """

    experts: int = required(gt=0, le=MAX_SIZE)
    top_k: int = required(gt=0, le=MAX_SIZE)
    width: int = required(gt=0, le=MAX_SIZE)
    gated: bool = sourced(True, _SHAPE)
    function: Function = sourced(Function.SILU, _SHAPE)
    shared_experts: int = sourced(0, _ABSENT, ge=0, le=MAX_SIZE)
    shared_width: int | None = sourced(None, "assumed: as wide as a routed expert", gt=0, le=MAX_SIZE)
    dense_layers: int = sourced(0, _ABSENT, ge=0, le=MAX_SIZE)
    every: int = sourced(1, _SHAPE, ge=1, le=MAX_SIZE)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.top_k > self.experts:
            raise ValueError(f"top_k ({self.top_k}) must not exceed experts ({self.experts})")
        if self.shared_width is not None and not self.shared_experts:
            raise ValueError("shared_width needs shared_experts: without them it has no meaning")
        return self


class RetNetSpec(Spec):
    """Multi-scale retention (arXiv 2307.08621); dimensions per head. `chunk`: tokens per chunk of a prefill."""

    heads: int = required(gt=0, le=MAX_SIZE)
    key_dim: int = required(gt=0, le=MAX_SIZE)
    value_dim: int = required(gt=0, le=MAX_SIZE)
    chunk: int = sourced(512, "torchscale retnet.py: recurrent_chunk_size", gt=0, le=MAX_SIZE)


class MambaSpec(Spec):
    """A selective state-space mixer (arXiv 2312.00752)."""

    d_inner: int = required(gt=0, le=MAX_SIZE)
    d_state: int = sourced(16, "state-spaces/mamba mamba_simple.py", gt=0, le=MAX_SIZE)
    d_conv: int = sourced(4, "state-spaces/mamba mamba_simple.py", gt=0, le=MAX_SIZE)
    dt_rank: int = required(gt=0, le=MAX_SIZE)


class PrecisionSpec(Spec):
    """Bits per element. `*_storage_bits` is what memory holds of a weight (1.58 bits: 2, or 1.6 packed five a byte).

    `activation_bits` are the inputs of the layers' weight matrices; `residual_bits` the residual stream and what the
    matrices put out. Embedding, LM head, router and norms have their own: quantised models keep them in 16 bits.
    """

    weight_bits: float = sourced(16, _BF16, gt=0, le=32)
    weight_storage_bits: float | None = sourced(
        None, "microsoft/BitNet gpu/README.md: W2A8, 2 bits a weight", gt=0, le=32
    )
    expert_weight_bits: float | None = sourced(None, "assumed: as the other weights", gt=0, le=32)
    expert_weight_storage_bits: float | None = sourced(None, "assumed: as weight_storage_bits does", gt=0, le=32)
    activation_bits: float = sourced(16, _BF16, gt=0, le=32)
    residual_bits: float = sourced(16, _BF16, gt=0, le=32)
    kv_bits: float = sourced(16, _BF16, gt=0, le=32)
    state_bits: float = sourced(16, _BF16, gt=0, le=32)
    embedding_bits: float = sourced(16, _BF16, gt=0, le=32)
    head_bits: float = sourced(16, _BF16, gt=0, le=32)
    router_bits: float = sourced(16, _BF16, gt=0, le=32)
    norm_bits: float = sourced(16, _BF16, gt=0, le=32)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for bits, stored in (("weight_bits", self.stored_weight_bits), ("expert_weight_bits", self.stored_expert_bits)):
            value = getattr(self, bits)
            if value is not None and stored < value:
                raise ValueError(f"{bits} ({value:g}) does not fit into the {stored:g} bits stored for it")
        return self

    @property
    def stored_weight_bits(self) -> float:
        """Bits that memory holds of each weight of the layers' matrices."""
        return self.weight_storage_bits or _storage(self.weight_bits)

    @property
    def stored_expert_bits(self) -> float:
        """Bits that memory holds of each weight of a routed expert."""
        if self.expert_weight_storage_bits is not None:
            return self.expert_weight_storage_bits
        return self.stored_weight_bits if self.expert_weight_bits is None else _storage(self.expert_weight_bits)


def _storage(bits: float) -> float:
    return 2.0 if bits == TERNARY_BITS else bits


class ModelSpec(Spec):
    """A language model. Exactly the parts of its family are given; `source` says where the shape was read."""

    schema_id: Literal["cairn.model/1"] = Field(
        SCHEMA, alias="schema", json_schema_extra={"source": "this project"}
    )  # Field itself: type checkers read the alias of no other function
    name: str = required(min_length=1)
    source: str = required(min_length=1)
    family: Family = sourced(Family.TRANSFORMER, _SHAPE)
    layers: int = required(gt=0, le=MAX_LAYERS)
    hidden: int = required(gt=0, le=MAX_SIZE)
    vocab: int = required(gt=0, le=MAX_SIZE)
    max_context: int | None = sourced(None, "assumed: any length", gt=0, le=MAX_SIZE)
    tied_embeddings: bool = sourced(False, _SHAPE)
    norm: NormKind = sourced(NormKind.RMS, _SHAPE)
    position: PositionKind = sourced(PositionKind.ROPE, _SHAPE)
    position_rows: int | None = sourced(
        None, "assumed: one row of the learned table for each position", gt=0, le=MAX_SIZE
    )
    bias: BiasKind = sourced(BiasKind.NONE, _SHAPE)
    parallel_blocks: bool = sourced(False, _SHAPE)
    sub_norms: bool = sourced(False, _ABSENT)
    post_norms: bool = sourced(False, _ABSENT)
    attention: AttentionSpec | None = sourced(None, _ABSENT)
    ffn: FFNSpec | None = sourced(None, _ABSENT)
    moe: MoESpec | None = sourced(None, _ABSENT)
    retnet: RetNetSpec | None = sourced(None, _ABSENT)
    mamba: MambaSpec | None = sourced(None, _ABSENT)
    precision: PrecisionSpec = sourced(PrecisionSpec(), _BF16)

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        parts = {name for name in ("attention", "ffn", "moe", "retnet", "mamba") if getattr(self, name) is not None}
        needed, allowed = _PARTS[self.family]
        if missing := sorted(needed - parts):
            raise ValueError(f"family {self.family.value} needs {', '.join(missing)}")
        if extra := sorted(parts - needed - allowed):
            raise ValueError(f"family {self.family.value} has no {', '.join(extra)}")
        if self.family is Family.TRANSFORMER and self.ffn is None:
            if self.moe is None:
                raise ValueError("a transformer needs ffn, moe or both")
            if any(not self.is_moe_layer(layer) for layer in range(self.layers)):
                raise ValueError("ffn is missing: moe.dense_layers or moe.every leaves layers without experts")
        if self.moe is not None and self.moe.dense_layers >= self.layers:
            raise ValueError(f"moe.dense_layers ({self.moe.dense_layers}) must be below layers ({self.layers})")
        return self

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        attention = self.attention
        if attention is not None and attention.mla is None:
            if attention.head_dim is None and self.hidden % attention.heads:
                raise ValueError(f"heads ({attention.heads}) must divide hidden ({self.hidden}), or give head_dim")
            if attention.rotary_dim is not None and attention.rotary_dim > self.head_dim:
                raise ValueError(f"attention.rotary_dim ({attention.rotary_dim}) exceeds head_dim ({self.head_dim})")
            if self.position is PositionKind.ROPE and (attention.rotary_dim or self.head_dim) % 2:
                raise ValueError(f"rotary embedding turns pairs of columns, but head_dim is {self.head_dim}")
        if self.position is PositionKind.LEARNED and self.max_context is None:
            raise ValueError("position learned needs max_context, the length of its table")
        if self.position_rows is not None and self.position is not PositionKind.LEARNED:
            raise ValueError("position_rows is the length of a learned table; position is " + self.position.value)
        if self.position_rows is not None and self.max_context is not None and self.position_rows < self.max_context:
            raise ValueError(f"position_rows ({self.position_rows}) is below max_context ({self.max_context})")
        if self.parallel_blocks and self.moe is not None:
            raise ValueError("parallel_blocks is supported for dense feed-forward networks only; leave moe out")
        return self

    @property
    def kv_heads(self) -> int:
        """Key and value heads that a layer caches (1 for MLA, whose latent all heads share)."""
        if self.attention is None:
            return 0
        return 1 if self.attention.mla else self.attention.kv_heads or self.attention.heads

    @property
    def head_dim(self) -> int:
        """Columns of a query head, without MLA."""
        if self.attention is None:
            return 0
        return self.attention.head_dim or self.hidden // self.attention.heads

    def is_moe_layer(self, layer: int) -> bool:
        """Whether `layer` (0 ..) has experts. Of each `every` layers behind the dense ones the last has them."""
        if self.moe is None or layer < self.moe.dense_layers:
            return False
        return (layer - self.moe.dense_layers) % self.moe.every == self.moe.every - 1

    def window(self, layer: int) -> int | None:
        """How far back a token of `layer` looks; every `full_attention_every`-th layer looks at everything."""
        if self.attention is None or self.attention.window is None:
            return None
        every = self.attention.full_attention_every
        return None if every and layer % every == every - 1 else self.attention.window


_PARTS: Final = {
    Family.TRANSFORMER: (frozenset({"attention"}), frozenset({"ffn", "moe"})),
    Family.RETNET: (frozenset({"retnet", "ffn"}), frozenset[str]()),
    Family.MAMBA: (frozenset({"mamba"}), frozenset[str]()),
}
