"""The command line: what it prints, where, and with which exit status."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from cairn.base.errors import CairnError, Infeasibility, InfeasibleError
from cairn.cli import main as cli
from cairn.sim.config.resolve import KINDS, shipped
from cairn.sim.config.run_config import load, resolved, run_hash

PYTHON = [sys.executable, "-m", "cairn"]
REASONS = [
    Infeasibility("DRAM capacity", 141.2e9, 96e9, "bytes", "use 2 chips"),
    Infeasibility("SRAM of a core", 300, 256, "KiB", "set mapping.tile_kib to 64"),
]


def cpu_seconds(*command: str) -> float:
    """CPU time of the quickest of three runs of a command."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replaces the simulation by one that records what it was asked for and raises what stands in the list."""
    asked: list[Any] = []

    def simulate(config: Any, overrides: Any = (), *, progress: Any = None) -> Any:
        asked.append(config)
        raise asked[0]

    monkeypatch.setattr("cairn.api.simulate", simulate)
    return asked


def test_help_answers_in_less_than_0_7_seconds_of_cpu_time() -> None:
    assert cpu_seconds(*PYTHON, "--help") < 0.7


def test_importing_cairn_is_light() -> None:
    heavy = {"numpy", "pydantic", "numba", "pandas", "rich", "yaml"}
    code = f"import sys, cairn; print(' '.join({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
    empty = cpu_seconds(sys.executable, "-c", "")
    assert cpu_seconds(sys.executable, "-c", "import cairn") - empty < 0.05


def test_every_public_name_is_there_and_an_unknown_one_is_refused() -> None:
    import cairn

    assert all(getattr(cairn, name) is not None for name in cairn.__all__)
    assert set(cairn.__all__) <= set(dir(cairn))
    with pytest.raises(AttributeError, match="module 'cairn' has no attribute 'simulat'"):
        cairn.simulat  # noqa: B018


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    text = capsys.readouterr().out
    assert all(command in text for command in ("run", "layers", "validate", "configs", "show", "--version"))
    for command in ("run", "layers", "validate", "configs", "show"):
        with pytest.raises(SystemExit) as stopped:
            cli.main([command, "--help"])
        assert stopped.value.code == 0


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import cairn

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"cairn {cairn.__version__}\n"


def test_configs_lists_every_shipped_name_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    kinds = [line for line in lines if not line.startswith(" ")]
    assert kinds == ["chips", "models", "runs", "sweeps", "networks", "wafer", "accelerators", "duplex", "pim"]
    assert [line.split()[0] for line in lines if line.startswith(" ")] == [
        name for kind in KINDS for name in shipped(kind)
    ]
    assert all(len(line.split()) > 3 for line in lines if line.startswith(" "))

    for kind in kinds:
        assert cli.main(["configs", kind]) == 0
        assert [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")] == [kind]


def test_show_prints_the_resolved_run_with_its_hash(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "demo", "--set", "workload.batch=2"]) == 0
    text = capsys.readouterr().out
    config = load("demo", ["workload.batch=2"])
    assert text.startswith(f"# run {run_hash(config)}\nschema: cairn.run/1\n")
    assert yaml.safe_load(text) == resolved(config)


def test_a_mistake_is_one_message_on_stderr_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "demo", "--set", "seed=x"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "cairn: --set seed=x: seed: must be an integer, got 'x'\n")


def test_options_stand_for_overrides(simulated: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    simulated.append(CairnError("enough"))
    assert cli.main(["run", "demo", "--engine", "reference", "--exact", "--set", "engine.exact=false"]) == 2
    assert capsys.readouterr().err.endswith("cairn: enough\n")
    assert simulated[1] == load("demo", ["engine.engine=reference", "engine.exact=true"])


def test_a_timeline_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "demo", "--trace"]) == 2
    message = "cairn: --trace writes a timeline into the result folder; name one with --out DIR\n"
    assert capsys.readouterr().err == message


def test_an_infeasible_run_is_a_table_on_stderr(simulated: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    simulated.append(InfeasibleError(REASONS))
    assert cli.main(["run", "demo"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    for word in (
        "constraint",
        "demand",
        "bound",
        "gap",
        "unit",
        "remedy",
        "DRAM capacity",
        "4.52e+10",
        "use 2 chips",
        "44",
    ):
        assert word in err


def test_an_infeasible_run_is_json_on_stdout_when_asked(
    simulated: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    simulated.append(InfeasibleError(REASONS))
    assert cli.main(["run", "demo", "--json"]) == 2
    content = json.loads(capsys.readouterr().out)
    assert content["schema"] == "cairn.infeasible/1"
    assert content["reasons"][1] == {
        "constraint": "SRAM of a core", "demand": 300, "bound": 256, "gap": 44, "unit": "KiB",
        "remedy": "set mapping.tile_kib to 64",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("raised", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (MemoryError(), 2, "chip.sram.capacity_kib), a smaller workload or engine.exact=false make it smaller\n"),
    ],
)
def test_an_interrupted_run_leaves_nothing_behind(
    simulated: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], raised: Any, status: int, message: str
) -> None:
    simulated.append(raised)
    assert cli.main(["run", "demo", "--out", str(tmp_path / "out")]) == status
    assert capsys.readouterr().err.endswith(message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says how much memory is free")
def test_a_run_larger_than_the_free_memory_ends_with_a_message() -> None:
    code = (
        "import resource, sys, numpy, cairn.api, cairn.cli.memory as memory\n"
        "before = resource.getrlimit(resource.RLIMIT_AS)\n"
        "cairn.api.simulate = lambda config, **_: numpy.empty(memory.free_bytes() + (1 << 30), dtype=numpy.int8)\n"
        "from cairn.cli.main import main\n"
        "status = main(['run', 'demo'])\n"
        "sys.exit(status if resource.getrlimit(resource.RLIMIT_AS) == before else 'the limit stayed')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("cairn: out of memory: the run is too large for this machine")


def test_a_bug_shows_its_stack_trace(simulated: list[Any]) -> None:
    simulated.append(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        cli.main(["run", "demo"])


def test_other_peoples_folders_are_refused_before_the_run(
    simulated: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep")
    (tmp_path / "file").write_text("keep")
    for name in ("mine", "file", "file/inside", "x" * 300):
        assert cli.main(["run", "demo", "--out", str(tmp_path / name)]) == 2
        assert str(tmp_path / name) in capsys.readouterr().err
    assert simulated == []
    assert (tmp_path / "mine" / "thesis.txt").read_text() == (tmp_path / "file").read_text() == "keep"


def test_a_first_run_says_that_it_compiles(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from cairn.cli.progress import COMPILE_SECONDS, tell_of_compilation

    for cached, text in (
        (True, ""),
        (False, f"compiling the simulation kernels once, about {COMPILE_SECONDS} s ...\n"),
    ):
        monkeypatch.setattr("cairn.base.kernel.kernels_are_cached", lambda part, cached=cached: cached)
        tell_of_compilation()
        assert capsys.readouterr() == ("", text)


def test_validate_hands_its_options_to_the_harness(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    harness = ModuleType("cairn.validation.harness")
    harness.validate = lambda suites, **options: asked.append((suites, options)) or 1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cairn.validation.harness", harness)
    words = "validate models voxel --reference r --report p.md --json --all --csv c --verbose"
    assert cli.main(words.split()) == 1
    options = {"reference": "r", "report": "p.md", "json": True, "csv": "c", "run_all": True, "verbose": True}
    assert asked == [(["models", "voxel"], options)]


def test_a_reader_that_leaves_early_is_met_with_silence() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*PYTHON, "configs"], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (cli.BROKEN_PIPE, b"")


def test_ctrl_c_ends_with_one_word_and_status_130(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, cairn.api\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a suite in the background inherits SIG_IGN
        "cairn.api.simulate = lambda config, **_: os.kill(os.getpid(), signal.SIGINT)\n"
        "from cairn.cli.main import main\n"
        f"sys.exit(main(['run', 'demo', '--out', {str(tmp_path / 'out')!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.splitlines()[-1] == "interrupted" and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
