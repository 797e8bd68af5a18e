"""A case of BookSim2 as a file describes it: its network, routes, router and traffic, built from Cairn's parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.network import Network, Routes, walk
from cairn.hw_models.noc.route_tables import Routing, build_routes
from cairn.hw_models.noc.topologies import TopologySpec, build_network
from cairn.hw_models.noc.traffic import Pattern, PatternSpec, build_pattern
from cairn.validation.reference import ReferenceDir
from cairn.validation.suites.noc.permutation import random_permutation

ROUTING: Final[dict[tuple[str, str], Routing]] = {
    ("mesh", "dor"): "xy", ("mesh", "dim_order"): "xy", ("mesh", "xy_yx"): "o1turn", ("torus", "dim_order"): "xy",
}  # fmt: skip
PATTERNS: Final = {
    "uniform": "uniform", "transpose": "transpose", "bitcomp": "bit_complement", "bitrev": "bit_reverse",
    "shuffle": "shuffle", "tornado": "tornado", "neighbor": "neighbor",
}  # fmt: skip
LINK_CYCLES: Final = {"mesh": 1, "torus": 2}
"""channel_latency of the case files."""
DELAYS: Final = ("routing_delay", "vc_alloc_delay", "sw_alloc_delay", "credit_delay", "input_speedup")


@dataclass(frozen=True)
class Case:
    """A case by its name, with the parts it is made of."""

    name: str
    kind: str
    network: Network
    routes: Routes
    router: RouterSpec
    pattern: Pattern
    packet_flits: int
    batch_size: int

    @property
    def parts(self) -> tuple[Network, Routes, RouterSpec, Pattern]:
        return self.network, self.routes, self.router, self.pattern

    @property
    def draws_nothing(self) -> bool:
        """Whether no random number has a say in where the packets go, nor in which way round."""
        if self.pattern.fixed is None:
            return False
        source = np.arange(self.network.nodes)
        for step in walk(self.network, self.routes):
            links = step.link[:, source, self.pattern.fixed]
            if (links != links[0]).any():
                return False
        return True


def load_cases(reference: ReferenceDir, name: str, obtain: str) -> dict[str, Case]:
    """The cases of a file by their ids. Raises ConfigError, with file and case, for what Cairn has not."""
    content = reference.yaml(name, obtain)
    file = str(reference.path(name))
    pipelines, cases = content.get("pipelines"), content.get("cases")
    if not isinstance(pipelines, dict) or not isinstance(cases, list):
        raise ConfigError("a mapping `pipelines` and a list `cases` belong here", file=file)
    result: dict[str, Case] = {}
    for index, values in enumerate(cases):
        key = f"cases[{index}]"
        if not isinstance(values, dict) or "id" not in values:
            raise ConfigError("a case is a mapping with an id", file=file, key=key)
        if values["id"] in result:
            raise ConfigError(f"two cases are called {values['id']!r}", file=file, key=key)
        try:
            result[str(values["id"])] = _case({**(content.get("common") or {}), **values}, pipelines)
        except ConfigError as error:
            raise ConfigError(error.message, file=file, key=f"{key} ({values['id']})") from None
    return result


def _case(values: Mapping[str, Any], pipelines: Mapping[str, Any]) -> Case:
    missing = {"topology", "k", "n", "routing_function", "traffic", "packet_size", "num_vcs", "vc_buf_size", "pipeline"}
    if missing := missing - set(values):
        raise ConfigError(f"missing: {', '.join(sorted(missing))}")
    topology, size, dimensions = str(values["topology"]), int(values["k"]), int(values["n"])
    routing = ROUTING.get((topology, str(values["routing_function"])))
    if routing is None:
        raise ConfigError(f"no routing {values['routing_function']!r} on {topology!r} is known here: {list(ROUTING)}")
    if values["pipeline"] not in pipelines:
        raise ConfigError(f"pipeline {values['pipeline']!r} is not among {', '.join(pipelines)}")
    shape = (size,) * dimensions
    spec = TopologySpec.model_validate({"kind": topology, "shape": shape, "link_cycles": LINK_CYCLES[topology]})
    network = build_network(spec)
    return Case(
        name=str(values["id"]),
        kind=f"{topology} {size}^{dimensions}, {str(values['traffic']).partition('(')[0]}",
        network=network,
        routes=build_routes(spec, network, routing),
        router=_router(values, pipelines[values["pipeline"]]),
        pattern=_pattern(values, network.nodes, shape),
        packet_flits=int(values["packet_size"]),
        batch_size=int(values.get("batch_size", 0)),
    )


def _router(values: Mapping[str, Any], pipeline: Mapping[str, Any]) -> RouterSpec:
    """The router of a pipeline; both delays of the switch are one here."""
    if pipeline.get("output_speedup", 1) != 1 or pipeline.get("output_delay", 0) != 0:
        raise ConfigError("output_speedup must be 1 and output_delay 0")
    try:
        return RouterSpec.model_validate({
            "virtual_channels": values["num_vcs"],
            "buffer_flits": values["vc_buf_size"],
            **{name: pipeline[name] for name in DELAYS},
            "st_final_delay": pipeline.get("st_prepare_delay", 0) + pipeline["st_final_delay"],
            "speculative": bool(pipeline["speculative"]),
            "internal_speedup": pipeline["internal_speedup"],
        })
    except ValidationError as error:
        raise ConfigError(f"pipeline {values['pipeline']}: {error.errors()[0]['msg']}") from None
    except KeyError as error:
        raise ConfigError(f"pipeline {values['pipeline']} lacks {error}") from None


def _pattern(values: Mapping[str, Any], nodes: int, shape: tuple[int, ...]) -> Pattern:
    """BookSim2's name of a pattern; `hotspot(n)` is everybody to n, `hotspot({{nodes},{weights}})` by weight."""
    text = str(values["traffic"])
    if text == "randperm":
        return Pattern("permutation", nodes, fixed=random_permutation(nodes, int(values["perm_seed"])))
    if text in PATTERNS:
        return build_pattern(PatternSpec.model_validate({"kind": PATTERNS[text]}), nodes, shape)
    if one := re.fullmatch(r"hotspot\((\d+)\)", text):
        return build_pattern(PatternSpec(kind="all_to_one", target=int(one[1])), nodes)
    if many := re.fullmatch(r"hotspot\(\{\{([\d,]+)\}(?:,\{([\d,]+)\})?\}\)", text):
        at = [int(word) for word in many[1].split(",")]
        weights = [int(word) for word in many[2].split(",")] if many[2] else [1]
        weights += [weights[-1]] * (len(at) - len(weights))
        spots = tuple(zip(at, map(float, weights), strict=True))
        return build_pattern(PatternSpec(kind="hotspot", hotspots=spots), nodes)
    raise ConfigError(f"no traffic pattern {text!r} is known here: {', '.join(PATTERNS)}, randperm, hotspot(...)")
