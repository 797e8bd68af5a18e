"""Writes plain data as YAML that `yaml_loader` (and any YAML 1.1 or 1.2 reader) reads back as the same data."""

from __future__ import annotations

import re
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Quotes the strings that YAML 1.2 takes for numbers and YAML 1.1 does not, such as `1e-3`; no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _list(dumper: _Dumper, data: list[Any]) -> yaml.SequenceNode:
    simple = not any(isinstance(inner, (dict, list)) for inner in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=simple)


_Dumper.add_representer(list, _list)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|0o[0-7]+$"),
    list("-+.0123456789"),
)


def write_yaml(data: Any) -> str:
    """`data` (maps, lists, strings, finite numbers, booleans, None) as block YAML, lists of scalars in one line."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
