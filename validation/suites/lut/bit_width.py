"""Up to how many weight bits units take less area than MACs at equal throughput (LUT Tensor Core, Figure 13)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cairn.hw_models.compute.units.add_only import AddOnly
from cairn.hw_models.compute.units.contract import mm2_per_mac, most_bits_smaller_than
from cairn.hw_models.compute.units.look_up import ConventionalLut, LutTensorCore
from cairn.hw_models.compute.units.mac import MacTensorCore
from cairn.validation.reference import Entry
from cairn.validation.rows import Row

KINDS: Final[tuple[tuple[str, Any], ...]] = (
    ("lut", LutTensorCore), ("add", AddOnly), ("conventional_lut", ConventionalLut)
)  # fmt: skip
"""In the order of the reference's list."""
ACTIVATIONS: Final = ("fp16", "int8", "fp8")
REPORTED: Final = {
    ("lut", "fp8"): "the paper says nothing of it",
    ("add", "fp8"): "the paper says nothing of it",
    ("conventional_lut", "fp8"): "the paper says nothing of it",
    ("add", "int8"): "the paper's Figure 13 has FP16 activations alone, and its text names no width for adders at INT8",
}


def rows(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """The number of bits for each kind and format."""
    entry = entries.get("ltc_area_break_even_bits")
    if entry is None:
        return
    for (name, kind), bits in zip(KINDS, entry.value, strict=True):
        for activation in ACTIVATIONS:
            unit, mac = kind(activation=activation), MacTensorCore(activation=activation)
            most = most_bits_smaller_than(unit, mac)
            why = REPORTED.get((name, activation))
            times = float(mm2_per_mac(mac, 1) / mm2_per_mac(unit, 1))
            yield Row(
                f"bits/{name}/{activation}", f"bits, {name}", float(bits), float(most), "bits", entry.source,
                ("bits",) if why is None else (), excluded={} if why is None else {"bits": why},
                remark=f"At one bit a MAC is {times:.2f} times as large.",
            )  # fmt: skip
