"""Area of stacked DRAM: banks, the rest of the die, and vias or bonds, of one channel.

Banks are counted from their geometry: mats of 512 x 512 cells with sense amplifiers and word line drivers, decoders
along each bank. `periphery_share` of a die's area without vias is not banks. The result is meant for comparing designs:
it is that of one old node, and dies of newer ones are up to three times as dense (Voxel's stack has 0.24 Gb/mm2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, sourced

if TYPE_CHECKING:
    from cairn.hw_models.dram.device import Device

_DREAMRAM = "harvard-acc/DreamRAM configs/tech/baseline/2ynm_baseline.json"
_DEVICES = "reference/stacked3d/dram_device.yaml"


class DramAreaSpec(Spec):
    """Sizes of a DRAM die of the 2y-nm class, and its vias (um, Gb/s). Those of a stack like HBM."""

    feature_um: float = sourced(0.026, f"{_DREAMRAM}, feature size", gt=0)
    cell_squares: float = sourced(6.0, "assumed: a cell of 2 x 3 features, as products of that class have", gt=0)
    mat_word_lines: int = sourced(512, f"{_DEVICES} (dev.dreamram_hbm3)", gt=0)
    mat_bit_lines: int = sourced(512, f"{_DEVICES} (dev.dreamram_hbm3)", gt=0)
    bank_mats: int = sourced(32, f"{_DEVICES} (dev.dreamram_hbm3), mats along a word line", gt=0)
    bank_subarrays: int = sourced(16, f"{_DEVICES} (dev.dreamram_hbm3)", gt=0)
    driver_um: float = sourced(5.0, f"{_DREAMRAM}, width of word line drivers, one for each mat", ge=0)
    sense_um: float = sourced(11.0, f"{_DREAMRAM}, height of sense amplifiers, one row of them for each mat", ge=0)
    row_decoder_um: float = sourced(82.5, f"{_DREAMRAM}, width, one for each bank", ge=0)
    column_decoder_um: float = sourced(150.0, f"{_DREAMRAM}, height, one for each bank", ge=0)
    periphery_share: float = sourced(
        0.25, "assumed: pads, control, supply and wiring take a fourth of a die; no figure was at hand", ge=0, lt=1
    )
    vias_per_mm2: float = sourced(1600.0, f"{_DEVICES} (dev.tsv): a pitch of 25 um, the keep-out within it", gt=0)
    via_gbit_per_s: float = sourced(
        2.0, "assumed: that of a pin of HBM2; the base die serves faster pins from several", gt=0
    )
    vias_per_data_via: float = sourced(
        2.0, "assumed: commands, clocks, supply and spares need as many vias as the data", ge=1
    )


class HybridBondAreaSpec(DramAreaSpec):
    """The same banks with hybrid bonds, each at the pace of its bank."""

    vias_per_mm2: float = sourced(110000.0, f"{_DEVICES} (dev.hb_pitch): a pitch of 3 um", gt=0)
    via_gbit_per_s: float = sourced(0.5, f"{_DEVICES} (dev.tasa): 128 wires of a bank at 500 MHz", gt=0)


class DramDieSpec(Spec):
    """The DRAM dies of a chip whose interface is known.

    `gbit_per_mm2` (2^30 bits) is the density of a die without its vias, `via_gb_per_s_per_mm2` (10^9 bytes/s) what goes
    through a square millimetre of them; None is what the geometry of the interface's class gives. A chip that is
    `within_die_limit` is refused when a DRAM die is larger than the logic die may be.
    """

    dies: int = sourced(8, "reference/stacked3d/voxel.yaml (vx.dram_layers)", ge=1, le=1024)
    gbit_per_mm2: float | None = sourced(None, "hw_models/dram/area.py (die_gbit_per_mm2)", gt=0)
    via_gb_per_s_per_mm2: float | None = sourced(None, "hw_models/dram/area.py (via_gb_per_s_per_mm2)", gt=0)
    within_die_limit: bool = sourced(False, "this project: told beside the result, not checked, unless asked for")


_SPECS: Final = {"interposer": DramAreaSpec, "tsv": DramAreaSpec, "hybrid_bond": HybridBondAreaSpec}


def area_spec(interface: str) -> DramAreaSpec:
    """Sizes for an interface of `cost.INTERFACES`; ConfigError for another."""
    if interface not in _SPECS:
        raise ConfigError(
            f"there is no DRAM interface {interface!r} with known areas; there are {', '.join(_SPECS)}", key="interface"
        )
    return _SPECS[interface]()


def bank_gbit_per_mm2(spec: DramAreaSpec) -> float:
    """Density (2^30 bits) of a bank with its sense amplifiers, drivers and decoders."""
    # A word line crosses cells 2 features wide, a bit line cells that are as high as the rest of the cell's area.
    mat_width = spec.mat_bit_lines * 2 * spec.feature_um + spec.driver_um
    mat_height = spec.mat_word_lines * spec.cell_squares / 2 * spec.feature_um + spec.sense_um
    width = spec.bank_mats * mat_width + spec.row_decoder_um
    height = spec.bank_subarrays * mat_height + spec.column_decoder_um
    bits = spec.mat_word_lines * spec.mat_bit_lines * spec.bank_mats * spec.bank_subarrays
    return bits / 2**30 / (width * height * 1e-6)


def die_gbit_per_mm2(spec: DramAreaSpec) -> float:
    """Density (2^30 bits) of a die without its vias."""
    return bank_gbit_per_mm2(spec) * (1 - spec.periphery_share)


def via_gb_per_s_per_mm2(spec: DramAreaSpec) -> float:
    """Bandwidth (10^9 bytes/s) through a square millimetre of vias or bonds, supply and commands included."""
    return spec.vias_per_mm2 / spec.vias_per_data_via * spec.via_gbit_per_s / 8


def via_area_mm2(spec: DramDieSpec, interface: str, gb_per_s: Any) -> Any:
    """Area in mm2 that vias or bonds for `gb_per_s` take of every die that they reach."""
    own = spec.via_gb_per_s_per_mm2
    return gb_per_s / (via_gb_per_s_per_mm2(area_spec(interface)) if own is None else own)


def dram_die_area(
    spec: DramDieSpec, interface: str, *, capacity_gb: Any, gb_per_s: Any, dies: Any = None
) -> dict[str, Any]:
    """Area in mm2 of each of the equal DRAM dies of a stack by part ("bank", "periphery", "via"); numbers or arrays.

    `capacity_gb` (10^9 bytes) is that of the stack, `dies` stands in place of the spec's. Every via goes through all
    dies.
    """
    sizes = area_spec(interface)
    density = die_gbit_per_mm2(sizes) if spec.gbit_per_mm2 is None else spec.gbit_per_mm2
    die = capacity_gb * 8e9 / 2**30 / (spec.dies if dies is None else dies) / density
    return {
        "bank": die * (1 - sizes.periphery_share),
        "periphery": die * sizes.periphery_share,
        "via": via_area_mm2(spec, interface, gb_per_s),
    }


def stack_area_mm2(spec: DramAreaSpec, *, capacity_bytes: float, gb_per_s: float, dies: int = 1) -> dict[str, float]:
    """Silicon of a stack by part ("bank", "periphery", "via") in mm2, summed over its dies.

    Every via goes through all `dies`, so each of them gives up its area.
    """
    bank = capacity_bytes * 8 / 2**30 / bank_gbit_per_mm2(spec)
    return {
        "bank": bank,
        "periphery": bank * spec.periphery_share / (1 - spec.periphery_share),
        "via": dies * gb_per_s / via_gb_per_s_per_mm2(spec),
    }


def channel_area_mm2(device: Device, spec: DramAreaSpec, *, dies: int = 1) -> dict[str, float]:
    """Silicon of one channel, whose vias go through `dies` dies; see `stack_area_mm2`."""
    return stack_area_mm2(spec, capacity_bytes=device.capacity_bytes, gb_per_s=device.peak_gb_per_s, dies=dies)
