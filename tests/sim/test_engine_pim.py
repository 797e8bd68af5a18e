"""Both engines with channels that compute: one trace, and cores and products in the same banks."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import CairnError
from cairn.base.ticks import Clock
from cairn.hw_models.noc.server import build_noc_server
from cairn.hw_models.noc.spec import NocSpec
from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.gemv import lower_gemv
from cairn.hw_models.pim.program import ProgramBuilder
from cairn.hw_models.pim.server import build_pim_server
from cairn.hw_models.server import WANTS_FIRST, Server
from cairn.sim.engine import compiled, reference
from cairn.sim.plan.plan import Plan
from tests.sim.random_plans import make_plan, plans

PRODUCT, READ = 0, 1


@lru_cache(maxsize=1)
def servers() -> dict[str, Server]:
    """Two channels of AiM that know a product and a read of the same banks, and a 2 x 2 network."""
    device = pim_device("GDDR6_AiM", channels=2, nREFI=900)
    read = ProgramBuilder(device)
    read.add("RD", 8, bank=4, row=9)
    programs = [lower_gemv(device, 64, 500).program, read.build()]
    noc = build_noc_server(NocSpec(), 2, 2, Clock.from_ghz(1.6), max_transfers=64)
    return {"pim": build_pim_server(programs, 2, "all_bank"), "noc": noc}


PIM_ROW = st.tuples(st.sampled_from([0, WANTS_FIRST]), st.integers(0, 1), st.integers(0, 1))
NOC_ROW = st.tuples(st.just(0), st.integers(0, 3), st.integers(0, 3), st.sampled_from([1, 64, 1000])).filter(
    lambda row: row[1] != row[2]
)


@settings(max_examples=25, deadline=None)
@given(plan=plans({"pim": PIM_ROW, "noc": NOC_ROW}))
def test_both_engines_give_one_trace_on_plans_with_products_reads_and_a_network(plan: Plan) -> None:
    ours, other = compiled.simulate_plan(plan, servers()), reference.simulate_plan(plan, servers())
    for part in ("start", "first", "end"):
        np.testing.assert_array_equal(getattr(ours, part), getattr(other, part), err_msg=part)
    index = list(plan.servers).index("pim") if "pim" in plan.servers else None
    if index is not None:
        counted = servers()["pim"].kind.counters
        one, two = counted(ours.states[index]), counted(other.states[index])
        np.testing.assert_array_equal(one["commands"], two["commands"])


@pytest.mark.parametrize("engine", [compiled.simulate_plan, reference.simulate_plan])
def test_a_read_of_a_core_waits_for_the_product_in_its_channel_and_not_for_that_in_another(engine: object) -> None:
    def ends(channel: int) -> list[int]:
        plan = make_plan(
            [0, 1], server=[0, 0], request=[0, 1], tables={"pim": [[0, 0, PRODUCT], [0, channel, READ]]}
        )  # fmt: skip
        return engine(plan, servers()).end.tolist()  # type: ignore[operator, no-any-return]

    product, read = ends(0)
    assert read > product
    assert ends(1)[0] == product
    assert ends(1)[1] < product


@pytest.mark.parametrize("engine", [compiled.simulate_plan, reference.simulate_plan])
def test_a_request_for_a_channel_that_is_not_there_ends_the_run(engine: object) -> None:
    plan = make_plan([0], server=[0], request=[0], tables={"pim": [[0, 2, PRODUCT]]})
    with pytest.raises(CairnError, match="server 'pim'"):
        engine(plan, servers())  # type: ignore[operator]
