"""A whole chip: cores with a matrix unit, a vector unit and SRAM each, a network between them, DRAM stacked on them."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, required, sourced
from cairn.base.ticks import Clock
from cairn.hw_models.compute.lut.spec import LutSpec
from cairn.hw_models.compute.matrix_unit import IntArray
from cairn.hw_models.compute.product_units import ProductUnits
from cairn.hw_models.compute.systolic.spec import SystolicSpec
from cairn.hw_models.compute.vector.spec import VectorSpec
from cairn.hw_models.cost import AreaSpec, EnergySpec, dram_interface
from cairn.hw_models.dram.geometry import BandwidthTerms
from cairn.hw_models.dram.pim_spec import PimSpec
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.noc.spec import NocSpec
from cairn.hw_models.server import Server
from cairn.hw_models.sram.spec import SramSpec

SCHEMA: Final = "cairn.chip/1"
MAX_CORES: Final = 1 << 20
"""assumed: far beyond a wafer (850,000 cores); keeps task and link numbers well inside 64-bit arithmetic."""
MIN_CHANNEL_REQUESTS: Final = 64
"""assumed: room for plans written by hand whose cores read other channels than their own."""
MIN_NOC_TRANSFERS: Final = 4096
"""assumed: room for plans written by hand that send without a queue."""
NETWORK_PORTS: Final = 3
"""Queues of a core that send: weights that are passed on, partial sums, everything else."""
PACKETS_OF_A_TRANSFER: Final = 16
"""assumed: packets of a transfer that may be waiting in the network at once, on average over all transfers."""

_VOXEL = "reference/stacked3d/voxel.yaml"


class CoreGrid(Spec):
    """Cores in rows and columns; core number = row * columns + column."""

    rows: int = sourced(16, f"{_VOXEL} (vx.cores), 256 as a square", ge=1, le=MAX_CORES)
    columns: int = sourced(16, f"{_VOXEL} (vx.cores), 256 as a square", ge=1, le=MAX_CORES)

    @model_validator(mode="after")
    def _bounded(self) -> CoreGrid:
        if self.rows * self.columns > MAX_CORES:
            raise ValueError(f"rows x columns ({self.rows} x {self.columns}) must not exceed {MAX_CORES:,} cores")
        return self


class DmaSpec(Spec):
    """Transfers that each port of a core may have under way at once."""

    load_depth: int = sourced(
        4, "assumed: two operands, each double-buffered; more deepens the DRAM queue only", ge=1, le=1024
    )
    store_depth: int = sourced(2, "assumed: one result leaves while the next is written", ge=1, le=1024)
    noc_depth: int = sourced(2, "assumed: the next transfer is set up while one is on its way", ge=1, le=1024)

    @property
    def pim_depth(self) -> int:
        """Requests of a core for PIM units, and transfers from and to their buffers, under way at once."""
        return self.load_depth


class SynchronisationSpec(Spec):
    """What it costs cores to agree, and to begin a task."""

    barrier_cycles: int = sourced(
        32,
        "assumed: to the middle of a 16 x 16 mesh and back, one hop a cycle. T10 gives 118 cycles for the 1472 cores "
        "of an IPU (arXiv 2408.04808); Voxel's released code charges none",
        ge=0,
        le=1 << 20,
    )
    task_issue_cycles: int = sourced(
        1, "assumed: one cycle; the descriptor of a task is decoded while the task before it runs", ge=0, le=1 << 20
    )


class ChipSpec(ProductUnits, Spec):
    """A chip. Everything has the clock `clock_ghz` unless a component states its own; bytes/s are decimal.

    `matrix_unit` is told apart by its `kind`; whatever the kind, it answers what `MatrixUnit` asks. A `lut_unit` beside
    it, or instead of it, does the products with weights that it can do (`lut_for`); everything that asks for cycles,
    traffic or peaks of a product asks the chip, which picks the unit.
    Channel of a core = core * channels // cores. Raises ValueError (told with its key by the loader) when the parts do
    not fit together.
    """

    schema_id: Literal["cairn.chip/1"] = sourced(SCHEMA, "this project: names the format", alias="schema")
    name: str = required(min_length=1, max_length=200)
    source: str = required(min_length=1)
    clock_ghz: float = sourced(1.6, f"{_VOXEL} (vx.freq.paper)", gt=0, le=100)
    cores: CoreGrid = sourced(CoreGrid(), "its own defaults")
    matrix_unit: SystolicSpec | None = sourced(SystolicSpec(), "its own defaults; null: none, a LUT unit instead")
    lut_unit: LutSpec | None = sourced(None, "assumed: a core has none unless its chip says so")
    vector_unit: VectorSpec = sourced(VectorSpec(), "its own defaults")
    sram: SramSpec = sourced(SramSpec(), "its own defaults")
    dma: DmaSpec = sourced(DmaSpec(), "its own defaults")
    synchronisation: SynchronisationSpec = sourced(SynchronisationSpec(), "its own defaults")
    dram: DramSpec = sourced(DramSpec(), "its own defaults")
    pim: PimSpec | None = sourced(None, "none unless given: DRAM without processing in memory")
    noc: NocSpec = sourced(NocSpec(), "its own defaults")
    energy: EnergySpec = sourced(EnergySpec(), "its own defaults")
    area: AreaSpec = sourced(AreaSpec(), "its own defaults")
    power_limit_w_per_mm2: float = sourced(0.7, f"{_VOXEL} (vx.power_density_limit): stays under 85 C", gt=0)
    die_limit_mm2: float = sourced(850.0, f"{_VOXEL} (vx.area.table4): per-die cap", gt=0)

    @model_validator(mode="after")
    def _stack_over_cores(self) -> ChipSpec:
        """A stack has as many channels as the cores ask for."""
        self.__dict__["dram"] = self.dram.over(self.core_count, self.sram_gb_per_s)
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> ChipSpec:
        channels = self.channels
        if self.core_count % channels:
            raise ValueError(
                f"dram.channels ({channels}) must divide the number of cores ({self.core_count}), so that every "
                "channel serves as many cores"
            )
        if self.dram.rows_per_bank(channels) < 1:
            needed = channels * self.dram.banks_per_channel * self.dram.row_bytes / 1e9
            raise ValueError(
                f"dram.capacity_gb ({self.dram.capacity_gb:g}) is less than one row in each bank: {channels} channels "
                f"x {self.dram.banks_per_channel} banks x {self.dram.row_bytes} bytes need {needed:g} GB"
            )
        if self.matrix_unit is None and self.lut_unit is None:
            raise ValueError("matrix_unit may be null only where there is a lut_unit, else nothing multiplies")
        self._check_network()
        self._check_pim()
        stack, stated = self.dram.stack, self.energy.dram.interface
        if stack is not None and stated is not None and stated != stack.interface:
            raise ValueError(
                f"dram.stack.interface ({stack.interface}) and energy.dram.interface ({stated}) are two ways to join "
                "one stack; state the same"
            )
        if self.area.dram.within_die_limit and dram_interface(self) is None:
            raise ValueError(
                "area.dram.within_die_limit needs an interface (energy.dram.interface or a dram.stack), without which "
                "the area of a DRAM die is not known"
            )
        if self.dram.model == "voxel_estimator" and self.dram.bytes_per_cycle(channels) < 1:
            needed = channels * self.dram.clock_ghz
            raise ValueError(
                f"dram.bandwidth_gb_per_s ({self.dram.bandwidth_gb_per_s:g}) is less than a byte a cycle of each of "
                f"{channels} channels, which the model voxel_estimator rounds down to none: it needs {needed:g} GB/s"
            )
        return self

    def _check_pim(self) -> None:
        if self.pim is None:
            return
        if self.dram.model != "controller":
            raise ValueError(f"pim needs dram.model: controller, whose banks its units share, not {self.dram.model}")
        misfit = self.pim.misfit(self.dram.banks_per_channel, self.dram.row_bytes)
        if misfit is not None:
            raise ValueError(misfit)

    def _check_network(self) -> None:
        rows, columns = self.cores.rows, self.cores.columns
        misfit = self.noc.misfit(rows, columns)
        if misfit is not None:
            raise ValueError(misfit)
        if self.noc.links or self.noc.next_core:  # what a person wrote link by link: is there a way for everybody?
            from cairn.hw_models.noc.chip_network import chip_network

            try:
                chip_network(self.noc, rows, columns)
            except ConfigError as error:
                raise ValueError(str(error)) from None

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Plain data; a chip without PIM units does not name them, so that its hash is what it was."""
        content: dict[str, Any] = handler(self)
        return {name: value for name, value in content.items() if name != "pim" or value is not None}

    @property
    def clock(self) -> Clock:
        return Clock.from_ghz(self.clock_ghz)

    @property
    def core_count(self) -> int:
        return self.cores.rows * self.cores.columns

    @property
    def channels(self) -> int:
        """DRAM channels; as many as cores where the DRAM does not say."""
        return self.dram.channel_count(self.core_count)

    @property
    def cores_per_channel(self) -> int:
        return self.core_count // self.channels

    def channel_of(self, core: npt.ArrayLike) -> IntArray:
        """The channel that lies over each of `core`."""
        channels: IntArray = np.asarray(core, dtype=np.int64) * self.channels // self.core_count
        return channels

    @property
    def peak_macs_per_cycle(self) -> int:
        """Multiply-accumulates of all matrix units in a cycle; 0 where there are none."""
        return 0 if self.matrix_unit is None else self.core_count * self.matrix_unit.peak_macs_per_cycle

    @property
    def peak_ops_per_s(self) -> float:
        """Matrix operations of the matrix units per second, two per multiply-accumulate."""
        return 2.0 * self.peak_macs_per_cycle * self.clock_ghz * 1e9

    @property
    def lut_bit_ops_per_s(self) -> float:
        """Operations of all LUT units per second at weights of one bit; at weights of b planes a b-th of it."""
        return 0.0 if self.lut_unit is None else 2.0 * self.core_count * self.lut_unit.lanes * self.clock_ghz * 1e9

    @property
    def peak_vector_ops_per_s(self) -> float:
        """Element operations of all vector units per second."""
        return self.core_count * self.vector_unit.peak_ops_per_cycle * self.clock_ghz * 1e9

    @property
    def dram_bytes_per_s(self) -> float:
        """Peak bytes per second of all channels together."""
        return self.dram.bandwidth_gb_per_s * 1e9

    @property
    def pim_bytes_per_s(self) -> float:
        """Bytes that all PIM units can take from their banks per second, rows aside; 0 without units."""
        if self.pim is None:
            return 0.0
        together = self.pim.together(self.dram.banks_per_channel) * self.pim.column_bytes
        return self.channels * together / self.pim.spacing_cycles * self.dram.clock_ghz * 1e9

    @property
    def pim_ops_per_s(self) -> float:
        """Operations of all PIM units per second on their narrowest operands, two per multiply-accumulate."""
        if self.pim is None:
            return 0.0
        return self.pim_bytes_per_s * 8 / min(self.pim.bits) * 2 * self.pim.rows_at_once

    @property
    def dram_terms(self) -> BandwidthTerms:
        """What bounds that peak: the vertical wires, the buffers, the ports of the SRAM."""
        return self.dram.terms(self.channels, self.sram_gb_per_s)

    @property
    def sram_gb_per_s(self) -> float:
        """What the ports of all SRAM can write, in 1e9 bytes/s."""
        return self.core_count * self.sram.write_bytes_per_cycle * self.clock_ghz

    @property
    def sram_bytes(self) -> int:
        """SRAM of all cores."""
        return self.core_count * self.sram.capacity_bytes

    def servers(self, *, flits: bool = False, packets: int = 1) -> dict[str, Server]:
        """The shared resources, "dram" and "noc" in this order, with room for all that the DMA ports may start.

        The network moves packets of up to `packets` times `noc.max_packet_bytes`, or with `flits` flits (`noc.router`).
        """
        # Imported here because they compile kernels, which reading a configuration has no need of.
        from cairn.hw_models.dram.build import build_dram
        from cairn.hw_models.noc.server import build_noc_server

        per_channel = self.cores_per_channel * (self.dma.load_depth + self.dma.store_depth + self.dma.pim_depth)
        transfers = max(MIN_NOC_TRANSFERS, NETWORK_PORTS * self.core_count * self.dma.noc_depth)
        noc = self.noc.model_copy(update={"max_packet_bytes": packets * self.noc.max_packet_bytes})
        return {
            "dram": build_dram(
                self.dram, self.channels, self.core_count, max(MIN_CHANNEL_REQUESTS, per_channel), self.pim
            ),
            "noc": self._flit_server(transfers)
            if flits
            else build_noc_server(
                noc, self.cores.rows, self.cores.columns, self.clock, transfers, PACKETS_OF_A_TRANSFER * transfers
            ),
        }

    def _flit_server(self, transfers: int) -> Server:
        from cairn.hw_models.noc.chip_network import chip_network
        from cairn.hw_models.noc.flit.server import build_flit_server

        network, routes = chip_network(self.noc, self.cores.rows, self.cores.columns)
        return build_flit_server(
            network, routes, self.noc.router, self.noc.clock(self.clock),
            link_bytes_per_cycle=self.noc.link_bytes_per_cycle, max_packet_bytes=self.noc.max_packet_bytes,
            start_cycles=self.noc.start, max_transfers=transfers,
        )  # fmt: skip
