"""The random permutation that BookSim2 draws for traffic `randperm`, so that its runs can be repeated.

Its numbers are those of D. E. Knuth, The Art of Computer Programming, volume 2, section 3.6 (2002): the lagged
Fibonacci sequence X[j] = (X[j - 100] - X[j - 37]) mod 2^30, of which the first 100 of each 1009 are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from cairn.hw_models.noc.network import IntArray

LONG, SHORT, MODULUS = 100, 37, 1 << 30
BLOCK: Final = 1009
SEPARATION: Final = 70


class Fibonacci:
    """The sequence of a seed below 2^30 - 2; `state` are its last 100 numbers, the oldest first."""

    def __init__(self, seed: int):
        x = _bootstrap(seed)
        self.state = [*x[SHORT:], *x[:SHORT]]
        for _ in range(10):
            self.block(2 * LONG - 1)

    def block(self, count: int) -> list[int]:
        """The next `count` >= 100 numbers."""
        numbers = list(self.state)
        while len(numbers) < count + LONG:
            numbers.append((numbers[-LONG] - numbers[-SHORT]) % MODULUS)
        self.state = numbers[count:]
        return numbers[:count]

    def numbers(self) -> Iterator[int]:
        """The first 100 of each 1009 numbers."""
        while True:
            yield from self.block(BLOCK)[:LONG]


def _bootstrap(seed: int) -> list[int]:
    """The first 100 numbers of a seed: sequences of different seeds overlap nowhere within 2^70."""
    x = [0] * (2 * LONG - 1)
    value = (seed + 2) & (MODULUS - 2)
    for place in range(LONG):
        x[place] = value
        value <<= 1
        if value >= MODULUS:
            value -= MODULUS - 2
    x[1] += 1
    bits, left = seed & (MODULUS - 1), SEPARATION - 1
    while left:
        for place in range(LONG - 1, 0, -1):  # the square of a polynomial
            x[2 * place], x[2 * place - 1] = x[place], 0
        for place in range(2 * LONG - 2, LONG - 1, -1):
            x[place - (LONG - SHORT)] = (x[place - (LONG - SHORT)] - x[place]) % MODULUS
            x[place - LONG] = (x[place - LONG] - x[place]) % MODULUS
        if bits & 1:  # times its variable
            x[1 : LONG + 1] = x[:LONG]
            x[0] = x[LONG]
            x[SHORT] = (x[SHORT] - x[LONG]) % MODULUS
        if bits:
            bits >>= 1
        else:
            left -= 1
    return x[:LONG]


def random_permutation(nodes: int, seed: int) -> IntArray:
    """(nodes,): destinations; source by source, node i = 0, 1, ... becomes that of a source drawn among those left."""
    numbers = Fibonacci(seed).numbers()
    left = list(range(nodes))
    destination = np.zeros(nodes, dtype=np.int64)
    for node in range(nodes):
        destination[left.pop(next(numbers) % len(left))] = node
    return destination
