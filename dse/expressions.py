"""Arithmetic written by people, over numbers and NumPy columns alike: a small part of Python's expressions.

The parts are numbers, names, `+ - * / // % **`, parentheses and the functions of FUNCTIONS. Nothing else is evaluated.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, Final

import numpy as np

from cairn.base.registry import nearest_hint
from cairn.dse.units import PLAIN, Unit

MAX_LENGTH: Final = 500
"""assumed: characters of an expression; the longest one that is read by people is far shorter."""

_BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: lambda a, b: _raised(a, b),
}  # fmt: skip


def _raised(base: Any, power: Any) -> Any:
    """`base ** power`; whole where that is exact, never a whole number of a thousand digits."""
    if isinstance(base, np.ndarray) or isinstance(power, np.ndarray):
        return np.power(base, power)
    value = np.float64(base) ** np.float64(power)
    whole = isinstance(base, int) and isinstance(power, int) and power >= 0 and abs(value) < 2.0**53
    return base**power if whole else float(value)


def _most_square_rows(cores: int) -> int:
    """The greatest divisor of `cores` that is no more than its square root."""
    count = int(cores)
    if count != cores or count < 1:
        raise ValueError(f"a grid needs a whole number of cores, got {cores}")
    return next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "log": np.log, "log2": np.log2, "log10": np.log10, "exp": np.exp, "sqrt": np.sqrt, "abs": np.abs,
    "ceil": np.ceil, "floor": np.floor,
    "min": lambda *a: reduce(np.minimum, a), "max": lambda *a: reduce(np.maximum, a),
}  # fmt: skip
"""What an expression over results may call."""

SETTING_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    **FUNCTIONS, "int": int, "grid_rows": _most_square_rows, "grid_columns": lambda n: int(n) // _most_square_rows(n),
}  # fmt: skip
"""What an expression that sets a key may call: also the most square grid of rows x columns with n cores."""


@dataclass(frozen=True)
class Expression:
    """A checked expression. Build it with `parse`."""

    text: str
    sets_keys: bool = False

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """What it may call."""
        return SETTING_FUNCTIONS if self.sets_keys else FUNCTIONS

    @cached_property
    def tree(self) -> ast.expr:
        return ast.parse(self.text.strip(), mode="eval").body

    @cached_property
    def names(self) -> frozenset[str]:
        """Names that must be given to evaluate it."""
        called = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        return frozenset(n.id for n in ast.walk(self.tree) if isinstance(n, ast.Name) and id(n) not in called)

    @property
    def canonical(self) -> str:
        """The same text for expressions that differ in spaces or needless parentheses alone."""
        return ast.unparse(self.tree)

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Its value, element by element where `values` holds arrays; division by zero gives an infinity or NaN."""
        with np.errstate(all="ignore"):
            return self._value(self.tree, values)

    def _value(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return values[node.id]
        if isinstance(node, ast.UnaryOp):
            inner = self._value(node.operand, values)
            return -inner if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left, values), self._value(node.right, values)
            try:
                return _BINARY[type(node.op)](left, right)
            except ZeroDivisionError:
                return math.nan if not left else math.copysign(math.inf, left)
            except OverflowError:
                return math.inf
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self.functions[node.func.id](*(self._value(argument, values) for argument in node.args))
        raise ValueError(f"{self.text!r} was never checked")

    def unit(self, units: Mapping[str, Unit]) -> Unit | None:
        """Its unit, given those of its names; None for a plain number. ValueError on a clash."""
        return self._unit(self.tree, units)

    def _unit(self, node: ast.expr, units: Mapping[str, Unit]) -> Unit | None:
        if isinstance(node, ast.Constant):
            return None
        if isinstance(node, ast.Name):
            return units[node.id]
        if isinstance(node, ast.UnaryOp):
            return self._unit(node.operand, units)
        if isinstance(node, ast.BinOp):
            return self._unit_of_two(node, units)
        call = node if isinstance(node, ast.Call) else None
        if call is None or not isinstance(call.func, ast.Name):
            raise ValueError(f"{self.text!r} was never checked")
        inner = [self._unit(argument, units) for argument in call.args]
        if call.func.id in ("min", "max", "abs", "ceil", "floor", "int"):
            return self._common(inner)
        if call.func.id == "sqrt" and inner[0] is not None and all(power % 2 == 0 for power in inner[0].powers):
            return Unit(math.sqrt(inner[0].factor), tuple(power // 2 for power in inner[0].powers))
        return PLAIN  # logarithms and exponentials: the unit is gone

    def _unit_of_two(self, node: ast.BinOp, units: Mapping[str, Unit]) -> Unit | None:
        left, right = self._unit(node.left, units), self._unit(node.right, units)
        if isinstance(node.op, ast.Pow):
            power = node.right.value if isinstance(node.right, ast.Constant) else None
            if left is None or left == PLAIN:
                return left
            if not isinstance(power, int):
                raise ValueError("a value with a unit can only be raised to a whole number")
            return left**power
        if isinstance(node.op, (ast.Mult, ast.Div)):
            if left is None and right is None:
                return None
            first, second = left or PLAIN, right or PLAIN
            return first * second if isinstance(node.op, ast.Mult) else first / second
        return self._common([left, right])

    def _common(self, units: list[Unit | None]) -> Unit | None:
        known = [unit for unit in units if unit is not None]
        for other in known[1:]:
            if not other.same_kind(known[0]):
                raise ValueError(f"{self.text!r} combines {known[0].kind} with {other.kind}")
            if other.factor != known[0].factor:
                raise ValueError(f"{self.text!r} combines fields in different units of {known[0].kind}")
        return known[0] if known else None


def parse(text: str, names: frozenset[str], *, sets_keys: bool = False) -> Expression:
    """The expression `text` over `names`; ValueError says what is wrong and what is nearest.

    With `sets_keys` it may call SETTING_FUNCTIONS, else FUNCTIONS.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{text!r} is no expression, such as energy_j * latency_s") from None
    expression = Expression(text, sets_keys)
    _check(tree, text, names, expression.functions)
    return expression


def _check(node: ast.AST, text: str, names: frozenset[str], functions: Mapping[str, Callable[..., Any]]) -> None:
    inner: list[ast.AST]
    if isinstance(node, ast.Name):
        if node.id not in names:
            raise ValueError(f"{node.id!r} is not known{nearest_hint(node.id, names)}")
        return
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = [node.operand]
    elif isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        inner = [node.left, node.right]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args and not node.keywords:
        if node.func.id not in functions:
            raise ValueError(f"{node.func.id!r} is no function{nearest_hint(node.func.id, functions)}")
        inner = list(node.args)
    else:
        raise ValueError(f"{text!r} has a part that is not arithmetic: {ast.unparse(node)}")
    for part in inner:
        _check(part, text, names, functions)
