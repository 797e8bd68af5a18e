"""BitMoD, FP16, ANT, OliVe and the BitFusion family under the contract of units."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from cairn.hw_models.compute.bitserial.cycle import array_cycles
from cairn.hw_models.compute.bitserial.unit import ANT_UNIT, BITMOD_UNIT, FP16_UNIT, OLIVE_UNIT, DotArrayUnit
from cairn.hw_models.compute.fusion.designs import ANT_DESIGNS, MIXPE_DESIGNS
from cairn.hw_models.compute.fusion.spec import FusedArraySpec
from cairn.hw_models.compute.fusion.unit import FusedUnit
from cairn.hw_models.compute.units.contract import evaluate, mm2_per_mac, tops_per_w
from cairn.sim.layerwise.spec import Phase, load_accelerator
from tests.hw_models.unit_contract import check_unit


@pytest.mark.parametrize("unit", [BITMOD_UNIT, FP16_UNIT, ANT_UNIT, OLIVE_UNIT])
def test_arrays_of_dot_products_keep_the_contract(unit: DotArrayUnit) -> None:
    check_unit(unit, refused=33)
    check_unit(unit.model_copy(update={"node_nm": 7}), refused=33)


@pytest.mark.parametrize("array", {one.name: one for one in (*MIXPE_DESIGNS, *ANT_DESIGNS)}.values())
def test_arrays_that_split_keep_the_contract(array: FusedArraySpec) -> None:
    activation = "fp16" if array.high_bits == 16 else "int8"
    check_unit(FusedUnit(array=array, activation=activation), refused=17)


@pytest.mark.parametrize(
    ("unit", "name"),
    [
        (BITMOD_UNIT, "bitmod-lossy"),
        (FP16_UNIT, "bitmod-fp16"),
        (ANT_UNIT, "bitmod-ant"),
        (OLIVE_UNIT, "bitmod-olive"),
    ],
)
def test_units_are_the_arrays_of_the_shipped_accelerators(unit: DotArrayUnit, name: str) -> None:
    assert unit.array == load_accelerator(name).array(Phase.PREFILL)
    assert int(unit.cycles(256, 4096, 4096, 4)) == int(array_cycles(unit.array, 256, 4096, 4096, 4))


def test_bitmod_takes_less_area_than_its_fp16_baseline_and_less_energy_at_all_its_weights() -> None:
    bits = np.arange(1, 9)
    assert (mm2_per_mac(BITMOD_UNIT, bits) < mm2_per_mac(FP16_UNIT, bits)).all()
    assert (tops_per_w(BITMOD_UNIT, bits) > tops_per_w(FP16_UNIT, bits)).all()


def test_a_multiply_accumulate_of_bitmod_takes_a_quarter_of_its_passes() -> None:
    assert float(BITMOD_UNIT.mac_pj(6)) == pytest.approx(0.56 * 1.5 * 3 / 4)
    assert float(BITMOD_UNIT.peak_macs_per_cycle(6)) == pytest.approx(1024 * 4 / 3)


def test_arrays_of_equal_area_differ_in_their_rate() -> None:
    mixpe, _, bitfusion, int8 = (FusedUnit(array=array) for array in MIXPE_DESIGNS[:4])
    assert mixpe.area_mm2 == int8.area_mm2 == bitfusion.area_mm2
    assert float(mixpe.peak_macs_per_cycle(4)) == 4 * float(int8.peak_macs_per_cycle(4))


def test_published_units_are_evaluated_beside_each_other() -> None:
    units = [BITMOD_UNIT, FusedUnit()]
    found = evaluate(units, [0, 1, 0], 64, 4096, 4096, [4, 8, 6])
    assert found.cycles.tolist() == [int(units[i].cycles(64, 4096, 4096, b)) for i, b in ((0, 4), (1, 8), (0, 6))]


def test_activations_wider_than_the_elements_are_refused() -> None:
    with pytest.raises(ValidationError, match="INT8 takes activations of 8 bits, not fp16"):
        FusedUnit(array=MIXPE_DESIGNS[3], activation="fp16")
