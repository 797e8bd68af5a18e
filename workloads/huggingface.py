"""Model architectures from a Hugging Face `config.json` on this machine; nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.base.registry import nearest_hint
from cairn.workloads.architecture import ModelSpec
from cairn.workloads.huggingface_families import FAMILIES, state_spaces_mamba
from cairn.workloads.huggingface_file import ConfigFile, read_config
from cairn.workloads.huggingface_precision import precision


def model_from_config_json(path: str | Path) -> ModelSpec:
    """The model that the `config.json` at `path` (or in the folder `path`) describes.

    Precision is BF16 unless the file names a quantisation; `torch_dtype` says how a checkpoint was saved, not how it
    is run. ConfigError, with file and key, for an unreadable file, a missing or impossible value, or an architecture
    or variant that cannot be expressed.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "config.json"
    config = read_config(file)
    values = {"name": _name(config, file), "source": f"{file.name} of {_name(config, file)}", **_shape(config)}
    values["precision"] = {**precision(config), **values.get("precision", {})}
    try:
        return ModelSpec.model_validate(values)
    except ValidationError as trouble:
        first = trouble.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(f"{where}: {message}" if where else message, file=config.file) from None


def _shape(config: ConfigFile) -> dict[str, Any]:
    if not config.has("model_type") and config.has("ssm_cfg"):
        return state_spaces_mamba(config)
    kind = config.text("model_type")
    if kind not in FAMILIES:
        raise config.error("model_type", f"{kind[:60]!r} is not supported{nearest_hint(kind[:60], FAMILIES)}")
    return FAMILIES[kind](config)


def _name(config: ConfigFile, file: Path) -> str:
    """The name in the file, else that of its folder."""
    named = config.text("_name_or_path", "")
    return named.strip("/").rsplit("/", 1)[-1] or file.resolve().parent.name or file.stem
