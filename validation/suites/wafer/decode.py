"""WaferLLM's decode rates (table 4) against the layer's plan on the mesh."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from cairn.base.errors import CairnError
from cairn.sim.wafer.decode import load_wafer, wafer_decode
from cairn.validation.rows import Row
from cairn.validation.shipped import shipped_model_name

CONTEXT: Final = 4096
"""Table 8 of WaferLLM, as quoted at table4_decode."""
SAME_SHAPE: Final = {"QWen2-72B": "qwen2.5-72b"}
"""Models that are shipped under the name of a younger one of the same layers and widths."""
FITTED_ON: Final = ("LLaMA3-8B", (420, 660))
GATES: Final = ("decode", "decode_model_widths", "decode_nothing_fitted")
BASE: Final = "llama-3-8b-decode-420"


def rows(measured: dict[str, Any]) -> Iterator[Row]:
    """A row for each mesh of each model, with kernel widths; those of the model's own are a baseline."""
    for model, systems in measured.get("table4_decode", {}).get("wse2", {}).items():
        for mesh, rate in systems.get("WaferLLM", {}).items():
            yield _row(model, mesh, float(rate))


def _row(model: str, mesh: str, rate: float) -> Row:
    side = _side(mesh)
    fitted = (model == FITTED_ON[0]) and side in FITTED_ON[1]
    kernel, remark = _rate(model, side, "kernel")
    own, _ = _rate(model, side, "model")
    bare, _ = _rate(model, side, "kernel", ("routing_stage_cycles=0", "operator_overhead_cycles=0"))
    others = {"model_widths": own, "nothing_fitted": bare}
    return Row(
        f"decode/{model}/{mesh}", f"decode, {model}", rate, kernel, "tokens/s",
        "wafer/waferllm_measured.yaml, table4_decode", () if fitted else GATES,
        excluded={"decode": "the two constants were fitted on it"} if fitted else {},
        resolution=0.05, baselines={name: rate for name, rate in others.items() if rate is not None}, remark=remark,
    )  # fmt: skip


def _side(mesh: str) -> int | None:
    match = re.fullmatch(r"(\d+)x(\d+)", mesh)
    return int(match[1]) if match and match[1] == match[2] else None


def _rate(model: str, side: int | None, widths: str, more: tuple[str, ...] = ()) -> tuple[float | None, str]:
    """Tokens per second and a remark; None when the question is refused."""
    name = SAME_SHAPE.get(model) or shipped_model_name(model)
    if name is None or side is None:
        return None, "no such model is shipped" if name is None else "the mesh is not square"
    at = (f"model={name}", f"mesh={side}", f"context={CONTEXT}", f"widths={widths}", f"name={model}-{side}")
    try:
        found = wafer_decode(load_wafer(BASE, (*at, *more)))
    except CairnError as refused:
        return None, f"refused: {refused}"
    return found.tokens_per_s, f"{found.layer_cycles:,.0f} cycles a layer, closed form {found.closed_form_cycles:,}"
