"""Studies survive: kills at any moment, torn lines, full disks; and nothing is overwritten."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest

from cairn.base.errors import CairnError
from cairn.dse.outcome import Outcome, Status, failed
from cairn.dse.storage import Entry, open_storage
from cairn.dse.study import run_sweep
from cairn.dse.sweep import Sweep
from tests.dse.toys import Formula, toy_sweep, twin

ROOT = Path(__file__).resolve().parents[2]
POINTS = 36

PROGRAM = """
import sys
from pathlib import Path
from cairn.dse.study import run_sweep
from tests.dse.toys import Formula, toy_sweep, twin

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    sweep = toy_sweep(folder, points=36)
    evaluate = Formula(sweep, seconds=0.05, log=folder / "log")
    run_sweep(sweep, jobs=2, storage=folder / "study.journal", resume=True, cheap=twin, evaluate=evaluate)
"""


def trials(path: Path) -> list[optuna.trial.FrozenTrial]:
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    return optuna.load_study(study_name="toy", storage=storage).get_trials(deepcopy=False)


def kill_and_resume(folder: Path, kills: int, seed: int) -> None:
    """Kill a study with two workers at random moments, resume it, and compare it with one that nothing happened to."""
    draw = random.Random(seed)
    program = folder / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, str(program), str(folder)]
    journal, log = folder / "study.journal", folder / "log"
    stored: set[int] = set()
    again: Counter[int] = Counter()
    for _ in range(kills):
        process = subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"})
        began = len(stored)
        started = time.monotonic()
        wait = draw.uniform(0.0, 1.2)
        while process.poll() is None and time.monotonic() < started + 60:  # from the first new point on, at random
            if journal.exists() and journal.read_bytes().count(b'"point"') > began:
                time.sleep(wait)
                break
            time.sleep(0.01)
        process.kill()
        process.wait()
        time.sleep(0.3)  # its workers notice and end
        now = [trial.user_attrs["point"] for trial in trials(journal)]
        assert len(now) == len(set(now)), "counted twice"
        assert stored <= set(now), "lost"
        again.update(number for number in map(int, log.read_text(encoding="ascii").split()) if number in stored)
        log.unlink(missing_ok=True)
        stored = set(now)
        if len(stored) >= POINTS:
            break
    sweep = toy_sweep(folder, points=POINTS)
    assert not again, "a stored point was evaluated again"
    resumed = run_sweep(sweep, storage=journal, resume=True, cheap=twin, evaluate=Formula(sweep))
    undisturbed = run_sweep(sweep, cheap=twin, evaluate=Formula(sweep))
    assert len(resumed.entries) == POINTS
    assert [entry.number for entry in resumed.entries] == [entry.number for entry in undisturbed.entries]
    assert resumed.front["point"].tolist() == undisturbed.front["point"].tolist()
    assert sorted(trial.user_attrs["point"] for trial in trials(journal)) == sorted(e.number for e in resumed.entries)


def test_a_study_killed_at_random_moments_resumes_to_the_front_of_an_undisturbed_one(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, kills=3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_thirty_kills_lose_nothing_and_count_nothing_twice(tmp_path: Path, seed: int) -> None:
    kill_and_resume(tmp_path, kills=3, seed=100 + seed)


def entry(sweep: Sweep, number: int) -> Entry:
    return Entry(number, Formula(sweep)(number), 0)


def test_a_torn_last_line_is_cut_off_and_what_stands_before_it_kept(tmp_path: Path) -> None:
    sweep, path = toy_sweep(tmp_path), tmp_path / "study.journal"
    storage = open_storage(sweep, path, resume=False)
    for number in (4, 9):
        storage.record(entry(sweep, number))
    storage.close()
    whole = path.read_bytes()
    end = whole[:-1].rfind(b"\n") + 1
    for cut in (end + 1, (end + len(whole)) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        storage = open_storage(sweep, path, resume=True)
        assert list(storage.entries()) == [4]
        storage.record(entry(sweep, 17))
        storage.close()
        storage = open_storage(sweep, path, resume=True)
        assert list(storage.entries()) == [4, 17]
        storage.close()


def test_a_lock_that_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    sweep, path = toy_sweep(tmp_path), tmp_path / "study.journal"
    open_storage(sweep, path, resume=False).close()
    (tmp_path / "study.journal.lock").symlink_to(path)
    started = time.monotonic()
    storage = open_storage(sweep, path, resume=True)
    storage.record(entry(sweep, 4))
    storage.close()
    assert time.monotonic() - started < 10


def test_every_evaluation_is_one_trial_that_optuna_reads(tmp_path: Path) -> None:
    sweep, path = toy_sweep(tmp_path), tmp_path / "study.journal"
    storage = open_storage(sweep, path, resume=False)
    nothing = (float("nan"),) * 2
    storage.record(entry(sweep, 4))
    storage.record(Entry(5, Outcome(Status.INFEASIBLE, nothing, nothing[:1], {}, ({"constraint": "SRAM"},)), 0))
    storage.record(Entry(6, failed(sweep, "its worker died"), 1))
    storage.close()
    first, second, third = trials(path)
    assert [trial.state.name for trial in (first, second, third)] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert first.params == sweep.space.labels(4)
    assert first.values == list(Formula(sweep)(4).values)
    assert first.constraints["power <= 40 W"] == Formula(sweep)(4).excess[0]
    assert second.values == [float("inf"), float("inf")]
    assert second.constraints == {"the runs are possible": 1.0}
    assert third.user_attrs["outcome"]["error"] == "its worker died"


@pytest.mark.parametrize("url", [False, True])
def test_a_study_is_continued_only_when_asked_and_only_by_its_own_sweep(tmp_path: Path, url: bool) -> None:
    place = f"sqlite:///{tmp_path}/study.db" if url else str(tmp_path / "study.journal")
    sweep = toy_sweep(tmp_path)
    storage = open_storage(sweep, place, resume=True)
    storage.record(entry(sweep, 4))
    storage.close()
    with pytest.raises(CairnError) as caught:
        open_storage(sweep, place, resume=False)
    assert str(caught.value) == f"{place}: holds this study already; continue it with --resume, or name another place"
    other = toy_sweep(tmp_path, extra="tiers: {near_percent: 7}\n")
    with pytest.raises(CairnError) as caught:
        open_storage(other, place, resume=True)
    assert str(caught.value) == (
        f"{place}: holds the study of another sweep called 'toy' ({sweep.hash}, this one is {other.hash}); "
        "it is left alone, name another place"
    )
    storage = open_storage(sweep, place, resume=True)
    assert list(storage.entries()) == [4]
    storage.close()


def test_another_budget_is_the_same_sweep(tmp_path: Path) -> None:
    assert toy_sweep(tmp_path, points=10).hash == toy_sweep(tmp_path, points=20).hash


def test_two_processes_cannot_run_one_study(tmp_path: Path) -> None:
    sweep, path = toy_sweep(tmp_path), tmp_path / "study.journal"
    storage = open_storage(sweep, path, resume=False)
    with pytest.raises(CairnError, match="another process is running this study"):
        open_storage(sweep, path, resume=True)
    storage.close()


def test_a_file_that_is_no_study_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a journal\n", encoding="utf-8")
    with pytest.raises(CairnError, match="is not a study; name another place"):
        open_storage(toy_sweep(tmp_path), path, resume=True)
    assert path.read_text(encoding="utf-8") == "not a journal\n"


def test_a_full_disk_ends_cleanly_and_the_study_resumes(tmp_path: Path) -> None:
    program = tmp_path / "full.py"
    program.write_text(
        PROGRAM.replace("import sys\n", "import resource\nimport sys\n", 1).replace(
            "    run_sweep(", "    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))\n    run_sweep(", 1
        ).replace("jobs=2", "jobs=1").replace('log=folder / "log"', "log=None"),
        encoding="utf-8",
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    message = "cannot be written: File too large; everything finished before is kept, and --resume continues"
    assert message in done.stderr
    sweep = toy_sweep(tmp_path, points=POINTS)
    before = open_storage(sweep, tmp_path / "study.journal", resume=True)
    kept = set(before.entries())
    before.close()
    assert 0 < len(kept) < POINTS
    study = run_sweep(sweep, storage=tmp_path / "study.journal", resume=True, cheap=twin, evaluate=Formula(sweep))
    assert len(study.entries) == POINTS
    assert kept <= {each.number for each in study.entries}


def test_a_database_whose_driver_is_missing_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_driver(url: str) -> None:
        raise ImportError("Failed to import DB access module for the specified storage URL.")

    monkeypatch.setattr("cairn.dse.storage.RDBStorage", without_driver)
    with pytest.raises(CairnError, match=r"postgresql://x/y: cannot be opened .* pip install 'cairn\[postgresql\]'"):
        open_storage(toy_sweep(tmp_path), "postgresql://x/y", resume=False)
