"""The suite `lut`, parts published and cpu: what each row compares; none of it counts for a gate."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cairn.hw_models.compute.fusion.designs import ANT_DESIGNS
from cairn.validation.reference import SHIPPED, Entry, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suite import load_suite
from cairn.validation.suites.lut import bitmod, bitnet, cpu, published, suite
from cairn.validation.suites.lut.networks import ANT_NETWORKS, DECODERS, Layers, ant_layers, mixpe_layers


@pytest.fixture(scope="module")
def found() -> dict[str, Row]:
    reference = ReferenceDir()
    silicon = reference.entries(bitnet.FILE)
    rows = [
        *published.rows(reference.entries(published.MIXPE_FILE), reference.entries(suite.OTHERS)),
        *bitnet.rows(silicon),
        *cpu.rows(reference.entries(cpu.FILE), silicon),
    ]
    assert len({row.id for row in rows}) == len(rows)
    return {row.id: row for row in rows}


def test_rows_are_reported_and_none_can_fail_the_suite(found: dict[str, Row]) -> None:
    limits = {gate.name: gate.limit for gate in load_suite("lut").sheet.gates}
    assert len(found) > 100
    assert all(row.prediction is not None for row in found.values())
    assert all(limits[gate] is None for row in found.values() for gate in row.counts)


def test_times_and_energies_of_the_simulators_are_met_to_the_printed_digit(found: dict[str, Row]) -> None:
    kinds = ("MixPE times", "MixPE energies", "ANT times")
    rows = [row for row in found.values() if row.kind in kinds]
    assert len(rows) == 15 + 24 + 20
    assert [row.id for row in rows if row.error()] == []


def test_cycles_of_one_product_are_those_of_the_simulator(found: dict[str, Row]) -> None:
    assert found["published/mixpe_layer/12288x4096/computing"].error() == 0
    assert found["published/mixpe_layer/12288x4096/waiting"].error() == 0


def test_low_bit_products_on_the_gpu_are_met_within_a_tenth(found: dict[str, Row]) -> None:
    products = [row for name, row in found.items() if name.startswith("bitnet/gemv/w2a8")]
    assert len(products) == 5
    assert max(abs(row.error()) for row in products) < 0.10


def test_the_energy_ratio_of_operations_is_the_published_one(found: dict[str, Row]) -> None:
    assert found["bitnet/energy_ratio"].error() == 0


def macs(layers: Layers) -> int:
    return sum(layer.macs * times for layer, times in layers)


def test_a_network_has_the_operations_of_its_shape_whatever_the_bits() -> None:
    for network, shape in DECODERS.items():
        plain, mixed = (mixpe_layers(network, design) for design in ("FP16", "ANT"))
        assert macs(plain) == macs(mixed)
        assert sum(times for _, times in plain) == 8 * shape.layers + bool(shape.patches)
    for network in ANT_NETWORKS:
        assert len({macs(ant_layers(network, design.name)) for design in ANT_DESIGNS}) == 1


@pytest.mark.parametrize(("network", "published"), [("vgg16", 15.47e9), ("resnet18", 1.81e9), ("resnet50", 4.09e9)])
def test_convolutional_networks_have_their_published_operations(network: str, published: float) -> None:
    assert macs(ant_layers(network, "AdaFloat")) / 64 == pytest.approx(published, rel=0.01)


def test_files_that_are_not_given_are_missed_and_the_others_checked(tmp_path: Path) -> None:
    (tmp_path / "lut").mkdir()
    shutil.copy(SHIPPED / bitmod.FILE, tmp_path / bitmod.FILE)
    reference = ReferenceDir(tmp_path)
    rows = list(suite.predict(reference, False))
    assert len(rows) == 129 and all(row.id.startswith("bitmod/") for row in rows)
    assert sum("is not there" in missed for missed in reference.missed) == 5


def test_rows_of_other_models_and_shapes_are_predicted_too() -> None:  # values: ant_res.csv and mixpe_res.csv
    def entry(key: str, value: object) -> dict[str, Entry]:
        return {key: Entry(key, "", value, "", "", "by hand", "file")}

    ant = list(published.rows(entry("ant_time_bert_sst2", [0.21, 0.21, 0.63, 0.78, 1.0]), {}))
    mixpe = list(published.rows(entry("mixpe_time_llama2_13b", [0.10, 0.40, 0.68, 0.86, 0.19, 1.0]), {}))
    assert [row.error() for row in (*ant, *mixpe)] == [0] * 9
    assert {row.id for row in bitnet.rows(entry("w2a8_gemv_20480x3200", [1.0, 1.0]))} == {
        "bitnet/gemv/w2a8/20480x3200",
        "bitnet/gemv/bf16/20480x3200",
    }
