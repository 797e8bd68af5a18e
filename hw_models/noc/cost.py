"""What a network costs: energy of a byte that passes a router and the link behind it, and the area of its routers.

A chip charges `energy.noc_pj_per_byte` (`hw_models/cost.py`), once for each byte that is moved or, with `noc_per_hop`,
on every hop. The figures here are measured ones for the second way: `hop_pj_per_byte` is what to state there. Areas are
Voxel's for a router of a mesh; routers with other numbers of ports are scaled from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.noc.spec import NocSpec, NocTopology

if TYPE_CHECKING:
    from cairn.hw_models.noc.network import Network

PITON_FLIT_BYTES: Final = 8
PITON_SWITCHING: Final = (0.0, 0.5, 1.0)
"""Share of a flit's bits that change from one flit to the next."""
PITON_HOP_PJ: Final = (3.58, 11.16, 16.68)
"""pJ of a flit on a hop (router and about 1.1 mm of link) at these shares, measured on silicon, 32 nm, 1.0 V:
McKeown et al., Power and Energy Characterization of an Open Source 25-core Manycore Processor, HPCA 2018, Fig. 12, as
quoted in a public table of such figures; the paper itself was not at hand."""
MESH_PORTS: Final = 5
"""Ports of the router whose area a chip states (`area.router_mm2_at_32_bytes`): four links and a core."""
LIKE_A_MESH: Final = (NocTopology.MESH, NocTopology.TORUS, NocTopology.ALL_TO_ALL)
"""Topologies with a router of MESH_PORTS at each core; of all-to-all that is what Voxel counts, and too little."""


def hop_pj_per_byte(switching: npt.ArrayLike = 0.5) -> npt.NDArray[np.float64]:
    """pJ of a byte on a hop over a router and a link, for a share of bits that change (0 to 1; random data: a half).

    1.395 for random data. Of it 0.45 is the part that does not depend on the data (buffers, arbitration, clock). Linear
    between the three measured points. Measured at 32 nm; no scaling to another process is applied. ValueError for a
    share outside 0 to 1.
    """
    share = np.asarray(switching, dtype=np.float64)
    if np.any((share < 0) | (share > 1)):
        raise ValueError(f"the share of bits that change lies between 0 and 1, got {share}")
    energy: npt.NDArray[np.float64] = np.interp(share, PITON_SWITCHING, np.array(PITON_HOP_PJ) / PITON_FLIT_BYTES)
    return energy


def router_ports(network: Network) -> npt.NDArray[np.int64]:
    """(routers,): ports of each router: links that leave it, and nodes at it."""
    links = np.bincount(network.link_source, minlength=network.routers)
    ports: npt.NDArray[np.int64] = links + np.bincount(network.node_router, minlength=network.routers)
    return ports


def mesh_routers(spec: NocSpec, rows: int, columns: int) -> float:
    """As how many routers of a mesh (MESH_PORTS ports, all of one width) the routers of a chip's network count by area.

    One a core on mesh, torus and all-to-all. In other topologies a router counts by the square of its ports, as the
    crossbar in it grows; assumed, since buffers grow with the ports alone: too much for large switches. Links run
    over the logic and take no area of their own (assumed).
    """
    if spec.topology in LIKE_A_MESH:
        return float(rows * columns)
    from cairn.hw_models.noc.chip_network import chip_network  # routes as tables, which most chips never need

    ports = router_ports(chip_network(spec, rows, columns)[0])
    return float((ports**2).sum()) / MESH_PORTS**2
