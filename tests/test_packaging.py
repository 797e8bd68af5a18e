"""The wheel holds what a user needs, all rooms through their links and all data, and works where it is installed."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("base", "workloads", "hw_models", "sim", "validation", "dse", "configs")
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "cairn", *ROOMS)
DATA = (".yaml", ".csv", ".gz")


def call(command: list[str], cwd: Path, timeout_s: int = 300) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def shipped() -> set[str]:
    """Every module and every data file of the tree, named as the wheel should name it."""
    front = [*(ROOT / "cairn").glob("*.py"), *(ROOT / "cairn" / "cli").rglob("*.py")]
    names = {file.relative_to(ROOT).as_posix() for file in front}
    for room in ROOMS:
        for file in (ROOT / room).rglob("*"):
            if file.suffix == ".py" or file.suffix in DATA:
                names.add(f"cairn/{file.relative_to(ROOT).as_posix()}")
    return names


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the tree, so that the build leaves nothing in it."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source / name)
    built = call([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"], cwd=source)
    assert built.returncode == 0, built.stdout + built.stderr
    (file,) = (source / "dist").glob("cairn-*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment that holds the wheel; its dependencies are lent by this environment."""
    folder = tmp_path_factory.mktemp("environment")
    made = call([sys.executable, "-m", "venv", "--without-pip", str(folder)], cwd=folder)
    assert made.returncode == 0, made.stderr
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install"]
    put = call([*pip, "--no-index", "--no-deps", "--no-warn-script-location", str(wheel)], cwd=folder)
    assert put.returncode == 0, put.stderr
    where = call([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], cwd=folder)
    # A path file inside a lent folder is not followed, so this environment's own editable Cairn stays out of sight.
    Path(where.stdout.strip(), "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "bin"


def test_the_wheel_holds_every_module_and_data_file_of_the_rooms(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert shipped() - names == set()
    assert "cairn/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    others = {name for name in names - shipped() if ".dist-info/" not in name}
    allowed = {name for name in others if name.endswith(("py.typed", "README.md"))}
    assert others == allowed
    assert not [name for name in names if "test" in Path(name).parts[0] or "/tests/" in name]


def test_the_shipped_data_is_found_from_an_installed_wheel(installed: Path, tmp_path: Path) -> None:
    script = (
        "from importlib.resources import files; import cairn; models = files('cairn') / 'configs' / 'models';"
        "print(cairn.__file__); print(sum(1 for file in models.iterdir() if file.name.endswith('.yaml')))"
    )
    run = call([str(installed / "python"), "-c", script], cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    file, count = run.stdout.split()
    assert Path(file).is_relative_to(installed.parent)
    assert int(count) == len(list((ROOT / "configs" / "models").glob("*.yaml")))


def test_the_installed_command_answers_help_and_lists_the_shipped_configurations(
    installed: Path, tmp_path: Path
) -> None:
    run = call([str(installed / "cairn"), "--help"], cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "validate" in run.stdout
    run = call([str(installed / "cairn"), "configs"], cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "demo" in run.stdout
    assert "mixtral" in run.stdout.lower()


@pytest.mark.slow
def test_the_installed_command_runs_the_demo_and_validates(installed: Path, tmp_path: Path) -> None:
    run = call([str(installed / "cairn"), "run", "demo", "--out", "demo"], cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "demo" / "result.json").is_file()
    run = call([str(installed / "cairn"), "validate", "models"], cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_version_of_the_project_is_the_installed_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert importlib.metadata.version("cairn") == project["version"]
