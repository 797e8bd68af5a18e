"""Calls of server functions by address: what lets one compiled loop call servers it has never seen.

Numba's own first-class functions would do as well, but a typed list of them takes a second to build in every
process, and a tuple of them makes a new type, hence a new compilation, for every number of servers. An address is a
number: the loop is compiled once, cached on disk, and calls any server whose signature is the contract's.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic

from cairn.base.errors import CairnError
from cairn.hw_models.server import ADVANCE_SIGNATURE, ENQUEUE_SIGNATURE, NEXT_EVENT_SIGNATURE, Server

IntArray = npt.NDArray[np.int64]

_PARTS: Final = (("enqueue", ENQUEUE_SIGNATURE), ("advance", ADVANCE_SIGNATURE), ("next_event", NEXT_EVENT_SIGNATURE))


def addresses(name: str, server: Server) -> IntArray:
    """Addresses of the (enqueue, advance, next_event) functions of a server, int64 (3,).

    CairnError when one of them is plain Python, which only the reference engine can call.
    """
    found = np.empty(len(_PARTS), np.int64)
    for index, (part, signature) in enumerate(_PARTS):
        function = getattr(server.kind, part)
        if not isinstance(function, Dispatcher):
            raise CairnError(
                f"server {name!r}: {part} of kind {server.kind.name!r} is not compiled; "
                "decorate it with cairn.base.kernel.kernel, or run the plan with the reference engine"
            )
        compiled = function.get_compile_result(signature)
        found[index] = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)
    return found


def _call(signature: Any, context: Any, builder: Any, values: Any) -> Any:
    """Code that calls the function of `signature` at address `values[0]` with the other values."""
    arguments = [context.get_value_type(kind) for kind in signature.args]
    function = ir.FunctionType(context.get_value_type(signature.return_type), arguments)
    return builder.call(builder.inttoptr(values[0], function.as_pointer()), values[1:])


@intrinsic  # type: ignore[untyped-decorator]
def call_enqueue(_typing: Any, _address: Any, _state: Any, _task: Any, _request: Any) -> Any:
    """`enqueue(state, task, request)` of the server whose function lies at an address."""

    def code(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        _call(ENQUEUE_SIGNATURE, context, builder, values)
        return context.get_dummy_value()

    return types.void(types.int64, *ENQUEUE_SIGNATURE.args), code


@intrinsic  # type: ignore[untyped-decorator]
def call_advance(_typing: Any, _address: Any, _state: Any, _until: Any) -> Any:
    """`advance(state, until)` of the server whose function lies at an address."""

    def code(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _call(ADVANCE_SIGNATURE, context, builder, values)

    return types.int64(types.int64, *ADVANCE_SIGNATURE.args), code


@intrinsic  # type: ignore[untyped-decorator]
def call_next_event(_typing: Any, _address: Any, _state: Any) -> Any:
    """`next_event(state)` of the server whose function lies at an address."""

    def code(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _call(NEXT_EVENT_SIGNATURE, context, builder, values)

    return types.int64(types.int64, *NEXT_EVENT_SIGNATURE.args), code
