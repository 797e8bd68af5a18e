"""What the one decorator that compiles promises."""

from __future__ import annotations

from typing import Any

from cairn.base.kernel import kernel


@kernel()
def _plus(number: int, other: int) -> int:
    return number + other


@kernel()
def _calls_with_constants(number: int) -> int:
    return _plus(number, 3) + _plus(number, 4) + _plus(5, number)


def test_a_kernel_is_compiled_once_for_all_constants_that_others_pass_to_it() -> None:
    assert _calls_with_constants(10) == 13 + 14 + 15
    compiled: Any = _plus
    assert len(compiled.signatures) == 1
