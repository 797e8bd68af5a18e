"""What `import cairn` offers beside the types: one call from a configuration to a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cairn.sim.config.run_config import RunConfig
    from cairn.sim.layerwise.compare import LayersResult
    from cairn.sim.layerwise.spec import AcceleratorSpec
    from cairn.sim.network.runs import NetworkResult
    from cairn.sim.network.spec import NetworkRun
    from cairn.sim.pim.duplex_result import DuplexResult
    from cairn.sim.pim.duplex_run import DuplexRunSpec
    from cairn.sim.pim.system_result import PimSystemResult
    from cairn.sim.pim.system_run import PimSystemSpec
    from cairn.sim.report.result import Result
    from cairn.sim.wafer.decode import WaferDecode
    from cairn.sim.wafer.spec import WaferSpec
    from cairn.workloads.architecture import ModelSpec

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


def simulate_network(
    config: NetworkRun | str | Path,
    overrides: Iterable[str] = (),
    *,
    progress: Callable[[str, float], None] | None = None,
) -> NetworkResult:
    """Simulate a network alone, as `cairn noc` does: `cairn.simulate_network("mesh-8x8").curve()`.

    `config` is a NetworkRun, the name of a shipped network (configs/networks) or the path of one; `overrides` and
    `progress` as in `simulate`. Raises ConfigError for a mistake in the configuration, DeadlockError (a CairnError)
    when packets block each other for ever.
    """
    from cairn.base.errors import CairnError
    from cairn.sim.network.runs import run_network
    from cairn.sim.network.spec import NetworkRun, load_network

    settings = tuple(overrides)
    if not isinstance(config, NetworkRun):
        config = load_network(config, settings)
    elif settings:
        raise CairnError("overrides apply to a name or a path; a NetworkRun is complete already")
    return run_network(config, progress=progress)


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


def simulate_duplex(config: DuplexRunSpec | str | Path, overrides: Iterable[str] = ()) -> DuplexResult:
    """A decode step on GPUs with and without PIM: `print(cairn.simulate_duplex("mixtral-8x7b-decode").summary())`.

    `config` is a DuplexRunSpec, the name of a shipped run (configs/duplex) or the path of one; `overrides` as in
    `simulate`. Raises ConfigError for a mistake in the configuration and for models with operators that these systems
    do not know, InfeasibleError when heads or experts cannot be divided over the devices or their memory is too small.
    """
    from cairn.base.errors import CairnError
    from cairn.sim.pim.duplex_result import compare
    from cairn.sim.pim.duplex_run import DuplexRunSpec, load_duplex

    settings = tuple(overrides)
    if not isinstance(config, DuplexRunSpec):
        config = load_duplex(config, settings)
    elif settings:
        raise CairnError("overrides apply to a name or a path; a DuplexRunSpec is complete already")
    return compare(config)


def simulate_pim_system(config: PimSystemSpec | str | Path, overrides: Iterable[str] = ()) -> PimSystemResult:
    """A decode step on AttAcc, CENT or PIM-GPT: `print(cairn.simulate_pim_system("gpt-3-xl-pim-gpt").summary())`.

    `config` is a PimSystemSpec, the name of a shipped run (configs/pim) or the path of one; `overrides` as in
    `simulate`. Raises ConfigError for a mistake in the configuration and for models with operators that the system
    does not know, InfeasibleError when weights and caches exceed its memory.
    """
    from cairn.base.errors import CairnError
    from cairn.sim.pim.system_result import run_pim_system
    from cairn.sim.pim.system_run import PimSystemSpec, load_pim_system

    settings = tuple(overrides)
    if not isinstance(config, PimSystemSpec):
        config = load_pim_system(config, settings)
    elif settings:
        raise CairnError("overrides apply to a name or a path; a PimSystemSpec is complete already")
    return run_pim_system(config)


def simulate_layers(
    accelerators: AcceleratorSpec | str | Path | Sequence[AcceleratorSpec | str | Path],
    model: ModelSpec | str | Path,
    overrides: Iterable[str] = (),
    *,
    phase: str = "decode",
    context: int = 256,
    weight_bits: float | None = None,
) -> LayersResult:
    """A model's step product by product, as `cairn layers` does.

    `cairn.simulate_layers(["bitmod-fp16", "bitmod-lossy"], "llama-2-7b").totals()` is a DataFrame with a row for each
    accelerator, `products()` one with a row for each product. `accelerators` (one, or several to compare with the
    first) are AcceleratorSpecs, shipped names (configs/accelerators) or paths, `model` a ModelSpec, a shipped name or
    a path; `overrides` as in `simulate`, laid over every accelerator. `phase` is `decode`, of one token over `context`
    keys, or `prefill`, of `context` tokens. `weight_bits` replaces what accelerators say of the
    model; their elements take 1 to 8 bits and scales, 16 where both operands are FP16.

    Raises ConfigError for a mistake in any of these and for models that are no dense transformers.
    """
    from cairn.base.errors import CairnError
    from cairn.sim.layerwise.compare import compare_layers, load_model
    from cairn.sim.layerwise.spec import AcceleratorSpec, load_accelerator

    settings = tuple(overrides)
    given = [accelerators] if isinstance(accelerators, AcceleratorSpec | str | Path) else list(accelerators)
    if settings and any(isinstance(one, AcceleratorSpec) for one in given):
        raise CairnError("overrides apply to a name or a path; an AcceleratorSpec is complete already")
    specs = [one if isinstance(one, AcceleratorSpec) else load_accelerator(one, settings) for one in given]
    return compare_layers(specs, load_model(model), phase, context, weight_bits)
