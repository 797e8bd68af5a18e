"""From the name of a configuration to one complete document: names, paths, `base:`, chips, models and overrides."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from cairn.base.errors import ConfigError
from cairn.base.registry import nearest_hint
from cairn.sim.config.document import Document, KeyPath, Place, dotted, merge, quoted, shown
from cairn.sim.config.yaml_loader import MAX_DEPTH, kind_of, parse_yaml, read_yaml
from cairn.workloads.huggingface import model_from_config_json

MAX_CHAIN: Final = 20
"""assumed: files that start from one another; more is a generated mistake."""


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of configuration file: its schema id and its shipped folder.

    `references` are keys whose value may be the name or path of another configuration; `paths` are key paths of plain
    file names, which are relative to the file they are written in.
    """

    name: str
    schema: str
    folder: str
    references: Mapping[str, Kind] = field(default_factory=dict)
    paths: tuple[KeyPath, ...] = ()

    @property
    def file(self) -> str:
        """What a file of this kind is called in messages: `a model file`, `an accelerator file`."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name} file"


CHIP: Final = Kind("chip", "cairn.chip/1", "chips")
MODEL: Final = Kind("model", "cairn.model/1", "models")
RUN: Final = Kind("run", "cairn.run/1", "runs", {"chip": CHIP, "model": MODEL}, (("routing", "trace"),))
SWEEP: Final = Kind("sweep", "cairn.sweep/1", "sweeps")
NETWORK: Final = Kind("network", "cairn.network/1", "networks", {}, (("measure", "file"),))
WAFER: Final = Kind("wafer", "cairn.wafer/1", "wafer", {"chip": CHIP, "model": MODEL})
ACCELERATOR: Final = Kind("accelerator", "cairn.accelerator/1", "accelerators")
DUPLEX: Final = Kind("duplex", "cairn.duplex/1", "duplex", {"model": MODEL})
PIM_SYSTEM: Final = Kind("pim-system", "cairn.pim_system/1", "pim", {"model": MODEL})
KINDS: Final = (CHIP, MODEL, RUN, SWEEP, NETWORK, WAFER, ACCELERATOR, DUPLEX, PIM_SYSTEM)


@lru_cache(maxsize=len(KINDS))
def shipped(kind: Kind) -> dict[str, Path]:
    """The configurations of `kind` that come with Cairn: name -> file, sorted by name."""
    folder = Path(str(files("cairn").joinpath("configs", kind.folder)))
    return dict(sorted((file.stem, file) for file in folder.glob("*.yaml")))


def load_document(reference: str | Path, kind: Kind, folder: Path | None = None) -> Document:
    """The complete document that `reference`, a shipped name or a path relative to `folder` (cwd), leads to."""
    file = _locate(reference, kind, folder or Path())
    return _read(file, kind, ())


def override(document: Document, setting: str, kind: Kind) -> Document:
    """`document` with one `key.path=value` laid over it; the value is read as YAML, names and paths as in a file."""
    source = f"--set {shown(setting, 80)}" if "\n" in setting else f"--set {setting[:80]}"
    key, separator, text = setting.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not separator or not all(path):
        raise ConfigError("must read key.path=value, such as workload.batch=8", file=source)
    if len(path) > MAX_DEPTH:
        raise ConfigError(f"names a key more than {MAX_DEPTH} levels deep", file=source)
    if path == ("base",):
        raise ConfigError("cannot be set here; start from the other file instead", file=source, key="base")
    place = Place(source)
    _refuse_inside_values(document, path, place)
    try:
        value, _ = parse_yaml(text, source)
    except ConfigError as trouble:
        raise ConfigError(trouble.message, file=source, key=dotted(path)) from None
    return override_value(document, path, value, place, kind)


def override_value(
    document: Document, path: tuple[str, ...], value: Any, place: Place, kind: Kind, folder: Path | None = None
) -> Document:
    """`document` with `value` at `path` laid over it, as if it were written at `place`, in a file of `folder`."""
    _refuse_inside_values(document, path, place)
    for part in reversed(path):
        value = {part: value}
    places: dict[KeyPath, Place] = {path[:length]: place for length in range(len(path) + 1)}
    return _lay_over(document, Document(place.file, value, places), kind, folder or Path(), ())


def _refuse_inside_values(document: Document, path: tuple[str, ...], place: Place) -> None:
    inside: Any = document.data
    for depth, part in enumerate(path):
        if inside is not None and not isinstance(inside, dict):
            at = dotted(path[:depth])
            raise ConfigError(f"is {kind_of(inside)}; set it as a whole", file=place.file, line=place.line, key=at)
        inside = (inside or {}).get(part)


def _lay_over(below: Document | None, above: Document, kind: Kind, folder: Path, chain: tuple[Path, ...]) -> Document:
    """`above` with its own `base:` and references resolved, over `below`."""
    _check_schema(above, kind)
    if "base" in above.data:
        base = above.data["base"]
        if not isinstance(base, str):
            raise above.error(("base",), f"must be a shipped {kind.name} or a path, not {kind_of(base)}")
        file = _locate(base, kind, folder, above, ("base",))
        below = _read(file, kind, chain, above)
        above.drop(("base",))
    for key, inner in kind.references.items():
        value = above.data.get(key)
        if isinstance(value, str):
            replacement = _read(_locate(value, inner, folder, above, (key,)), inner, ())
        elif isinstance(value, dict) and "base" in value:
            replacement = _lay_over(None, above.part((key,)), inner, folder, ())
        else:
            if isinstance(value, dict):
                _check_schema(above, inner, (key,))
            continue
        above.put((key,), replacement)
        if below is not None:
            below = Document(below.file, dict(below.data), below.places)
            below.drop((key,))
    for path in kind.paths:
        _make_absolute(above.data, path, folder)
    return above if below is None else merge(below, above)


def _make_absolute(data: Any, path: KeyPath, folder: Path) -> None:
    for key in path[:-1]:
        data = data.get(key) if isinstance(data, dict) else None
    if isinstance(data, dict) and isinstance(data.get(path[-1]), str):
        data[path[-1]] = str((folder / data[path[-1]]).absolute())


def _read(file: Path, kind: Kind, chain: tuple[Path, ...], named_by: Document | None = None) -> Document:
    """The file and all that it starts from; `chain` holds the files that are being read because of one another."""
    real = Path(os.path.realpath(file))
    if real in chain:
        circle = " -> ".join(_display(link) for link in (*chain[chain.index(real) :], real))
        raise _error(named_by, ("base",), f"goes round in a circle: {circle}")
    if len(chain) >= MAX_CHAIN:
        raise _error(named_by, ("base",), f"starts from more than {MAX_CHAIN} files, one after the other")
    if kind is MODEL and (file.suffix == ".json" or (file / "config.json").is_file()):
        return _read_huggingface(file)
    document = read_yaml(file, _display(file))
    if "schema" not in document.data:
        raise document.error((), f"has no schema id; {kind.file} begins with 'schema: {kind.schema}'")
    return _lay_over(None, document, kind, file.parent, (*chain, real))


def _read_huggingface(file: Path) -> Document:
    """What a Hugging Face `config.json`, or the folder that holds one, says of a model: its content, not its path."""
    name = _display(file)
    model = model_from_config_json(name)
    return Document(name, model.model_dump(mode="json", by_alias=True), {(): Place(name)})


def _check_schema(document: Document, kind: Kind, at: tuple[str, ...] = ()) -> None:
    """Refuse a map of another kind or of a newer Cairn; take the schema id out, it has done its work."""
    inside = document.data[at[0]] if at else document.data
    if "schema" not in inside:
        return
    given = inside["schema"]
    if given != kind.schema:
        family, _, version = kind.schema.partition("/")
        match = re.fullmatch(r"([a-z_.]+)/([0-9]{1,9})", given) if isinstance(given, str) else None
        if match and match[1] == family and int(match[2]) > int(version):
            rule = f"is {given}, written for a newer Cairn; this version reads {kind.schema}"
        else:
            rule = f"is {quoted(given)}; {kind.file} has {kind.schema}"
        raise document.error((*at, "schema"), rule)
    document.drop((*at, "schema"))


def _locate(
    reference: str | Path, kind: Kind, folder: Path, named_by: Document | None = None, key: KeyPath = ()
) -> Path:
    """The file that a shipped name or a path (relative to `folder`) means; ConfigError when there is none."""
    text = str(reference)
    if isinstance(reference, Path) or _looks_like_a_path(text):
        return _existing(text, kind, folder, named_by, key)
    names = shipped(kind)
    if text in names:
        return names[text]
    if text and "\0" not in text and len(text) < 256 and (folder / text).exists():
        return folder / text
    hint = nearest_hint(text, names)
    raise _error(named_by, key, f"no shipped {kind.name} is called {quoted(text)}{hint}; a path ends in .yaml")


def _existing(text: str, kind: Kind, folder: Path, named_by: Document | None, key: KeyPath) -> Path:
    try:
        file = folder / Path(text).expanduser()
        if file.is_dir() and not (kind is MODEL and (file / "config.json").is_file()):
            raise _error(named_by, key, f"{quoted(_display(file), 200)} is a folder; a file is needed")
        if file.exists():
            return file
    except (OSError, ValueError, RuntimeError) as trouble:  # RuntimeError: ~ of a user that does not exist
        reason = trouble.strerror if isinstance(trouble, OSError) and trouble.strerror else "not a possible file name"
        raise _error(named_by, key, f"cannot read {quoted(text)}: {reason}") from None
    close = difflib.get_close_matches(Path(text).stem, shipped(kind), n=1)
    hint = f"; a shipped {kind.name} is called {close[0]!r}" if close else ""
    raise _error(named_by, key, f"no such file: {quoted(_display(file), 200)}{hint}")


def _looks_like_a_path(text: str) -> bool:
    return "/" in text or os.sep in text or text.startswith(("~", ".")) or text.endswith((".yaml", ".yml", ".json"))


def _error(named_by: Document | None, key: KeyPath, message: str) -> ConfigError:
    return ConfigError(message) if named_by is None else named_by.error(key, message)


def _display(file: Path) -> str:
    """How a file is called in messages: relative to the working folder when it lies in it."""
    path = Path(os.path.realpath(file)) if file.is_absolute() else file
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
