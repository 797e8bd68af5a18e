"""Runs whose network moves flits: the same work as by packets, in both engines, and what they cannot have."""

from __future__ import annotations

import pytest

from cairn.base.errors import ConfigError
from cairn.sim.config.run_config import Engine, load
from cairn.sim.mapping.sequence import straight
from cairn.sim.run import run_plan, simulate
from cairn.validation.suites.conservation.ledger import trace_against_plan
from cairn.workloads.build import build_graph

SMALL = ("workload.batch=2", "workload.context=32", "fidelity.noc=flit")
ONE_LAYER = ("model.layers=1", "workload.lm_head=false")


def test_a_run_by_flits_moves_every_byte_and_takes_about_as_long_as_by_packets() -> None:
    flits = simulate(load("demo", SMALL))
    packets = simulate(load("demo", SMALL[:2]))
    assert flits.total_ps == pytest.approx(packets.total_ps, rel=0.03) and flits.total_ps != packets.total_ps
    for name, pair in trace_against_plan(flits).items():
        assert pair.expected.tolist() == pair.found.tolist(), name


@pytest.mark.parametrize("topology", ["mesh", "torus", "all_to_all", "ring"])
def test_both_engines_agree_to_the_tick_by_flits(topology: str) -> None:
    config = load("demo", [*SMALL, *ONE_LAYER, f"chip.noc.topology={topology}"])
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    plan = straight(config, graph, 1)[1].build()
    compiled, reference = (
        run_plan(plan, config.chip, engine, flits=True) for engine in (Engine.COMPILED, Engine.REFERENCE)
    )
    assert compiled.end.tolist() == reference.end.tolist()
    assert compiled.first.tolist() == reference.first.tolist()


def test_a_network_with_smaller_buffers_is_slower_where_it_is_busy() -> None:
    busy = (*ONE_LAYER, *SMALL, "chip.noc.link_bytes_per_cycle=1", "workload.batch=8")
    times = [
        simulate(load("demo", [*busy, f"chip.noc.router.buffer_flits={depth}"])).total_ps for depth in (1, 2, 16)
    ]
    assert times[0] > 1.02 * times[1] and times[1] > times[2]


def test_ports_of_another_width_than_links_are_refused_by_flits() -> None:
    with pytest.raises(ConfigError, match=r"ports as wide as links: chip\.noc\.injection_bytes_per_cycle is 3"):
        load("demo", [*SMALL, "chip.noc.injection_bytes_per_cycle=3"])


def test_routes_that_need_more_sets_of_channels_than_there_are_channels_are_refused() -> None:
    config = load("demo", [*SMALL, "chip.noc.topology=torus", "chip.noc.router.virtual_channels=1"])
    with pytest.raises(ConfigError, match="multiple of 2"):
        simulate(config)
