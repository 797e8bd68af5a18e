"""Energy of hops and area of routers."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.cost import area_mm2
from cairn.hw_models.noc.chip_network import chip_network
from cairn.hw_models.noc.cost import hop_pj_per_byte, mesh_routers, router_ports
from cairn.hw_models.noc.spec import NocSpec


def test_a_hop_costs_what_was_measured_at_three_shares_of_changing_bits() -> None:
    assert hop_pj_per_byte([0, 0.5, 1]) * 8 == pytest.approx([3.58, 11.16, 16.68])
    assert float(hop_pj_per_byte()) == pytest.approx(1.395)
    assert float(hop_pj_per_byte(0.25)) == pytest.approx((3.58 + 11.16) / 16)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_of_bits_beyond_all_of_them_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        hop_pj_per_byte(share)


@pytest.mark.parametrize(
    ("wiring", "expected"),
    [
        ({}, 16),
        ({"routing": "o1turn"}, 16),
        ({"topology": "torus"}, 16),
        ({"topology": "all_to_all"}, 16),
        ({"topology": "ring"}, 16 * 9 / 25),
        ({"topology": "concentrated_mesh", "concentration": (2, 2)}, 4 * (2 + 4) ** 2 / 25),
        ({"topology": "crossbar"}, 16**2 / 25),
    ],
)
def test_routers_count_by_the_square_of_their_ports(wiring: dict[str, object], expected: float) -> None:
    assert mesh_routers(NocSpec.model_validate(wiring), 4, 4) == pytest.approx(expected)


def test_the_ports_of_a_router_are_its_links_and_its_cores() -> None:
    network, _ = chip_network(NocSpec.model_validate({"topology": "mesh_3d", "layers": 3}), 9, 3)
    ports = router_ports(network)
    assert (ports.min(), ports.max()) == (3 + 1, 6 + 1)
    assert ports.sum() == network.links + network.nodes


def test_the_area_of_a_chip_counts_the_routers_of_its_topology() -> None:
    chips = {
        name: ChipSpec.model_validate({"name": name, "source": "test", "noc": wiring})
        for name, wiring in {
            "mesh": {}, "wide": {"link_bytes_per_cycle": 64}, "ring": {"topology": "ring"},
        }.items()
    }  # fmt: skip
    area = {name: area_mm2(chip)["noc"] for name, chip in chips.items()}
    assert area["mesh"] == pytest.approx(256 * 0.07178)
    assert area["wide"] == pytest.approx(2 * area["mesh"])
    assert area["ring"] == pytest.approx(area["mesh"] * 9 / 25)
    assert np.isclose(area["ring"], mesh_routers(chips["ring"].noc, 16, 16) * 0.07178)
