"""What the stages of a step need to know of many designs that share a grid of cores: rates and sizes as arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.vector.cycle import passes_of
from cairn.hw_models.noc.spec import NocTopology
from cairn.sim.mapping.by_tables import ByTables
from cairn.sim.mapping.different import different
from cairn.sim.mapping.dram_rate import dram_bytes_per_cycle
from cairn.sim.mapping.grid import Grid
from cairn.sim.mapping.matmul_cost import STREAM_TILES, CoreRates, aimed_tile_bytes
from cairn.sim.mapping.options import MappingSpec, Paradigm
from cairn.sim.twin.layout import Moves
from cairn.sim.twin.swept import Path, Swept
from cairn.sim.twin.traffic import AS_LINKS, Ports

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PORT_CYCLES = 2
"""Cycles of an uncontended transfer beside start, hops and bytes: from the injection port, and its first flit (rules N3
and N4 of the network)."""

UNIT: Final = (("matrix_unit",), ("sram", "read_bytes_per_cycle"), ("sram", "write_bytes_per_cycle"))
"""What the cycles of a matrix tile depend on."""

LATE: Final = (("dram",), ("clock_ghz",), ("energy",), ("area",), ("power_limit_w_per_mm2",), ("die_limit_mm2",))
"""What stages do not depend on: they are counted in cycles, and the stream from DRAM comes in after them."""


def within(path: Path, parts: Iterable[Path]) -> bool:
    """Whether a path of attribute names lies in one of `parts` of a chip."""
    return any(path[: len(part)] == part for part in parts)


@dataclass(frozen=True)
class Machine:
    """`designs` designs: a chip whose swept parameters are arrays (designs,), on one grid with one mapping."""

    chip: Swept
    grid: Grid
    options: MappingSpec
    designs: int

    @property
    def cores(self) -> int:
        return self.grid.size

    @property
    def topology(self) -> NocTopology:
        return NocTopology(self.chip.noc.topology)

    @cached_property
    def rates(self) -> CoreRates:
        """For choosing splits: arrays (designs,)."""
        others = [path for path in self.chip.varied if not within(path, UNIT)]
        unit, first = self.different(others)
        units = self.chip.withholding(others).at(first).shaped((-1, 1))
        return CoreRates.of(self.chip, self.grid, self.options, units, unit)  # type: ignore[arg-type]

    def at(self, rows: IntArray) -> Machine:
        """The designs `rows`."""
        return replace(self, chip=self.chip.at(rows), designs=rows.size)

    @cached_property
    def alike(self) -> tuple[IntArray, IntArray]:
        """Designs that differ in what a stage may depend on: the number of each, where the first of each stands."""
        return self.different(self._late)

    @cached_property
    def few(self) -> Machine:
        """One design of each sort that `alike` tells apart."""
        return self.at(self.alike[1])

    def of_stages(self, rows: IntArray) -> Machine:
        """The designs `rows`, without the parameters that no stage may depend on."""
        machine = self.at(rows)
        return replace(machine, chip=machine.chip.withholding(self._late))

    @property
    def _late(self) -> list[Path]:
        return [path for path in self.chip.varied if within(path, LATE)]

    def different(self, apart_from: Collection[Path]) -> tuple[IntArray, IntArray]:
        """Designs that differ in anything but the columns `apart_from`: the number of each, where its first stands."""
        columns = [np.asarray(column) for path, column in self.chip.varied.items() if path not in apart_from]
        if not columns:
            return np.zeros(self.designs, dtype=np.int64), np.zeros(1, dtype=np.int64)
        return different(*columns)

    def array(self, value: Any) -> FloatArray:
        """A number or array of designs as an array (designs,)."""
        return np.broadcast_to(np.asarray(value, dtype=np.float64), (self.designs,))

    @property
    def issue_cycles(self) -> Any:
        return self.chip.synchronisation.task_issue_cycles

    @property
    def spmd(self) -> bool:
        return self.options.paradigm is Paradigm.SPMD

    @property
    def barrier_cycles(self) -> Any:
        """Cycles after an operator in which all cores meet; none where data dependences alone order them."""
        return self.chip.synchronisation.barrier_cycles if self.spmd else 0

    @property
    def link(self) -> Any:
        """Bytes a cycle of a link."""
        return self.chip.noc.link_bytes_per_cycle

    @property
    def port(self) -> Any:
        """Bytes a cycle of the narrowest of link, injection and ejection port."""
        noc = self.chip.noc
        return np.minimum(noc.link_bytes_per_cycle, np.minimum(noc.injection, noc.ejection))

    @cached_property
    def ports(self) -> tuple[IntArray, list[Ports]]:
        """How many times narrower than links ports are: the row of each design (designs,), and the rows."""
        noc = self.chip.noc
        if noc.injection_bytes_per_cycle is None and noc.ejection_bytes_per_cycle is None:
            return np.zeros(self.designs, dtype=np.int64), [AS_LINKS]
        ratios = [self.array(noc.link_bytes_per_cycle / width) for width in (noc.injection, noc.ejection)]
        number, first = different(*ratios)
        return number, list(zip(*(ratio[first].tolist() for ratio in ratios), strict=True))

    @cached_property
    def dram_rate(self) -> FloatArray:
        """Bytes a core clock cycle of a core's share of its DRAM channel."""
        tile = aimed_tile_bytes(self.sram_bytes, self.options)
        return self.array(dram_bytes_per_cycle(self.chip, self.options, tile))  # type: ignore[arg-type]

    @property
    def sram_bytes(self) -> Any:
        return self.chip.sram.capacity_kib * 1024

    def message_cycles(self, size_bytes: Any, hops: Any = 1) -> Any:
        """An uncontended transfer."""
        return self.chip.noc.start + PORT_CYCLES + hops * self.chip.noc.hop_cycles + size_bytes / self.port

    def batch_cycles(self, moves: Moves) -> Any:
        """Messages that all cores send at once: the busiest link or port is never idle; a core has `noc_depth` of them
        under way."""
        noc, depth = self.chip.noc, self.chip.dma.noc_depth
        latency = noc.start + PORT_CYCLES + moves.hops * noc.hop_cycles
        across = np.maximum(moves.crossing / self.link, (moves.messages - 1) * latency / depth)
        return np.where(moves.sent > 0, latency + across, 0.0)

    def scatter_cycles(self, total_bytes: Any) -> Any:
        """A tensor of `total_bytes` that changes to a layout which has nothing to do with the one before.

        A quarter of it crosses the middle of a mesh in each direction, over as many links as the shorter side has; a
        torus has twice as many; all-to-all sends each core's share over its port.
        """
        grid = self.grid
        cut = {NocTopology.MESH: 4, NocTopology.TORUS: 8}.get(self.topology)
        links = grid.size if cut is None else cut * min(grid.rows, grid.columns)
        share = np.maximum(total_bytes / links, total_bytes / grid.size)
        return self.message_cycles(share, (grid.rows + grid.columns) / 2)

    def vector_cycles(self, elements: Any, kind: str) -> Any:
        """A task of the vector unit."""
        unit = self.chip.vector_unit
        return unit.startup_cycles + np.ceil(elements / unit.lanes) * passes_of(unit, kind) + self.issue_cycles

    def matrix_bytes(self, m: Any, n: Any, k: Any, bits: tuple[float, float, float], weights: bool = False) -> Any:
        """Bytes that the unit of an m x n x k tile of operands of `bits` (x, w, y) moves from and to SRAM; `weights` as
        in `ChipSpec.matrix_cycles`."""
        read, written = self.chip.matrix_bits(m, n, k, *bits, weights=weights)
        return (read + written) / 8

    def table_cycles(self, tables: ByTables, adds: Any) -> Any:
        """A task of the vector unit that makes tables with so many additions."""
        unit = self.chip.vector_unit
        start = 0 if tables.fused else unit.startup_cycles
        return start + np.ceil(adds / unit.lanes) * unit.add_cycles + self.issue_cycles

    def tile_bytes(self, stream_bytes: Any) -> Any:
        """Size that streamed tiles aim at, in a stream buffer of so many bytes."""
        return np.minimum(self.options.tile_kib * 1024, stream_bytes // STREAM_TILES)

