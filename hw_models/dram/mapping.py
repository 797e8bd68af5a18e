"""Address mappings: which bank, row and transaction of a channel a linear transaction number means.

A mapping is the order of the address fields from the least significant on. Where the fields are powers of two, bits may
also be permuted by exclusive or: the bank group and bank are taken xor the lowest bits of the row, so that a stride
that would keep hitting one bank walks over all of them (permutation-based interleaving: Zhang, Zhu and Zhang, MICRO
2000).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.device import Device
from cairn.hw_models.dram.standard import LEVELS
from cairn.hw_models.server import IntArray

ORDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "bank_group_first": ("pc", "bg", "col", "rk", "ba", "row"),
    "column_first": ("col", "pc", "rk", "bg", "ba", "row"),
    "bank_first": ("pc", "bg", "ba", "rk", "col", "row"),
    "row_bank_column": ("col", "ba", "bg", "rk", "pc", "row"),
    "bank_row_column": ("col", "row", "ba", "bg", "rk", "pc"),
}
"""Fields from the least significant on. `bank_group_first` walks pseudo-channels and bank groups before columns,
`bank_first` all banks before columns, `column_first` and `row_bank_column` whole rows before banks, `bank_row_column`
all rows of a bank before the next bank."""


@dataclass(frozen=True)
class AddressMap:
    """A mapping of one device: `order` from the least significant field on; `xor` permutes banks by row bits."""

    device: Device
    order: tuple[str, ...]
    xor: bool = False

    def __post_init__(self) -> None:
        if sorted(self.order) != sorted(LEVELS):
            raise ConfigError(f"names each of {', '.join(LEVELS)} once, not {', '.join(self.order)}", key="mapping")
        if self.xor:
            for field in ("bg", "ba", "row"):
                size = self.size(field)
                if size & (size - 1):
                    raise ConfigError(f"xor needs powers of two, and {field} is {size}", key="mapping")

    @classmethod
    def named(cls, device: Device, name: str, xor: bool = False) -> AddressMap:
        """One of ORDERS; a name that ends in "_xor" permutes as well. ConfigError for any other."""
        plain = name.removesuffix("_xor")
        if plain not in ORDERS:
            known = f"{', '.join(ORDERS)} (and each with _xor)"
            raise ConfigError(f"there is no mapping {name!r}; there are {known}", key="mapping")
        return cls(device, ORDERS[plain], xor or name.endswith("_xor"))

    def size(self, field: str) -> int:
        """How many values a field has."""
        return int(getattr(self.device.organisation, field))

    def fields(self, index: npt.ArrayLike) -> dict[str, IntArray]:
        """Each field of linear transaction numbers (any shape); they wrap at the capacity of the channel."""
        rest = np.asarray(index, dtype=np.int64) % self.device.transactions
        found: dict[str, IntArray] = {}
        for field in self.order:
            found[field] = rest % self.size(field)
            rest = rest // self.size(field)
        if self.xor:
            row = found["row"]
            found["bg"] = found["bg"] ^ (row % self.size("bg"))
            found["ba"] = found["ba"] ^ (row // self.size("bg") % self.size("ba"))
        return found
