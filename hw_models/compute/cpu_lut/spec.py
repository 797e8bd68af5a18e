"""CPUs and kernels as data, each figure with its source."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import model_validator

from cairn.base.spec import Spec, required, sourced


class CpuSpec(Spec):
    """A CPU: cores that run the kernel, their clock, vector pipes and width, and the bandwidth of the memory."""

    name: str = required(min_length=1)
    source: str = required(min_length=1)
    cores: int = required(ge=1, le=4096)
    clock_ghz: float = required(gt=0, le=100)
    vector_pipes: int = required(ge=1, le=16)
    vector_bytes: int = required(ge=8, le=256)
    bandwidth_gb_per_s: float = required(gt=0, le=1e5)
    widening_instructions: int = sourced(
        0, "Arm SADDW, SADDW2 widen and add in one instruction, so that look-up results need none beside", ge=0, le=16
    )


AVX2_WIDENING: Final = 3
"""Intel intrinsics guide: AVX2 takes the upper half of a register out and widens each half by VPMOVSXBW."""


class KernelSpec(Spec):
    """A way to multiply by low-bit weights on a CPU (C1 to C3).

    `group` weights go by one index; `planes`: one look-up for each bit of the weights; `stored_bits` of a weight in
    memory, None: the weights' own bits. `instructions` for a vector register of look-ups (or products), these included.
    """

    name: str = required(min_length=1)
    kind: Literal["table", "unpack"] = required()
    group: int = required(ge=1, le=8)
    planes: bool = required()
    entries: int = required(ge=1, le=256)
    mirrored: bool = required()
    stored_bits: float | None = required()
    instructions: float = required(gt=0, le=1000)
    entry_bytes: int = sourced(1, "T-MAC sec. 3: tables of INT8", ge=1, le=4)

    @model_validator(mode="after")
    def _fits_a_register(self) -> KernelSpec:
        if self.kind == "table" and self.table_bytes > MAX_TABLE_BYTES:
            raise ValueError(
                f"a table of {self.table_bytes} bytes exceeds the {MAX_TABLE_BYTES} of a register: fewer entries, "
                "mirrored, or one byte each"
            )
        return self

    @property
    def table_bytes(self) -> int:
        """Bytes of one table, half of it with mirror consolidation (C2)."""
        held = -(-self.entries // 2) if self.mirrored else self.entries
        return held * self.entry_bytes


MAX_TABLE_BYTES: Final = 16
"""Arm TBL on one register and x86 PSHUFB take 16 entries of a byte."""

T_MAC: Final = KernelSpec(  # T-MAC sec. 3 and 4: g = 4; counted from its method: a look-up, two widening additions,
    # half each of a mask and a shift for the two indices of a byte
    name="T-MAC", kind="table", group=4, planes=True, entries=16, mirrored=True, stored_bits=None, instructions=4
)
TL1: Final = KernelSpec(  # bitnet.cpp report: 2 ternary weights, 9 values, 4 bits; entries of 16 bits in two registers:
    # two look-ups, two additions, mask and shift halved
    name="TL1", kind="table", group=2, planes=False, entries=9, mirrored=False, stored_bits=2, instructions=5
)
TL2: Final = KernelSpec(  # bitnet.cpp report: 3 ternary weights, sign and 4 bits, 27 values mirrored to 14; two
    # look-ups, two negations by sign, two additions, mask and shift halved
    name="TL2", kind="table", group=3, planes=False, entries=27, mirrored=True, stored_bits=5 / 3, instructions=7
)
I2_S: Final = KernelSpec(  # bitnet.cpp report: 2-bit unpack, multiply-add; mask, shift, product, addition
    name="I2_S", kind="unpack", group=1, planes=False, entries=1, mirrored=False, stored_bits=2, instructions=4
)

M2_ULTRA: Final = CpuSpec(
    name="M2-Ultra",
    source="Apple, M2 Ultra press release 2023: 16 performance cores, 800 GB/s; 3.5 GHz and four 128-bit pipes as "
    "measured for the family (dougallj.github.io/applecpu)",
    cores=16,
    clock_ghz=3.5,
    vector_pipes=4,
    vector_bytes=16,
    bandwidth_gb_per_s=800,
)
RASPBERRY_PI_5: Final = CpuSpec(
    name="RaspberryPi5",
    source="Raspberry Pi 5 product brief: BCM2712, four Cortex-A76 at 2.4 GHz, 32 bits of LPDDR4X-4267 (17.1 GB/s); "
    "Arm Cortex-A76 software optimization guide: two vector pipes",
    cores=4,
    clock_ghz=2.4,
    vector_pipes=2,
    vector_bytes=16,
    bandwidth_gb_per_s=17.1,
)
AGX_ORIN: Final = CpuSpec(
    name="AGX-Orin",
    source="NVIDIA Jetson AGX Orin data sheet: twelve Cortex-A78AE up to 2.2 GHz, 204.8 GB/s; Arm Cortex-A78 software "
    "optimization guide: two vector pipes",
    cores=12,
    clock_ghz=2.2,
    vector_pipes=2,
    vector_bytes=16,
    bandwidth_gb_per_s=204.8,
)
SURFACE_BOOK_3: Final = CpuSpec(
    name="SurfaceBook3",
    source="Intel ARK, Core i7-1065G7 (assumed of the two that the laptop has): four cores up to 3.9 GHz, 128 bits of "
    "LPDDR4x-3733 (58.3 GB/s); Ice Lake: three vector pipes of 256 bits (Intel optimization manual)",
    cores=4,
    clock_ghz=3.9,
    vector_pipes=3,
    vector_bytes=32,
    bandwidth_gb_per_s=58.3,
    widening_instructions=AVX2_WIDENING,
)
SURFACE_LAPTOP_7: Final = CpuSpec(
    name="SurfaceLaptop7",
    source="Qualcomm Snapdragon X Elite product brief: twelve cores at 3.4 GHz on all, 135 GB/s; four 128-bit pipes "
    "assumed: as in Apple's cores",
    cores=12,
    clock_ghz=3.4,
    vector_pipes=4,
    vector_bytes=16,
    bandwidth_gb_per_s=135,
)
I7_13700H: Final = CpuSpec(
    name="i7-13700H",
    source="Intel ARK, Core i7-13700H: six performance cores up to 5.0 GHz, two channels of DDR5-5200 (83.2 GB/s); the "
    "eight efficient cores are left out (assumed); three vector pipes of 256 bits (Intel optimization manual)",
    cores=6,
    clock_ghz=5.0,
    vector_pipes=3,
    vector_bytes=32,
    bandwidth_gb_per_s=83.2,
    widening_instructions=AVX2_WIDENING,
)
CPUS: Final = {
    cpu.name: cpu for cpu in (M2_ULTRA, RASPBERRY_PI_5, AGX_ORIN, SURFACE_BOOK_3, SURFACE_LAPTOP_7, I7_13700H)
}
KERNELS: Final = {kernel.name: kernel for kernel in (T_MAC, TL1, TL2, I2_S)}
