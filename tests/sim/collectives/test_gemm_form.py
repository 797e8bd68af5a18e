"""Closed forms of products on meshes against whole meshes."""

from __future__ import annotations

import pytest

from cairn.base.errors import ConfigError
from cairn.sim.collectives.gemm_form import ALGORITHMS, Product, gemm_cycles
from cairn.validation.suites.wafer.gemm import WRITERS
from tests.sim.collectives.meshes import cycles, mesh
from tests.sim.collectives.test_products import _product


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("tile", [1, 4, 7])
@pytest.mark.parametrize("side", [8, 13])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_product_takes_the_cycles_of_its_closed_form(algorithm, side, tile, overlap):
    sizes = (side * tile,) * 3
    chip = mesh(side, side)
    form = gemm_cycles(Product(chip, side, sizes, overlap=overlap), algorithm)
    simulated = cycles(_product(side, sizes, WRITERS[algorithm], overlap=overlap)[2])
    assert form == pytest.approx(simulated, rel=0.05 if algorithm in ("summa", "all_gather") else 0.02)


def test_the_ideal_is_all_multiply_accumulates_on_all_cores():
    product = Product(mesh(4, 4), 4, (8, 12, 20))
    assert product.ideal_cycles == 8 * 12 * 20 / 16
    assert product.tile == (2, 3, 5)


def test_mesh_gemm_needs_three_cores_a_side():
    with pytest.raises(ConfigError, match="at least three cores, got 2"):
        gemm_cycles(Product(mesh(2, 2), 2, (4, 4, 4)), "mesh_gemm")
