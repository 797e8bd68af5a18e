"""What a channel did before in the same situation is not worked out again.

What a channel does up to a limit follows from its image (image.py) and from the ticks to the limit. A table remembers
questions and their answers; a channel whose question stands there, word for word, takes over the answer. Tiles of
weights that follow each other, and channels that do the same side by side, ask the same over and over.
"""

from __future__ import annotations

from typing import Final

from cairn.base.kernel import u
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.queues import inner, routine
from cairn.hw_models.dram.stack import layout as sx
from cairn.hw_models.dram.stack.image import set_origin, take_outcome, write_image, write_outcome
from cairn.hw_models.dram.stack.streams import extra_at
from cairn.hw_models.dram.stack.work import work
from cairn.hw_models.server import IntArray

ODD: Final = 0x2545F4914F6CDD1D
"""Any odd number with bits all over serves to spread questions over the table (this one is xorshift64*'s, Vigna 2016);
which entry one lands in decides only whether it is found."""


@inner()
def _entry_of(state: IntArray, question: int, end: int) -> int:
    """Where the table keeps a question."""
    mixed = 0
    for at in range(question, end):
        mixed += (state[u(at)] + 1) * (2 * (at - question) + ODD)
    mixed = (mixed ^ (mixed >> 29)) * ODD
    return int(state[sx.P_TABLE_AT] + ((mixed >> 32) & (state[sx.P_ENTRIES] - 1)) * state[sx.P_ENTRY_WORDS])


@inner()
def _is_there(state: IntArray, entry: int, question: int, length: int) -> bool:
    """Whether the table's entry is for that very question."""
    if state[u(entry)] != length:
        return False
    different = 0
    for number in range(length):
        different |= state[u(entry + 1 + number)] ^ state[u(question + number)]
    return bool(different == 0)


@inner()
def _is_worth_asking(state: IntArray, base: int, limit: int) -> bool:
    """Whether there is much to do, for few enough requests; logged commands must all be worked out, and what PIM units
    do is not part of the image."""
    extra = extra_at(state, base)
    if state[u(extra + sx.X_PIM_COUNT)] + state[u(extra + sx.X_PIM_PHASE)] + state[u(extra + sx.X_BUFFERS)] > 0:
        return False
    used, ticks = state[u(extra + sx.X_USED)], limit - state[u(extra + sx.X_LIMIT)]
    return bool(ticks >= state[sx.P_ASK_TICKS] and 0 < used <= state[sx.P_ASK_REQUESTS] and state[ix.P_LOG_SIZE] == 0)


@routine()
def work_or_repeat(state: IntArray, base: int, limit: int) -> None:
    """Do every tick before `limit`."""
    if not _is_worth_asking(state, base, limit):
        work(state, base, limit)
        return
    set_origin(state, base)
    question = state[sx.P_QUESTION_AT]
    state[u(question)] = limit - state[u(base + ix.C_CLK)]
    end = write_image(state, base, question + 1)
    entry, length = _entry_of(state, question, end), end - question
    answer = entry + 1 + state[sx.P_ENTRY_WORDS] // 2
    if _is_there(state, entry, question, length):
        take_outcome(state, base, answer)
        state[u(extra_at(state, base) + sx.X_LIMIT)] = limit
        state[sx.P_REPEATED] += 1
        return
    state[u(entry)] = length
    for number in range(length):
        state[u(entry + 1 + number)] = state[u(question + number)]
    work(state, base, limit)
    write_outcome(state, base, answer)
    state[sx.P_WORKED] += 1
