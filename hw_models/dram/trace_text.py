"""Request traces as text: how a line is understood, and what is said of one that is not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import IO, Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.hw_models.dram import trace_lines as lines
from cairn.hw_models.dram.trace_columns import BLOCK, COLUMNS, READS, TYPES, WRITES, checked_columns
from cairn.hw_models.server import IntArray

CHUNK_BYTES: Final = 1 << 20
"""Text that is read at once; no line may be longer."""

_KINDS: Final[Mapping[str, int]] = {"type": lines.TYPE, "arrive_ns": lines.NANOSECONDS}
_SEPARATORS: Final = re.compile(r"[\s,\"']+")


def text_columns(text: IO[bytes], file: str) -> Iterator[tuple[dict[str, IntArray], IntArray]]:
    """Columns of at most BLOCK requests, and their line numbers.

    The first line that is neither empty nor a comment decides which columns there are.
    """
    words = np.array([lines.packed(word) for word in (*READS, *WRITES)], dtype=np.int64)
    writes = np.repeat(np.array([0, 1], dtype=np.int64), [len(READS), len(WRITES)])
    columns: tuple[str, ...] = ()
    place = np.array([0, 1, 0], dtype=np.int64)
    for chunk in _whole_lines(text, file):
        place[lines.AT] = 0
        if not columns:
            columns = _columns_of(chunk, place, file)
            kinds = np.array([_KINDS.get(name, lines.WHOLE) for name in columns], dtype=np.int64)
            out = np.empty((BLOCK, len(columns) + 1), dtype=np.int64)
        letters = np.frombuffer(chunk, dtype=np.uint8)
        while columns and place[lines.AT] < len(chunk):
            rows = lines.parse_lines(letters, place, kinds, words, writes, out)
            if rows:
                yield {name: out[:rows, column].copy() for column, name in enumerate(columns)}, out[:rows, -1]
            if place[lines.WRONG]:
                wrong = chunk[int(place[lines.AT]) :].split(b"\n", 1)[0]
                raise ConfigError(_complaint(wrong, columns), file=file, line=int(place[lines.LINE]))


def _whole_lines(text: IO[bytes], file: str) -> Iterator[bytes]:
    """A text in pieces that end where a line ends; without the mark that some editors put before UTF-8."""
    rest = text.read(3).removeprefix(b"\xef\xbb\xbf")
    if rest[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ConfigError("is UTF-16 text; save it as UTF-8", file=file)
    while piece := text.read(CHUNK_BYTES):
        if b"\0" in piece:
            raise ConfigError("is not text (it has zero bytes); a trace is .csv, .txt, .gz or .parquet", file=file)
        whole, newline, rest_of_piece = piece.rpartition(b"\n")
        if newline:
            yield rest + whole + newline
            rest = rest_of_piece
        else:
            rest += piece
        if len(rest) > CHUNK_BYTES:
            raise ConfigError(f"has a line of more than {CHUNK_BYTES:,} bytes; is it a trace?", file=file)
    if rest:
        yield rest


def _columns_of(chunk: bytes, place: IntArray, file: str) -> tuple[str, ...]:
    """The columns by the first line that says something, and `place` at the first request. () when none says any."""
    while place[lines.AT] < len(chunk):
        at, number = int(place[lines.AT]), int(place[lines.LINE])
        end = chunk.find(b"\n", at)
        line = chunk[at : end if end >= 0 else None]
        words = _words(line.decode("utf-8", errors="replace"))
        if words and not _is_header(words):
            return _columns_without_header(words, file, number)
        place[lines.AT] += len(line) + 1
        place[lines.LINE] += 1
        if words:
            return checked_columns(words, file, number)
    return ()


def _words(line: str) -> list[str]:
    return [word for word in _SEPARATORS.split(line.partition("#")[0]) if word]


def _is_header(words: list[str]) -> bool:
    """Whether a first line names columns: it has a column's name, or words alone and none of them a type."""
    if any(word.lower() in COLUMNS for word in words):
        return True
    return all(word.isidentifier() and word.upper() not in (*READS, *WRITES) for word in words)


def _columns_without_header(words: list[str], file: str, line: int) -> tuple[str, ...]:
    named = [word.upper() in (*READS, *WRITES) and not word.isdigit() for word in words[:2]]
    if len(words) not in (2, 3) or named.count(True) != 1:
        raise ConfigError(
            f"a trace without a header has lines such as '0x1f00 R', 'R 0x1f00' or '0x1f00 R 12', not "
            f"{' '.join(words)[:60]!r}; name other columns in a header line", file=file, line=line,
        )  # fmt: skip
    first = ("type", "address") if named[0] else ("address", "type")
    return (*first, "arrive")[: len(words)]


def _complaint(line: bytes, columns: tuple[str, ...]) -> str:
    """What is wrong with a line that the reader refused."""
    try:
        text = line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    words = _words(text)
    if any(not field.strip(" \t\"'") for field in text.partition("#")[0].split(",")):
        return f"has an empty field: {text[:80]!r}"
    if len(words) != len(columns):
        fields = f"{len(words)} field{'s' * (len(words) != 1)}"
        return f"has {fields} instead of {len(columns)} ({', '.join(columns)}): {text[:80]!r}"
    for name, word in zip(columns, words, strict=True):
        if wrong := _wrong_word(name, word):
            return wrong
    return f"cannot be understood: {text[:80]!r}"


def _wrong_word(name: str, word: str) -> str:
    """What is wrong with a word in column `name`, or nothing."""
    shown = word if len(word) <= 40 else word[:37] + "..."
    if name == "type":
        return "" if word.upper() in (*READS, *WRITES) else f"type is {shown!r}, must be one of {TYPES}"
    unit = "a number of nanoseconds such as 12.5" if name == "arrive_ns" else "a whole number"
    if re.fullmatch(r"-(\d+\.?\d*|0[xX][0-9a-fA-F]+)", word):
        return f"{name} is {shown}, must be 0 or more"
    pattern = r"\d+\.?\d*|\.\d+" if name == "arrive_ns" else r"\d+|0[xX][0-9a-fA-F]+"
    if not re.fullmatch(pattern, word, re.ASCII):
        return f"{name} is {shown!r}, must be {unit}"
    value = float(word) if name == "arrive_ns" else int(word, 16 if word[:2] in ("0x", "0X") else 10)
    return f"{name} is {shown}, which is too large a number" if value * 10 >= lines.LARGEST // 1000 else ""
