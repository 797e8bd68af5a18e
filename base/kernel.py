"""The one way to compile: `@kernel`. Its cache is keyed by a digest of all kernel sources.

Numba's own cache looks at the file of the compiled function alone: a constant changed in a called file would
keep giving the old numbers. Here the cache folder is named by the content of every Cairn source that holds a
kernel (also one whose decorator is a `partial` of this one) or a constant (`Final`), by the file of the decorated
function, and by the Python and Numba versions.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

import numba
import numpy as np
from numba import types

F = TypeVar("F", bound=Callable[..., Any])

u: Final = np.uint64
"""Makes an index one that counts from the front: `array[u(at)]` never means one from the end, so Numba need not ask
whether `at` is negative, and LLVM can work on several entries at once. A negative `at` is then a wild address."""

_ROOMS = ("base", "hw_models", "sim", "workloads")


@lru_cache(maxsize=1)
def _digest_of_rooms() -> str:
    digest = hashlib.sha256(f"{sys.version}|{numba.__version__}".encode())
    package = Path(__file__).resolve().parent.parent
    texts = {file: file.read_bytes() for room in _ROOMS for file in sorted((package / room).rglob("*.py"))}
    decorators = {name for text in texts.values() for name in re.findall(rb"^(\w+) = partial\(kernel", text, re.M)}
    marks = [b"kernel(", b"Final", *(b"@" + name + b"(" for name in decorators)]  # kernels freeze constants they import
    for file, text in texts.items():
        if any(mark in text for mark in marks):
            digest.update(file.relative_to(package).as_posix().encode())
            digest.update(text)
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def _cache_root() -> Path | None:
    """A writable folder for compiled kernels (`CAIRN_CACHE_DIR`, else the user's cache), or None."""
    named = os.environ.get("CAIRN_CACHE_DIR")
    home = os.environ.get("XDG_CACHE_HOME") or str(Path("~").expanduser() / ".cache")
    for root in (Path(named),) if named else (Path(home) / "cairn", Path(tempfile.gettempdir()) / "cairn-cache"):
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                return root
        except OSError:
            continue
    return None


def _cache_dir(file: str) -> Path | None:
    root = _cache_root()
    if root is None:
        return None
    folder = root / _cache_name(file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


def _cache_name(file: str) -> str:
    digest = hashlib.sha256(_digest_of_rooms().encode())
    source = Path(file)
    if source.is_file():
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def kernels_are_cached(part: str) -> bool:
    """Whether compiled kernels of `part` (such as "sim/engine") lie in the cache: a run need not compile them again."""
    root = _cache_root()
    if root is None:
        return False
    sources = sorted((Path(__file__).resolve().parent.parent / part).rglob("*.py"))
    return any(any((root / _cache_name(str(source))).rglob("*.nbi")) for source in sources)


def _one_for_all_numbers(dispatcher: Any) -> Any:
    """Let kernels that pass a constant call what is compiled for any number.

    Numba would compile a kernel again for each constant that another one passes to it: a sixth of the time that a first
    run compiles for. LLVM folds constants where it inlines, so nothing runs slower for it.
    """
    by_type = dispatcher.get_call_template

    def get_call_template(args: Any, keywords: Any) -> Any:
        plain = {name: types.unliteral(one) for name, one in keywords.items()}
        return by_type([types.unliteral(one) for one in args], plain)

    dispatcher.get_call_template = get_call_template
    return dispatcher


def kernel(signature: Any = None, **options: Any) -> Callable[[F], F]:
    """Compile a function in Numba's nopython mode, cached across processes where a folder can be written.

    With a `signature` it compiles (or loads) at once, for functions that are called through pointers; without
    one it compiles on its first call. Options are `numba.njit`'s; object mode does not exist here.
    """

    def compile_with_cache(function: F) -> F:
        folder = _cache_dir(function.__code__.co_filename)
        arguments = (signature,) if signature is not None else ()
        if folder is None:
            return _one_for_all_numbers(numba.njit(*arguments, **options)(function))  # type: ignore[no-any-return]
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(folder)
        try:
            compiled = numba.njit(*arguments, cache=True, **options)(function)
            return _one_for_all_numbers(compiled)  # type: ignore[no-any-return]
        finally:
            numba.config.CACHE_DIR = before

    return compile_with_cache


