"""Reading one `config.json`: typed values by key, and errors that name file and key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from cairn.base.errors import ConfigError

MAX_BYTES: Final = 1 << 20
"""assumed: published config.json files have at most some tens of KiB."""
MAX_INTEGER: Final = 1 << 31
"""assumed: no dimension of a model is larger."""


@dataclass(frozen=True)
class ConfigFile:
    """The map in a `config.json`. A key that is null counts as absent."""

    file: str
    data: dict[str, Any]
    prefix: str = ""

    def error(self, key: str, message: str) -> ConfigError:
        """The error that says `message` of `key`."""
        return ConfigError(message, file=self.file, key=self.prefix + key)

    def has(self, key: str) -> bool:
        return self.data.get(key) is not None

    def integer(self, key: str, default: int | None = None, minimum: int = 1) -> int:
        """An integer from `minimum` on; ConfigError when it is missing without `default`."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(key, f"must be a whole number, not {_shown(value)}")
        if not minimum <= value <= MAX_INTEGER:
            raise self.error(key, f"must lie between {minimum} and {MAX_INTEGER}, not {value}")
        return value

    def optional(self, key: str) -> int | None:
        """An integer from 1 on, or None when it is absent."""
        return self.integer(key) if self.has(key) else None

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MAX_INTEGER:
            raise self.error(key, f"must be a finite number, not {_shown(value)}")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"must be true or false, not {_shown(value)}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self._value(key, default)
        if not isinstance(value, str):
            raise self.error(key, f"must be a text, not {_shown(value)}")
        return value

    def sequence(self, key: str) -> list[Any]:
        """A list, empty when it is absent."""
        value = self._value(key, [])
        if not isinstance(value, list):
            raise self.error(key, f"must be a list, not {_shown(value)}")
        return value

    def part(self, key: str) -> ConfigFile:
        """The map at `key`, empty when it is absent."""
        value = self._value(key, {})
        if not isinstance(value, dict):
            raise self.error(key, f"must be a map, not {_shown(value)}")
        return ConfigFile(self.file, value, f"{self.prefix}{key}.")

    def _value(self, key: str, default: Any) -> Any:
        value = self.data.get(key)
        if value is not None:
            return value
        if default is None:
            raise self.error(key, "is missing")
        return default


def read_config(path: Path) -> ConfigFile:
    """The `config.json` at `path`; ConfigError when there is none or it is not a JSON map."""
    name = str(path)
    try:
        if not path.is_file():
            raise ConfigError("is not a file" if path.exists() else "no such file", file=name)
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as trouble:
        reason = trouble.strerror if isinstance(trouble, OSError) and trouble.strerror else "not a possible file name"
        raise ConfigError(f"cannot be read: {reason}", file=name) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES >> 10} KiB, the limit for a config.json", file=name)
    try:
        data = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as trouble:
        raise ConfigError(f"is not JSON: {trouble.msg}", file=name, line=trouble.lineno) from None
    except RecursionError:
        raise ConfigError("is nested too deeply", file=name) from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text", file=name) from None
    except ValueError as trouble:  # a number with thousands of digits, or NaN
        raise ConfigError(f"is not JSON: {trouble}", file=name) from None
    if not isinstance(data, dict):
        raise ConfigError(f"must be a JSON map, not {_shown(data)}", file=name)
    return ConfigFile(name, data)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
