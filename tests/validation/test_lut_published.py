"""The suite `lut`, parts published and cpu: what each row compares; none of it counts for a gate."""

from __future__ import annotations

import pytest

from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.lut import bitnet, cpu, published
from cairn.validation.suites.lut.networks import ANT_NETWORKS, DECODERS, ant_layers, mixpe_layers


@pytest.fixture(scope="module")
def found() -> dict[str, Row]:
    reference = ReferenceDir()
    silicon = reference.entries(bitnet.FILE)
    rows = [
        *published.rows(reference.entries(published.MIXPE_FILE), reference.entries(published.OTHERS_FILE)),
        *bitnet.rows(silicon),
        *cpu.rows(reference.entries(cpu.FILE), silicon),
    ]
    assert len({row.id for row in rows}) == len(rows)
    return {row.id: row for row in rows}


def test_rows_are_reported_and_count_for_no_gate(found: dict[str, Row]) -> None:
    assert len(found) > 100
    assert all(not row.counts and row.prediction is not None for row in found.values())


def test_times_of_the_simulators_are_met_within_a_twentieth(found: dict[str, Row]) -> None:
    times = [row for row in found.values() if row.kind in ("MixPE times", "ANT times")]
    assert len(times) == 30
    assert max(abs(row.error()) for row in times) < 0.05
    assert sum(row.error() == 0 for row in times) >= 15  # to the printed digit


def test_cycles_of_one_product_are_those_of_the_simulator(found: dict[str, Row]) -> None:
    assert found["published/mixpe_layer/int8"].error() == 0


def test_low_bit_products_on_the_gpu_are_met_within_a_tenth(found: dict[str, Row]) -> None:
    products = [row for name, row in found.items() if name.startswith("bitnet/gemv/w2a8")]
    assert len(products) == 5
    assert max(abs(row.error()) for row in products) < 0.10


def test_the_energy_ratio_of_operations_is_the_published_one(found: dict[str, Row]) -> None:
    assert found["bitnet/energy_ratio"].error() == 0


def test_a_network_has_the_operations_of_its_shape_whatever_the_bits() -> None:
    for network, shape in DECODERS.items():
        plain, mixed = (mixpe_layers(network, design) for design in ("FP16", "ANT"))
        assert (plain.m * plain.n * plain.k * plain.times).sum() == (mixed.m * mixed.n * mixed.k * mixed.times).sum()
        assert plain.times.sum() == 8 * shape.layers + bool(shape.patches)
    for network in ANT_NETWORKS:
        layers = [ant_layers(network, design) for design in ("ANT-OS", "BitFusion", "AdaFloat")]
        assert len({int((one.m * one.n * one.k * one.times).sum()) for one in layers}) == 1


def test_vgg_16_has_its_published_operations() -> None:
    vgg = ant_layers("vgg16", "AdaFloat")
    assert int((vgg.m * vgg.n * vgg.k * vgg.times).sum()) / 64 == pytest.approx(15.47e9, rel=1e-3)
