"""What look-up units are made of, counted in gates: standard cells over the smallest NAND of two inputs."""

from __future__ import annotations

from cairn.base.spec import Spec, sourced

_LIBRARY = "NanGate FreePDK45 Open Cell Library (2010), area of {} over that of NAND2_X1 (0.798 um2)"


class CellSpec(Spec):
    """Sizes of standard cells in gates. Ratios between cells change little from node to node."""

    full_adder: float = sourced(4.256 / 0.798, _LIBRARY.format("FA_X1, 4.256 um2,"), gt=0)
    flip_flop: float = sourced(4.522 / 0.798, _LIBRARY.format("DFF_X1, 4.522 um2,"), gt=0)
    mux: float = sourced(1.862 / 0.798, _LIBRARY.format("MUX2_X1, 1.862 um2,"), gt=0)
    xor: float = sourced(1.596 / 0.798, _LIBRARY.format("XOR2_X1, 1.596 um2,"), gt=0)
    and_gate: float = sourced(1.064 / 0.798, _LIBRARY.format("AND2_X1, 1.064 um2,"), gt=0)
    select: float = sourced(
        (4 * 1.330 + 1.330) / 8 / 0.798,
        "an input of a selector whose entry is named by one wire of several: 4 AOI22_X1 (1.330 um2) and a NAND4_X1 "
        "(1.330 um2) for 8 inputs, same library. The wires come from a decoder that all bits of a column share; it is "
        "left out (0.5 % of a table: FIGLUT, arXiv 2503.06862, Table III)",
        gt=0,
    )

    def selector(self, entries: int, bits: int) -> float:
        """Gates that take one of `entries` of `bits` bits."""
        return self.select * entries * bits

    def accumulator(self, bits: int) -> float:
        """Gates of an integer adder, the register of its sum and the choice of what to add it to."""
        return (self.full_adder + self.flip_flop + self.mux) * bits

    def multiply_accumulate(self, bits: int, weight_bits: int) -> float:
        """Gates of an integer multiplier, one row of gates and (but for the first) adders for each bit of the weight,
        and of the sum of its products."""
        rows = self.and_gate * bits * weight_bits + self.full_adder * bits * (weight_bits - 1)
        return rows + self.accumulator(bits + weight_bits)

    def registers(self, bits: int) -> float:
        return self.flip_flop * bits


def half_table_add_bits(k: int, bits: int) -> int:
    """Bits of all adders that make the 2^(k-1) sums of k integers of `bits` bits in two levels (see precompute.py)."""
    first = (k + 1) // 2
    second = k - first
    if second == 0:
        return 0
    inner = (1 << (first - 1)) * (first - 1) * width(bits, first) + (1 << second) * (second - 1) * width(bits, second)
    return inner + (1 << (k - 1)) * width(bits, k)


def full_table_adds(k: int) -> int:
    """Additions for the sums of all subsets of k activations: one for each subset of two or more."""
    return (1 << k) - k - 1


def full_table_add_bits(k: int, bits: int) -> int:
    """Bits of all adders that make these sums of integers of `bits` bits, each from a smaller subset and one more."""
    total, choose = 0, k
    for size in range(2, k + 1):
        choose = choose * (k - size + 1) // size
        total += choose * width(bits, size)
    return total


def width(bits: int, terms: int) -> int:
    """Bits that hold a sum of `terms` integers of `bits` bits."""
    return bits + (terms - 1).bit_length()
