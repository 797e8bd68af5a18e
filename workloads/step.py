"""A step of a model: which requests it advances, by how many tokens, and which operators belong to it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from cairn.base.spec import Spec, required, sourced
from cairn.workloads.graph import Request

_ONE: Final = "assumed: the smallest step"
_WHOLE: Final = "assumed: a step of the whole model"
_PHASE: Final = "given by the phases that use it"

MAX_CONTEXT: Final = 1 << 31
"""assumed: a hundred times the longest published context."""
MAX_TOKENS: Final = 1 << 20
"""assumed: new tokens of one step; serving systems take some thousands."""

Context = Annotated[int, Field(gt=0, le=MAX_CONTEXT)]


class Phase(StrEnum):
    DECODE = "decode"
    PREFILL = "prefill"
    MIXED = "mixed"


class AttentionForm(StrEnum):
    """FUSED keeps scores on chip (one operator); UNFUSED computes scores, soft-max and context one after the other."""

    FUSED = "fused"
    UNFUSED = "unfused"


class RequestSpec(Spec):
    """One request of a mixed step: `new` tokens computed now behind `cached` ones."""

    new: int = required(gt=0, le=MAX_TOKENS)
    cached: int = sourced(0, _ONE, ge=0, le=MAX_CONTEXT)


class WorkloadSpec(Spec):
    """What one step computes.

    decode   `batch` requests of one new token each. `context` counts the keys that the token looks at, its own
             included: `context - 1` tokens are cached. One number, or one for each request.
    prefill  `batch` requests of `new_tokens` each behind `cached_tokens`.
    mixed    `requests`, each with its own `new` and `cached`.

    The LM head works on the last token of each request only.
    """

    phase: Phase = required()
    batch: int | None = sourced(None, _PHASE, gt=0, le=MAX_TOKENS)
    context: Context | tuple[Context, ...] | None = sourced(None, _PHASE)
    new_tokens: int | None = sourced(None, _PHASE, gt=0, le=MAX_TOKENS)
    cached_tokens: int | None = sourced(None, "assumed: nothing is cached before a prefill", ge=0, le=MAX_CONTEXT)
    mixed_requests: tuple[RequestSpec, ...] | None = Field(
        None, alias="requests", json_schema_extra={"source": _PHASE}
    )  # Field itself: type checkers read the alias of no other function
    embedding: bool = sourced(True, _WHOLE)
    lm_head: bool = sourced(True, _WHOLE)
    attention: AttentionForm = sourced(AttentionForm.FUSED, "FlashAttention, arXiv 2205.14135: what kernels do today")
    kv_append: bool = sourced(True, _WHOLE)

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = {key for key, value in self._parts().items() if value is not None}
        needed, allowed = _KEYS[self.phase]
        if missing := sorted(needed - given):
            raise ValueError(f"phase {self.phase.value} needs {', '.join(missing)}")
        if extra := sorted(given - needed - allowed):
            raise ValueError(f"phase {self.phase.value} does not use {', '.join(extra)}; leave it out")
        if self.mixed_requests is not None and not self.mixed_requests:
            raise ValueError("requests is empty: a step needs at least one")
        if isinstance(self.context, tuple):
            if not self.context:
                raise ValueError("context is empty: give one number, or one for each request")
            if self.batch is not None and self.batch != len(self.context):
                raise ValueError(f"context has {len(self.context)} entries for a batch of {self.batch}")
        if (tokens := self._new_tokens()) > MAX_TOKENS:
            raise ValueError(f"a step computes at most {MAX_TOKENS} new tokens, this one {tokens}")
        return self

    def _parts(self) -> dict[str, Any]:
        return {
            "batch": self.batch,
            "context": self.context,
            "new_tokens": self.new_tokens,
            "cached_tokens": self.cached_tokens,
            "requests": self.mixed_requests,
        }

    def _new_tokens(self) -> int:
        if self.mixed_requests is not None:
            return sum(request.new for request in self.mixed_requests)
        if isinstance(self.context, tuple):
            return len(self.context)
        return (self.batch or 1) * (self.new_tokens or 1)

    def requests(self) -> tuple[Request, ...]:
        """The requests of the step, in the order of their token rows."""
        if self.mixed_requests is not None:
            return tuple(Request(request.new, request.cached) for request in self.mixed_requests)
        if isinstance(self.context, tuple):
            return tuple(Request(1, context - 1) for context in self.context)
        if self.context is not None:
            return (Request(1, self.context - 1),) * (self.batch or 1)
        return (Request(self.new_tokens or 1, self.cached_tokens or 0),) * (self.batch or 1)


_KEYS: Final = {
    Phase.DECODE: (frozenset({"context"}), frozenset({"batch"})),
    Phase.PREFILL: (frozenset({"new_tokens"}), frozenset({"batch", "cached_tokens"})),
    Phase.MIXED: (frozenset({"requests"}), frozenset[str]()),
}
