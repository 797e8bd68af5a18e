"""Search over designs: sweep files, spaces, studies, fronts.

    from cairn.dse import load_sweep, run_sweep

    study = run_sweep("demo", jobs=2)
    study.front      # a DataFrame: the designs that nothing beats, all of them simulated
    study.points     # everything that was evaluated, infeasible designs with their reasons included
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cairn.dse.study import Study, run_sweep
    from cairn.dse.sweep import Sweep, load_sweep

__all__ = ["Study", "Sweep", "load_sweep", "run_sweep"]

_HOMES = {
    "Study": "cairn.dse.study",
    "Sweep": "cairn.dse.sweep",
    "load_sweep": "cairn.dse.sweep",
    "run_sweep": "cairn.dse.study",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cairn.dse' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
