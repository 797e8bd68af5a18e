"""Lines of a request trace to numbers: a compiled reader of text, some 10 million lines a second.

A line is up to as many words as there are columns, separated by blanks, or by one comma with or without blanks. Quotes
count as blanks, `#` begins a comment, and an empty line is passed over. Only what is wrong is looked at in Python.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel
from cairn.hw_models.dram.control.queues import inner
from cairn.hw_models.server import IntArray

ByteArray = npt.NDArray[np.uint8]

TYPE, WHOLE, NANOSECONDS = range(3)
"""What a column holds: a read or write (answered as 0 or 1), a whole number of 0 or more in decimal or 0x hexadecimal,
or nanoseconds with or without a fraction (answered as whole picoseconds, rounded down)."""

AT, LINE, WRONG = range(3)
"""Where the reader stands: byte of the text, number of the line that begins there, and whether that line is wrong."""

LARGEST: Final = 1 << 62
"""Numbers must be smaller."""

_NEWLINE, _COMMA, _HASH, _POINT = 10, 44, 35, 46
_BAD = -1
_PACKED = 8
"""Letters of a word that are compared, packed into one number."""


def packed(word: str) -> int:
    """A word of up to 8 letters as the reader packs it, whatever their case."""
    return int.from_bytes(word.upper().encode("ascii"), "big")


@inner()
def _is_blank(byte: int) -> bool:
    return byte in (32, 9, 13, 34, 39)


@inner()
def _ends_word(byte: int) -> bool:
    return _is_blank(byte) or byte in (_COMMA, _HASH)


@inner()
def _type(text: ByteArray, at: int, stop: int, words: IntArray, writes: IntArray) -> int:
    """0 for a word that means a read, 1 for a write."""
    if stop - at > _PACKED:
        return _BAD
    value = 0
    for place in range(at, stop):
        byte = int(text[place])
        value = value * 256 + (byte - 32 if 97 <= byte <= 122 else byte)
    for number in range(words.shape[0]):
        if words[number] == value:
            return int(writes[number])
    return _BAD


@inner()
def _digit(byte: int) -> int:
    """Value of a hexadecimal digit, 99 for anything else."""
    if 48 <= byte <= 57:
        return byte - 48
    if 97 <= byte <= 102:
        return byte - 87
    if 65 <= byte <= 70:
        return byte - 55
    return 99


@inner()
def _whole(text: ByteArray, at: int, stop: int) -> int:
    """A whole number below LARGEST."""
    base = 10
    if stop - at > 2 and text[at] == 48 and (text[at + 1] == 120 or text[at + 1] == 88):
        base = 16
        at += 2
    value = 0
    for place in range(at, stop):
        digit = _digit(int(text[place]))
        if digit >= base or value >= LARGEST // 16:
            return _BAD
        value = value * base + digit
    return value


@inner()
def _picoseconds(text: ByteArray, at: int, stop: int) -> int:
    """Picoseconds of a decimal number of nanoseconds."""
    value, decimals, pointed = 0, 0, False
    for place in range(at, stop):
        byte = int(text[place])
        if byte == _POINT and not pointed:
            pointed = True
            continue
        if not 48 <= byte <= 57 or value >= LARGEST // 10000:
            return _BAD
        if decimals < 3:
            value = value * 10 + byte - 48
            decimals += pointed
    if stop - at == pointed:
        return _BAD
    while decimals < 3:
        value *= 10
        decimals += 1
    return value


@inner()
def _row(
    text: ByteArray, at: int, stop: int, kinds: IntArray, words: IntArray, writes: IntArray, out: IntArray, row: int
) -> int:
    """Read one line into a row; answers how many words it has, or _BAD."""
    column, commas = 0, 0
    while at < stop and text[at] != _HASH:
        byte = text[at]
        if byte == _COMMA:
            commas += 1
            at += 1
            continue
        if _is_blank(byte):
            at += 1
            continue
        if column == kinds.shape[0] or commas > 1 or (column == 0 and commas > 0):
            return _BAD
        end = at + 1
        while end < stop and not _ends_word(text[end]):
            end += 1
        if kinds[column] == TYPE:
            value = _type(text, at, end, words, writes)
        elif kinds[column] == WHOLE:
            value = _whole(text, at, end)
        else:
            value = _picoseconds(text, at, end)
        if value < 0:
            return _BAD
        out[row, column] = value
        column, commas, at = column + 1, 0, end
    return _BAD if commas > 0 else column


@kernel(nogil=True)
def parse_lines(
    text: ByteArray, place: IntArray, kinds: IntArray, words: IntArray, writes: IntArray, out: IntArray
) -> int:
    """Read whole lines of `text` (bytes) from `place[AT]` on into rows of `out`: the columns, then the line's number.

    Stops at the end of the text, when `out` is full, or before the first line that is wrong, with `place[WRONG]` set.
    Answers the number of rows; `words` are packed names of types, `writes` whether each is a write.
    """
    size, columns = text.shape[0], kinds.shape[0]
    at, line, rows = place[AT], place[LINE], 0
    while at < size and rows < out.shape[0]:
        stop = at
        while stop < size and text[stop] != _NEWLINE:
            stop += 1
        found = _row(text, at, stop, kinds, words, writes, out, rows)
        if found != 0 and found != columns:
            place[WRONG] = 1
            break
        if found != 0:
            out[rows, columns] = line
            rows += 1
        at, line = stop + 1, line + 1
    place[AT], place[LINE] = at, line
    return rows
