"""Dask workers, two of them standing for two machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from cairn.base.errors import CairnError
from cairn.dse import cluster
from cairn.dse.study import run_sweep
from tests.dse.toys import Formula, toy_sweep, twin


def test_two_dask_workers_give_the_front_of_one_process(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    sweep = toy_sweep(tmp_path, points=24)
    alone = run_sweep(sweep, cheap=twin, evaluate=Formula(sweep))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as machines:
        log = tmp_path / "log"
        study = run_sweep(
            sweep, scheduler=machines.scheduler_address, cheap=twin, evaluate=Formula(sweep, log=log),
        )  # fmt: skip
    assert [entry.outcome for entry in study.entries] == [entry.outcome for entry in alone.entries]
    assert study.front["point"].tolist() == alone.front["point"].tolist()
    assert len(log.read_text(encoding="ascii").split()) == 24


def test_a_scheduler_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    sweep = toy_sweep(tmp_path)
    with pytest.raises(CairnError, match=r"--scheduler tcp://127\.0\.0\.1:9: no Dask scheduler answers there: "):
        run_sweep(sweep, scheduler="tcp://127.0.0.1:9", cheap=twin, evaluate=Formula(sweep))
