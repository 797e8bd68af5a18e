"""Plans as files: what is saved is loaded, and what is no plan is refused in one message."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import CairnError
from cairn.sim.engine.compiled import simulate_plan
from cairn.sim.plan.plan import Edges, Plan
from cairn.sim.plan.storage import load, save
from tests.sim.random_plans import make_plan, plans
from tests.sim.toy_pipe import pipe

SERVERS = {"pipe": pipe(latency=3)}
PLAN = dataclasses.replace(make_plan([0, 1], done=[(0, 1)]), operators=("a", "b"), tensors=("x",), notes={"seed": 7})


def check_equal(one: Any, two: Any) -> None:
    if isinstance(one, np.ndarray):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    elif isinstance(one, Edges | Plan):
        for field in dataclasses.fields(one):
            check_equal(getattr(one, field.name), getattr(two, field.name))
    elif isinstance(one, tuple):
        assert len(one) == len(two)
        for part, other in zip(one, two, strict=True):
            check_equal(part, other)
    else:
        assert one == two


@settings(max_examples=30, deadline=None)
@given(plan=plans({"pipe": st.tuples(st.just(0), st.integers(0, 1 << 40))}))
def test_a_plan_that_is_saved_and_loaded_is_equal_and_has_the_same_trace(
    tmp_path_factory: pytest.TempPathFactory, plan: Plan
) -> None:
    path = tmp_path_factory.mktemp("plan") / "a.npz"
    save(plan, path)
    again = load(path)
    check_equal(again, plan)
    ours, other = simulate_plan(plan, SERVERS), simulate_plan(again, SERVERS)
    np.testing.assert_array_equal(ours.end, other.end)


def test_names_and_notes_come_back(tmp_path: Path) -> None:
    save(dataclasses.replace(PLAN, notes={"a": np.int64(3), "b": [1, {"c": None}]}), tmp_path / "a.npz")
    again = load(tmp_path / "a.npz")
    assert (again.operators, again.tensors, again.notes) == (("a", "b"), ("x",), {"a": 3, "b": [1, {"c": None}]})


def test_a_plan_replaces_the_file_before_it_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save(make_plan([0] * 100), path)
    save(PLAN, path)
    check_equal(load(path), PLAN)
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


def test_a_plan_that_cannot_be_written_leaves_the_file_before_it_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save(PLAN, path)
    with pytest.raises(CairnError, match="plan: notes cannot be written as JSON: object"):
        save(dataclasses.replace(PLAN, notes={"x": object()}), path)
    with pytest.raises(CairnError, match=r"missing/a.npz: the plan cannot be written: No such file or directory"):
        save(PLAN, tmp_path / "missing" / "a.npz")
    check_equal(load(path), PLAN)


def change_meta(path: Path, **changes: Any) -> None:
    with np.load(path) as archive:
        arrays = dict(archive)
    meta = {**json.loads(arrays["meta"].tobytes()), **changes}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    np.savez(path, **arrays)


def test_a_newer_schema_is_refused_with_both_ids(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save(PLAN, path)
    change_meta(path, schema="cairn.plan/3")
    with pytest.raises(CairnError) as caught:
        load(path)
    assert str(caught.value) == (
        f"{path}: schema 'cairn.plan/3' is not the one that this version of Cairn reads, 'cairn.plan/2'"
    )


def test_files_that_are_no_plans_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(CairnError, match=r"a.npz: no such file"):
        load(path)
    path.write_text("tasks: 3")
    with pytest.raises(CairnError, match=r"a.npz: not a plan file$"):
        load(path)
    np.savez(path, a=np.zeros(3))
    with pytest.raises(CairnError, match=r"a.npz: not a plan file, or a damaged one \(.*meta"):
        load(path)
    save(PLAN, path)
    change_meta(path, schema="cairn.result/1")
    with pytest.raises(CairnError, match=r"not a plan file \(schema 'cairn.result/1', expected 'cairn.plan/2'\)"):
        load(path)


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.99])
def test_a_file_cut_short_is_refused(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "a.npz"
    save(PLAN, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(CairnError, match="not a plan file, or a damaged one"):
        load(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_with_a_changed_byte_is_refused_or_loads_the_same_plan(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("plan") / "a.npz"
    save(PLAN, path)
    whole = bytearray(path.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(whole))
    try:
        again = load(path)
    except CairnError:
        return
    check_equal(again, PLAN)
