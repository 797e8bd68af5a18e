"""Naming the channels of a deadlock in the state of a flit network that has stopped."""

from __future__ import annotations

import numpy as np

from cairn.hw_models.noc.flit import layout as at
from cairn.hw_models.noc.network import IntArray, Network


def waiting_cycle(state: IntArray, network: Network) -> list[tuple[int, int]]:
    """Links, as (router, router), each of which holds a packet that waits for the next one in the list.

    A blocked packet waits for room in one virtual channel of its next link, or for any virtual channel of it to be let
    go; the walk follows either to a buffer that is blocked itself, until it meets a channel again.
    """
    bits = int(state[at.VC_BITS])
    channels = network.links + 2 * network.nodes
    begin = int(state[at.BUFFERS])
    buffers = state[begin : begin + (channels << bits) * at.BUFFER].reshape(-1, at.BUFFER)
    blocked = (buffers[:, at.B_COUNT] > 0) & (buffers[:, at.B_OUT] > 0)
    out = np.where(blocked, (buffers[:, at.B_OUT] - state[at.CHANNELS]) // at.CHANNEL, -1)
    here = int(np.flatnonzero(blocked)[0])
    path: list[int] = []
    while here not in path:
        path.append(here)
        number = int(out[here])
        held = int(buffers[here, at.B_TO])
        if held:
            here = (held - int(state[at.SENDERS])) // at.SENDER
        else:
            low, high = int(buffers[here, at.B_LOW]), int(buffers[here, at.B_HIGH])
            here = next(vc for vc in range((number << bits) + low, (number << bits) + high + 1) if blocked[vc])
    links = [number >> bits for number in path[path.index(here) :]]
    return [(int(network.link_source[link]), int(network.link_destination[link])) for link in links]
