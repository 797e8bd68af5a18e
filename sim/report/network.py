"""The load of a run's network, and whether the packet model was checked at such a load."""

from __future__ import annotations

from cairn.hw_models.noc.trust import NetworkLoad, network_load
from cairn.sim.record import RunRecord
from cairn.sim.report.tasks import NOC_SERVER


def load_of(record: RunRecord) -> NetworkLoad | None:
    """The load over the blocks that were simulated; None without a packet network's counters."""
    plan, trace = record.plan, record.trace
    fidelity = record.config.get("fidelity")
    is_packet = not isinstance(fidelity, dict) or fidelity.get("noc", "packet") == "packet"
    if NOC_SERVER not in plan.servers or len(trace.states) != len(plan.servers) or not is_packet:
        return None
    from cairn.hw_models.noc.server import counters  # it compiles kernels, which a report of a stored run need not

    return network_load(counters(trace.states[plan.servers.index(NOC_SERVER)]), float(trace.makespan))
