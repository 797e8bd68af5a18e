"""Where a study lives: an Optuna storage, a journal file unless a URL says otherwise, that survives being killed.

One process writes, and it writes a point when its evaluation is finished: as one complete trial, one line of the
journal. So there is never a running trial, nothing can be counted twice, and what is lost by a kill is what was still
being evaluated. A line that was torn by the kill is cut off when the study is opened again.
"""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from cairn.base.digest import code_digest
from cairn.base.errors import CairnError
from cairn.dse.objectives import Direction
from cairn.dse.outcome import Outcome, Status
from cairn.dse.space import Parameter
from cairn.dse.sweep import Sweep
from cairn.sim.run import code_version

SCHEMA: Final = "cairn.study/1"
STALE_SECONDS: Final = 2.0
"""assumed: Optuna holds its lock on a journal for one write, milliseconds; an older one is a killed process's."""
LOG_SPAN: Final = 10.0
"""Parameters whose values span more than this factor are shown on a logarithmic axis."""


@dataclass(frozen=True)
class Entry:
    """One stored evaluation: the point, what came of it, and when it was proposed."""

    number: int
    outcome: Outcome
    generation: int


class Storage:
    """An open study. Use `open_storage`; `close` releases the journal for other processes."""

    def __init__(self, sweep: Sweep, study: optuna.Study, place: str, lock: Any = None):
        self.sweep, self.study, self.place, self._lock = sweep, study, place, lock
        self._distributions = {p.name: _distribution(p) for p in sweep.space.parameters}

    def entries(self) -> dict[int, Entry]:
        """Everything that was evaluated, by point number, in the order in which it was stored; the first one counts."""
        found: dict[int, Entry] = {}
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL)):
            point = trial.user_attrs.get("point")
            if isinstance(point, int) and point not in found:
                outcome = Outcome.from_dict(trial.user_attrs["outcome"])
                found[point] = Entry(point, outcome, trial.user_attrs["generation"])
        return found

    def record(self, entry: Entry) -> None:
        """Store one evaluation; CairnError when it cannot be written (the disk is full, the database is gone)."""
        outcome = entry.outcome
        labels = self.sweep.space.labels(entry.number)
        complete = outcome.status is not Status.FAILED
        excess = {
            rule.text: value
            for rule, value in zip(self.sweep.constraints, outcome.excess, strict=True)
            if math.isfinite(value)
        }
        trial = create_trial(
            state=TrialState.COMPLETE if complete else TrialState.FAIL,
            params=labels,
            distributions={name: self._distributions[name] for name in labels},
            values=[self._shown(i, value) for i, value in enumerate(outcome.values)] if complete else None,
            user_attrs={"point": entry.number, "generation": entry.generation, "outcome": outcome.as_dict()},
            constraints={"the runs are possible": 0.0 if outcome.simulated else 1.0, **excess} if complete else {},
        )
        try:
            self.study.add_trial(trial)
        except (OSError, optuna.exceptions.StorageInternalError) as trouble:
            reason = trouble.strerror if isinstance(trouble, OSError) and trouble.strerror else str(trouble)
            raise CairnError(
                f"{self.place}: cannot be written: {reason}; everything finished before is kept, and --resume continues"
            ) from trouble

    def _shown(self, i: int, value: float) -> float:
        """A value as the trial has it: worst possible where there is none, for a complete trial must have one."""
        worst = math.inf if self.sweep.objectives[i].direction is Direction.MINIMIZE else -math.inf
        return value if math.isfinite(value) else worst

    def close(self) -> None:
        """Let other processes have it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def open_storage(sweep: Sweep, where: str | Path, *, resume: bool) -> Storage:
    """The study of `sweep` in a journal file (a path) or in any storage Optuna has a URL for.

    A study that is there is continued with `resume` and refused without; a study of another sweep, or of other code,
    is refused either way (CairnError) and left as it is.
    """
    place = str(where)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    lock = None
    if "://" in place:
        storage = _by_url(place)
    else:
        lock = _locked(Path(place))
        storage = _journal(Path(place))
    try:
        return Storage(sweep, _study(sweep, storage, place, resume=resume, alone="://" not in place), place, lock)
    except BaseException:
        if lock is not None:
            lock.close()
        raise


def _by_url(url: str) -> BaseStorage:
    try:
        if url.startswith("redis"):
            return JournalStorage(JournalRedisBackend(url))
        return RDBStorage(url)
    except Exception as trouble:  # whatever a database driver raises
        reason = str(trouble).splitlines()[0]
        if isinstance(trouble, ImportError) or "DB access module" in reason:
            reason += " (for PostgreSQL: pip install 'cairn[postgresql]')"
        raise CairnError(f"{url}: cannot be opened as a storage: {reason}") from None


def _locked(path: Path) -> Any:
    """The journal's own lock file, held until it is closed or the process dies; CairnError when another holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = path.with_name(path.name + ".running").open("a")
    except OSError as trouble:
        raise CairnError(f"{path}: cannot be written: {trouble.strerror}") from None
    try:
        import fcntl
    except ImportError:  # not on this system: nothing guards against two processes at once
        return held
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.close()
        message = f"{path}: another process is running this study; stop it first, or name another place"
        raise CairnError(message) from None
    return held


def _journal(path: Path) -> BaseStorage:
    try:
        _cut_torn_line(path)
        _remove_stale_lock(path)
        return JournalStorage(JournalFileBackend(str(path)))
    except OSError as trouble:
        raise CairnError(f"{path}: cannot be opened as a study: {trouble.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise CairnError(f"{path}: is not a study; name another place") from None


def _cut_torn_line(path: Path) -> None:
    """Cut off what stands behind the last line end: the write that a kill or a full disk interrupted."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb+") as file:
        if file.read(1) != b"{":
            raise ValueError("no journal")
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - (1 << 16))
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                file.truncate(start + found + 1)
                return
            end = start
        file.truncate(0)


def _remove_stale_lock(path: Path) -> None:
    """Remove Optuna's lock on the journal when its process was killed while it wrote."""
    lock = path.with_name(path.name + ".lock")
    with suppress(FileNotFoundError):
        age = time.time() - lock.lstat().st_mtime
        if age < STALE_SECONDS:
            time.sleep(STALE_SECONDS)
        lock.unlink()


def _study(sweep: Sweep, storage: BaseStorage, place: str, *, resume: bool, alone: bool) -> optuna.Study:
    names = optuna.get_all_study_names(storage)
    if alone and any(name != sweep.name for name in names):
        other = f"holds the study of another sweep, {names[0]!r}"
        raise CairnError(f"{place}: {other}; it is left alone, name another place")
    if sweep.name not in names:
        directions = [StudyDirection[o.direction.name] for o in sweep.objectives]
        study = optuna.create_study(storage=storage, study_name=sweep.name, directions=directions)
        _sign(study, sweep)
        return study
    study = optuna.load_study(study_name=sweep.name, storage=storage)
    attributes = study.user_attrs
    if "sweep" not in attributes and not study.get_trials(deepcopy=False):  # killed while it was being made
        _sign(study, sweep)
        return study
    _check_signature(attributes, sweep, place)
    if not resume:
        raise CairnError(f"{place}: holds this study already; continue it with --resume, or name another place")
    return study


def _sign(study: optuna.Study, sweep: Sweep) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([objective.column for objective in sweep.objectives])
    signature = {"schema": SCHEMA, "version": code_version(), "code": code_digest(), "sweep": sweep.hash}
    for name, value in signature.items():
        study.set_user_attr(name, value)


def _check_signature(attributes: Mapping[str, Any], sweep: Sweep, place: str) -> None:
    schema, found = attributes.get("schema"), attributes.get("sweep")
    if schema != SCHEMA:
        what = "no study of Cairn" if schema is None else f"a study of the format {schema}; this version has {SCHEMA}"
        raise CairnError(f"{place}: holds {what}; it is left alone, name another place")
    if found != sweep.hash:
        raise CairnError(
            f"{place}: holds the study of another sweep called {sweep.name!r} ({found}, this one is {sweep.hash}); "
            "it is left alone, name another place"
        )
    if attributes.get("code") != code_digest():
        raise CairnError(
            f"{place}: was begun with other code (Cairn {attributes.get('version')}, sources {attributes.get('code')}, "
            f"now {code_version()}, {code_digest()}), whose results cannot be mixed; name another place"
        )


def _distribution(parameter: Parameter) -> BaseDistribution:
    """How the parameter is shown by Optuna's tools: a numeric axis where the values are numbers."""
    values = parameter.labels
    if not parameter.numeric or parameter.labels is not parameter.values:
        return CategoricalDistribution(values)
    low, high = min(values), max(values)
    log = low > 0 and high / low > LOG_SPAN
    if all(isinstance(value, int) for value in values):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)
