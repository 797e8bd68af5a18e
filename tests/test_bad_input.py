"""Whatever stands in a configuration, the answer is a run or one message that names the file; never a stack trace."""

from __future__ import annotations

import copy
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from cairn.base.errors import CairnError
from cairn.cli.main import main
from cairn.sim.config.document import Document
from cairn.sim.config.problems import validate
from cairn.sim.config.run_config import RunConfig, load, resolved, run_hash
from cairn.sim.config.yaml_writer import write_yaml

MUTANTS = 2400
BATCHES = 12
SECONDS_EACH = 10

SHORT = """\
schema: cairn.run/1
base: llama-2-13b-decode
name: short
chip:
  base: voxel-paper
  noc: {link_bytes_per_cycle: 16}
model:
  base: llama-3-8b
  precision: {weight_bits: 4}
workload: {batch: 8, context: [1, 2, 3, 4, 5, 6, 7, 8]}
mapping: {paradigm: spmd}
engine: {exact: true}
seed: 3
"""
MODELS = ("llama-2-13b", "mixtral-8x7b", "deepseek-v3", "retnet-1.3b", "mamba-2.8b", "bitnet-b1.58-3b")

VALUES: tuple[Any, ...] = (
    None, True, False, "", " ", "x", "✓é漢\u202e", "null", "~", ".", "/", "../..", "voxel-paper", "demo", "a.yaml",
    "\x1b[31m", "2026-01-01", "12:30", "1e3", "-", "x" * 5000, "x/" * 3000, "a\nb", "a\0b", -1, 0, 1, 2, 3, 7, 2**31,
    2**53 + 1, 2**62, 2**63 - 1, -(2**63) + 1, 0.5, -0.5, 1e-300, 1e300, 1.5, [], [1], [[[]]], [None],
    list(range(3000)), ["x"] * 20, {}, {"a": 1}, {"base": "demo"}, {"base": 3}, {"a": {"b": {"c": []}}}, {"": 0},
    {"schema": "cairn.chip/9"},
)  # fmt: skip
FRAGMENTS = (
    ".nan", "-.inf", "!!python/object/apply:os.system ['true']", "!!binary aGVsbG8=", "!!set {a}", "!x y", "&a [*a]",
    "*nowhere", "[" * 100, "{a: " * 100, "[1, 2", "{a: 1", "'", '"\\q"', "a: b: c", "? x", "|", ">-", "@", "`", "%",
    "9" * 400, "1e999", "0x" + "f" * 40, "<<: {a: 1}", "- - - -", "\t", "---", "...", "# ", "2026-13-45",
    "0o" + "7" * 40,
)  # fmt: skip


@lru_cache(maxsize=1)
def complete() -> tuple[dict[str, Any], ...]:
    """Complete runs with a model of each family: every key there is can be broken."""
    return tuple(resolved(load("llama-2-13b-decode", [f"model={model}"])) for model in MODELS)


def nodes(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a tree."""
    for key, value in list(data.items() if isinstance(data, dict) else enumerate(data)):
        yield data, key
        if isinstance(value, (dict, list)):
            yield from nodes(value)


def break_tree(data: dict[str, Any], draw: random.Random) -> None:
    """One change of structure: a key less, renamed, moved, or another value."""
    places = list(nodes(data))
    if not places:
        return
    inside, key = draw.choice(places)
    kind = draw.randrange(6)
    if kind == 0:
        del inside[key]
    elif kind == 1 and isinstance(inside, dict):
        inside[draw.choice([key + "s", key[:-1], key.upper(), " " + key, "ключ", key * 30])] = inside.pop(key)
    elif kind == 2:
        other, name = draw.choice(places)
        inside[key] = copy.deepcopy(other[name]) if not isinstance(other, list) or name < len(other) else None
    elif kind == 3 and isinstance(inside[key], (int, float)):
        inside[key] = draw.choice(
            [-inside[key], inside[key] * 10**9, inside[key] + 0.5, str(inside[key]), [inside[key]]]
        )
    else:
        inside[key] = copy.deepcopy(draw.choice(VALUES))


def break_text(text: str, draw: random.Random) -> str:
    """One change of lines: lost, repeated, swapped, reindented, cut off, or with a fragment in it."""
    lines = text.splitlines()
    here, there = draw.randrange(len(lines)), draw.randrange(len(lines))
    changes: list[Callable[[], object]] = [
        lambda: lines.pop(here),
        lambda: lines.insert(there, lines[here]),
        lambda: lines.__setitem__(here, "  " + lines[here]),
        lambda: lines.__setitem__(here, lines[here].lstrip()),
        lambda: lines.__setitem__(here, lines[here].partition(":")[0] + ": " + draw.choice(FRAGMENTS)),
        lambda: lines.insert(here, draw.choice(FRAGMENTS)),
        lambda: lines.__setitem__(slice(here, None), [lines[here][: draw.randrange(20)]]),
    ]
    draw.choice(changes)()
    return "\n".join(lines) + "\n"


def break_bytes(raw: bytes, draw: random.Random) -> bytes:
    """Noise, another encoding, or line ends of another system."""
    at = draw.randrange(len(raw) + 1)
    kind = draw.randrange(5)
    if kind == 0:
        return raw[:at] + draw.randbytes(draw.randrange(1, 40)) + raw[at:]
    if kind == 1:
        return raw.decode("utf-8", "replace").encode(draw.choice(["utf-16", "utf-8-sig", "utf-32", "utf-7"]))
    if kind == 2:
        return raw.replace(b"\n", draw.choice([b"\r\n", b"\r", b"\n\n", b"\x00"]))
    if kind == 3:
        return draw.randbytes(draw.randrange(200))
    return raw[:at]


def mutant(seed: int) -> bytes:
    """Mutated configuration number `seed`."""
    draw = random.Random(seed)
    if draw.random() < 0.15:
        text = SHORT
    else:
        data = copy.deepcopy(draw.choice(complete()))
        if draw.random() < 0.7:
            for _ in range(draw.choice([1, 1, 1, 2, 5])):
                break_tree(data, draw)
        text = write_yaml(data)
    if draw.random() < 0.4:
        text = break_text(text, draw)
    raw = text.encode("utf-8")
    return break_bytes(raw, draw) if draw.random() < 0.12 else raw


@contextmanager
def time_limit(seed: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"mutant {seed} takes longer than {SECONDS_EACH} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_EACH)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_mutated_configuration_ends_in_a_stack_trace(
    batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refusals = 0
    for seed in range(batch, MUTANTS, BATCHES):
        Path("mutant.yaml").write_bytes(mutant(seed))
        with time_limit(seed):
            try:
                assert isinstance(load("mutant.yaml"), RunConfig)
            except CairnError as trouble:
                refusals += 1
                assert "mutant.yaml" in str(trouble), (seed, str(trouble))
                assert len(str(trouble)) < 8000, (seed, str(trouble))
            except Exception as bug:
                raise AssertionError(f"mutant {seed} ends in {bug!r}") from bug
    assert refusals > MUTANTS / BATCHES / 2
    assert [file.name for file in tmp_path.iterdir()] == ["mutant.yaml"]


def test_every_value_may_be_zero_negative_huge_or_tiny() -> None:
    tried = set()
    for base in complete():
        for inside, key in nodes(base):
            for value in (0, -1, 2**62, 1e300, 1e-300):
                label = (base["model"]["name"], key, value)
                if label in tried:
                    continue
                tried.add(label)
                before, inside[key] = inside[key], value
                with time_limit(len(tried)), suppress(CairnError):
                    run_hash(validate(Document("r.yaml", base), RunConfig))
                inside[key] = before
    assert len(tried) > 1000


def test_the_command_line_answers_mutants_with_status_2_and_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    statuses = []
    for seed in range(10_000, 10_120):
        Path("mutant.yaml").write_bytes(mutant(seed))
        with time_limit(seed):
            statuses.append(main(["show", "mutant.yaml"]))
        out, err = capsys.readouterr()
        if statuses[-1] == 0:
            assert err == "" and out.startswith("# run ")
        else:
            assert statuses[-1] == 2 and out == "" and err.startswith("cairn: ") and "mutant.yaml" in err
    assert set(statuses) == {0, 2}


HEAD = "schema: cairn.run/1\nbase: demo\n"
TAG = "tag:yaml.org,2002:python/object/apply:os.system"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD + "workload: {batch: -1}", "r.yaml:3: workload.batch: must be > 0, got -1"),
        (HEAD + "chip: {cores: {rows: 0}}", "r.yaml:3: chip.cores.rows: must be >= 1, got 0"),
        (HEAD + "model: {hidden: .nan}", "r.yaml:3: model.hidden: is .nan; numbers must be finite"),
        (HEAD + f"model: {{layers: {10**18}}}", f"r.yaml:3: model.layers: must be <= 10000, got {10**18}"),
        (
            HEAD + "sead: 3",
            "r.yaml:3: sead: is not a known key; did you mean 'seed'? (allowed: "
            "chip, engine, fidelity, mapping, model, name, routing, schema, seed, workload)",
        ),
        (HEAD + "chip: [tiny]", "r.yaml:3: chip: must be a shipped name, a path or a map, got ['tiny']"),
        (HEAD + "chip: chip.yaml", "r.yaml:3: chip: no such file: 'chip.yaml'"),
        (HEAD + "model: .", "r.yaml:3: model: '.' is a folder; a file is needed"),
        (
            "schema: cairn.run/9",
            "r.yaml:1: schema: is cairn.run/9, written for a newer Cairn; this version reads cairn.run/1",
        ),
        (
            "schema: cairn.run/1\nbase: r.yaml",
            "r.yaml:2: base: goes round in a circle: r.yaml -> r.yaml",
        ),
        ("a: " + "[" * 200_000, "r.yaml:1: a[0][0]: is nested more than 50 levels deep"),
        (
            "seed: !!python/object/apply:os.system [ls]",
            f"r.yaml:1: seed: has the YAML tag '{TAG}'; tags are not allowed",
        ),
        ("a: 1\n" * 300_000, "r.yaml: is larger than 1024 KiB, the limit for a configuration"),
        ("", "r.yaml: is empty; a map of keys is needed"),
    ],
)
def test_each_kind_of_mistake_has_its_whole_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text(content, encoding="utf-8")
    assert main(["run", "r.yaml", "--out", "out"]) == 2
    assert capsys.readouterr() == ("", f"cairn: {message}\n")
    assert [file.name for file in tmp_path.iterdir()] == ["r.yaml"]


def test_a_folder_and_a_missing_file_in_place_of_a_run_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    for name, message in (
        ("folder/", "'folder' is a folder; a file is needed"),
        ("demo.yaml", "no such file: 'demo.yaml'; a shipped run is called 'demo'"),
    ):
        assert main(["run", name]) == 2
        assert capsys.readouterr().err == f"cairn: {message}\n"
