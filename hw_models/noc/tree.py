"""Trees of a transfer between one core, the root, and a rectangle of cores (rules N8 and N9 of `cycle.py`).

The tree has the XY routes from the root to the cores of the rectangle: a trunk along the root's row, and from it, in
each column of the rectangle, branches down and up. What is spread goes outwards, what is gathered the same way back.
"""

from __future__ import annotations

from cairn.base.kernel import kernel
from cairn.hw_models.noc import layout as at
from cairn.hw_models.noc import wheel
from cairn.hw_models.noc.request import give_back, take
from cairn.hw_models.noc.topology import DOWN, LEFT, RIGHT, UP
from cairn.hw_models.server import ERROR, IntArray


@kernel(**at.NO_ALLOCATION)
def branches(state: IntArray, transfer: int, node: int) -> tuple[int, int]:
    """What the tree has at a node, and the direction from there to the root (-1 at the root).

    Bits 0 to 3 of the first are the directions in which the tree goes on outwards, bit 4 is the node itself, where it
    is one of the rectangle and not the root.
    """
    columns, rows, root = state[at.COLUMNS], state[at.ROWS], state[transfer + at.ROOT]
    low, high, reaches = state[transfer + at.LOW], state[transfer + at.HIGH], state[transfer + at.REACHES]
    x, y = node % columns, node // columns
    right, down = (x - root % columns) % columns, (y - root // columns) % rows
    reach = reaches >> at.REACH_BITS * DOWN & (1 << at.REACH_BITS) - 1
    reach_up = reaches >> at.REACH_BITS * UP
    is_column = low % columns <= x <= high % columns
    found = 1 << 4 if is_column and low // columns <= y <= high // columns and node != root else 0
    if down != 0:
        if down <= reach:
            return found | (1 << DOWN if down < reach else 0), UP
        return found | (1 << UP if rows - down < reach_up else 0), DOWN
    if is_column:
        found |= (1 << DOWN if reach > 0 else 0) | (1 << UP if reach_up > 0 else 0)
    reach = reaches & (1 << at.REACH_BITS) - 1
    reach_left = reaches >> at.REACH_BITS * LEFT & (1 << at.REACH_BITS) - 1
    if right == 0:
        return found | (1 << RIGHT if reach > 0 else 0) | (1 << LEFT if reach_left > 0 else 0), -1
    if right <= reach:
        return found | (1 << RIGHT if right < reach else 0), LEFT
    return found | (1 << LEFT if columns - right < reach_left else 0), RIGHT


@kernel(**at.NO_ALLOCATION)
def go_on(state: IntArray, transfer: int, packet: int, cycle: int) -> None:
    """The head of a packet of a tree reaches a router, or the root's own, at `cycle`."""
    found, homewards = branches(state, transfer, state[packet + at.NODE])
    if state[transfer + at.HOPS] == at.SPREADS:
        _spread(state, packet, found, cycle)
        return
    parts = 0
    for bit in range(5):
        parts += found >> bit & 1
    _join(state, transfer, packet, parts, at.TO_EJECT if homewards < 0 else 1 + homewards, cycle)


@kernel(**at.NO_ALLOCATION)
def _spread(state: IntArray, packet: int, found: int, cycle: int) -> None:
    """A copy of the packet arrives at each link outwards and, at a node of the rectangle, at the ejection port (N8)."""
    one = packet
    for bit in range(5):
        if found >> bit & 1 == 0:
            continue
        if one == 0:
            one = take(state, at.RETURNED_PACKET, at.NEXT_PACKET, at.PACKET, state[at.BATCH])
            if one == 0:
                state[ERROR] = at.TOO_MANY_PACKETS
                return
            for word in range(at.PACKET):
                state[one + word] = state[packet + word]
        state[one + at.PASSED] = 1 + bit  # bit 4 is TO_EJECT
        wheel.put(state, at.ARRIVALS, one, cycle)
        one = 0


@kernel(**at.NO_ALLOCATION)
def _join(state: IntArray, transfer: int, packet: int, parts: int, way: int, cycle: int) -> None:
    """Of `parts` packets of one number that meet at a router one goes on, when the last has arrived (N9)."""
    before, waiting = transfer + at.JOINS, state[transfer + at.JOINS]
    node, key = state[packet + at.NODE], state[packet + at.KEY]
    while waiting != 0 and (state[waiting + at.NODE] != node or state[waiting + at.KEY] != key):
        before, waiting = waiting + at.NEXT, state[waiting + at.NEXT]
    if waiting == 0:
        if parts > 1:
            state[packet + at.PASSED], state[packet + at.AHEAD] = parts - 1, cycle
            state[packet + at.NEXT] = state[transfer + at.JOINS]
            state[transfer + at.JOINS] = packet
            return
        state[packet + at.PASSED] = way
        wheel.put(state, at.ARRIVALS, packet, cycle)
        return
    state[waiting + at.TAIL] = max(state[waiting + at.TAIL], state[packet + at.TAIL])
    state[waiting + at.AHEAD] = max(state[waiting + at.AHEAD], cycle)
    state[waiting + at.PASSED] -= 1
    give_back(state, at.RETURNED_PACKET, packet)
    if state[waiting + at.PASSED] == 0:
        state[before] = state[waiting + at.NEXT]
        cycle = state[waiting + at.AHEAD]
        state[waiting + at.PASSED], state[waiting + at.AHEAD] = way, 0
        wheel.put(state, at.ARRIVALS, waiting, cycle)
