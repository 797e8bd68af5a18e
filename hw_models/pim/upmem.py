"""UPMEM's cores by their published cost model: a scalar core beside each bank, its scratchpad and its DMA.

A core issues one instruction a cycle from as many threads as it has, but a thread only one in eleven cycles, so fewer
than eleven threads leave it idle. Data come from the bank by a DMA whose cycles are a fixed part and half a cycle a
byte. The figures are PrIM's (Gomez-Luna et al., IEEE Access 2022, arXiv 2105.03814), read through notes of others.
"""

from __future__ import annotations

from dataclasses import dataclass

from cairn.base.errors import ConfigError, Infeasibility, InfeasibleError
from cairn.base.spec import Spec, sourced

_PRIM = "PrIM (arXiv 2105.03814), read through notes of others"


class UpmemSpec(Spec):
    """A system of cores that share nothing: the host moves everything between them."""

    cores: int = sourced(2556, f"{_PRIM}: 20 DIMMs", gt=0)
    clock_mhz: float = sourced(350.0, f"{_PRIM}: the system of 2,556 cores", gt=0)
    threads: int = sourced(16, "assumed: enough to fill the pipeline; a core has 24", gt=0, le=24)
    fill_threads: int = sourced(11, f"{_PRIM}: threads that fill the pipeline", gt=0)
    dma_read_cycles: int = sourced(77, f"{_PRIM}: fixed part of a read", ge=0)
    dma_write_cycles: int = sourced(61, f"{_PRIM}: fixed part of a write", ge=0)
    dma_cycles_per_byte: float = sourced(0.5, f"{_PRIM}: both directions", gt=0)
    transfer_bytes: int = sourced(2048, "assumed: the longest, where the fixed part counts least", gt=0, le=2048)
    scratchpad_bytes: int = sourced(65536, f"{_PRIM}: WRAM", gt=0)
    bank_bytes: int = sourced(1 << 26, f"{_PRIM}: MRAM", gt=0)
    to_core_gb_per_s: float = sourced(0.33, f"{_PRIM}: host to one core, as a note quotes it", gt=0)
    from_core_gb_per_s: float = sourced(0.12, f"{_PRIM}: one core to the host, as a note quotes it", gt=0)
    instructions_per_mac: float = sourced(
        5.0, "assumed: two loads, a product of 8 bits, an addition, and a part of the loop", gt=0
    )

    def dma_cycles(self, size: int, *, write: bool = False) -> float:
        """Cycles of one transfer of `size` bytes between bank and scratchpad; ConfigError beyond 2,048 or below 1."""
        if not 1 <= size <= 2048:
            raise ConfigError(f"a transfer has 1 to 2,048 bytes, not {size}", key="size")
        return (self.dma_write_cycles if write else self.dma_read_cycles) + self.dma_cycles_per_byte * size

    def dma_gb_per_s(self, size: int, *, write: bool = False) -> float:
        """Bytes a second of transfers of `size` bytes of one core."""
        return size * self.clock_mhz * 1e-3 / self.dma_cycles(size, write=write)

    def instructions_per_cycle(self) -> float:
        """1 where the threads fill the pipeline."""
        return min(1.0, self.threads / self.fill_threads)


@dataclass(frozen=True)
class UpmemTime:
    """Seconds of a product: on the cores, and for the host to bring inputs and take results."""

    compute_s: float
    dma_s: float
    inputs_s: float
    results_s: float

    @property
    def total_s(self) -> float:
        """DMA and computing of different threads overlap; the host's part does not."""
        return max(self.compute_s, self.dma_s) + self.inputs_s + self.results_s


def upmem_gemv(spec: UpmemSpec, outputs: int, inputs: int, *, element_bytes: int = 1) -> UpmemTime:
    """A product with rows of weights dealt to cores, each with all inputs in its scratchpad.

    The host serves all cores in parallel. ConfigError for sizes below 1, InfeasibleError where weights or inputs do not
    fit a core.
    """
    for name, value in (("outputs", outputs), ("inputs", inputs), ("element_bytes", element_bytes)):
        if value < 1:
            raise ConfigError(f"must be at least 1, got {value}", key=name)
    rows = -(-outputs // spec.cores)
    weights, vector = rows * inputs * element_bytes, inputs * element_bytes
    reasons = []
    if weights > spec.bank_bytes:
        reasons.append(Infeasibility("bank of a core", weights, spec.bank_bytes, "bytes", "use more cores"))
    if vector + spec.threads * spec.transfer_bytes > spec.scratchpad_bytes:
        room = vector + spec.threads * spec.transfer_bytes
        remedy = "split the inputs, or use fewer threads or shorter transfers"
        reasons.append(Infeasibility("scratchpad of a core", room, spec.scratchpad_bytes, "bytes", remedy))
    if reasons:
        raise InfeasibleError(reasons)
    cycle_s = 1e-6 / spec.clock_mhz
    whole, rest = divmod(weights, spec.transfer_bytes)
    dma = whole * spec.dma_cycles(spec.transfer_bytes) + (spec.dma_cycles(rest) if rest else 0)
    compute = rows * inputs * spec.instructions_per_mac / spec.instructions_per_cycle()
    inputs_s = vector / (spec.to_core_gb_per_s * 1e9)
    results_s = rows * 4 / (spec.from_core_gb_per_s * 1e9)
    return UpmemTime(compute * cycle_s, dma * cycle_s, inputs_s, results_s)
