"""Parameters of a core's SRAM."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import model_validator

from cairn.base.errors import Infeasibility
from cairn.base.spec import Spec, sourced


class SramSpec(Spec):
    """The SRAM of one core: `banks` banks, each `bank_width_bytes` wide and served once per cycle.

    Reading and writing rates are those of the ports to the units of the core, used at the same time.
    """

    capacity_kib: int = sourced(2048, "reference/stacked3d/voxel.yaml (vx.sram)", ge=1, le=1 << 30)
    read_bytes_per_cycle: int = sourced(
        128,
        "assumed: one port of 2 bytes x 32 for each of the array's two operands, so that it can be fed. Voxel reads "
        "2 x side = 64 B/cycle (reference/stacked3d/voxel_runs.README.md, load_store_bw_bytepc) and takes operand A to "
        "be held in the array",
        ge=1,
        le=1 << 20,
    )
    write_bytes_per_cycle: int = sourced(
        64,
        "reference/stacked3d/voxel_runs.README.md, load_store_bw_bytepc = 2 x side",
        ge=1,
        le=1 << 20,
    )
    banks: int = sourced(16, "assumed: 256 B/cycle in all banks, 1.3 times what the ports move", ge=1, le=1 << 16)
    bank_width_bytes: int = sourced(16, "assumed: a 128-bit macro", ge=1, le=1 << 16)

    @model_validator(mode="after")
    def _banks_can_serve_the_ports(self) -> SramSpec:
        ports, peak = self.read_bytes_per_cycle + self.write_bytes_per_cycle, self.banks * self.bank_width_bytes
        if ports > peak:
            raise ValueError(
                f"read_bytes_per_cycle + write_bytes_per_cycle ({ports}) must not exceed banks x bank_width_bytes "
                f"({self.banks} x {self.bank_width_bytes} = {peak})"
            )
        return self

    @property
    def capacity_bytes(self) -> int:
        return self.capacity_kib * 1024

    def shortage(self, demands: Mapping[str, int]) -> Infeasibility | None:
        """Why buffers of `demands` (name -> bytes) do not fit together, or None when they do."""
        total = sum(demands.values())
        if total <= self.capacity_bytes:
            return None
        name, largest = max(demands.items(), key=lambda item: item[1])
        return Infeasibility(
            constraint="SRAM capacity of a core",
            demand=float(total),
            bound=float(self.capacity_bytes),
            unit="bytes",
            remedy=f"the largest buffer is {name} ({largest:,} bytes): use smaller tiles, or chip.sram.capacity_kib >= "
            f"{-(-total // 1024)}",
        )
