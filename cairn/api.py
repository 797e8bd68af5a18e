"""What `import cairn` offers beside the types: one call from a configuration to a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cairn.sim.config.run_config import RunConfig
    from cairn.sim.report.result import Result
    from cairn.sim.wafer.decode import WaferDecode
    from cairn.sim.wafer.spec import WaferSpec

try:
    __version__ = version("cairn")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"


def simulate(
    config: RunConfig | str | Path,
    overrides: Iterable[str] = (),
    *,
    progress: Callable[[str, float], None] | None = None,
) -> Result:
    """Simulate a run and answer its result.

    `config` is a RunConfig, the name of a shipped run or the path of a run file; `overrides` are `key.path=value`
    texts laid over a name or path. `progress(what, done)` is told what is under way and how much of it is done, 0 to 1.

    Raises ConfigError for a mistake in the configuration and InfeasibleError when the chip cannot run the workload.
    """
    from cairn.base.errors import CairnError
    from cairn.sim.config.run_config import RunConfig, load
    from cairn.sim.report.result import Result
    from cairn.sim.run import simulate as simulate_record

    settings = tuple(overrides)
    if not isinstance(config, RunConfig):
        config = load(config, settings)
    elif settings:
        raise CairnError("overrides apply to a name or a path; a RunConfig is complete already")
    return Result(simulate_record(config, progress=progress))


def simulate_wafer(config: WaferSpec | str | Path, overrides: Iterable[str] = ()) -> WaferDecode:
    """Simulate a decode on a wafer-scale mesh: `print(cairn.simulate_wafer("llama-3-8b-decode-660").summary())`.

    `config` is a WaferSpec, the name of a shipped wafer run (configs/wafer) or the path of one; `overrides` as in
    `simulate`. Raises ConfigError for a mistake in the configuration and InfeasibleError when tiles or paths of a core
    exceed what it has.
    """
    from cairn.base.errors import CairnError
    from cairn.sim.wafer.decode import load_wafer, wafer_decode
    from cairn.sim.wafer.spec import WaferSpec

    settings = tuple(overrides)
    if not isinstance(config, WaferSpec):
        config = load_wafer(config, settings)
    elif settings:
        raise CairnError("overrides apply to a name or a path; a WaferSpec is complete already")
    return wafer_decode(config)
