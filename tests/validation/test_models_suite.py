"""The suite `models`: sizes from shipped configurations and from the shapes of a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from cairn.base.errors import ConfigError
from cairn.validation.harness import validate
from cairn.validation.reference import SHIPPED, Record, ReferenceDir
from cairn.validation.suite import load_suite, run_suite
from cairn.validation.suites.models.shapes import architecture
from cairn.workloads.parameters import count_parameters, kv_bytes_per_token

SHAPE = {"layers": 2, "hidden": 8, "heads": 4, "kv_heads": 2, "head_dim": 2, "ffn": 16, "vocab": 10, "gated_mlp": True}
SIZES = {"derived_params_B": 6.74, "source": "LIT"}


def shape_of(**changes: object) -> Record:
    return Record(SHAPE | {"source": "test"} | changes, "models.yaml models.Toy")


def table(folder: Path, **models: object) -> Path:
    (folder / "models.yaml").write_text(yaml.safe_dump({"models": models}))
    return folder


def test_the_shipped_models_agree_with_the_table() -> None:
    names = yaml.safe_load((SHIPPED / "models.yaml").read_text())["models"]
    result = run_suite(load_suite("models"), ReferenceDir())
    assert result.verdict == "pass", result.why
    gates = {gate.gate.name: gate for gate in result.gates}
    counted = 2 * sum(1 + ("derived_active_params_B" in values) for values in names.values())
    assert gates["parameters"].rows == counted
    assert gates["printed_digits"].value == 0
    assert result.unexplained() == []


def test_parameters_of_a_dense_shape_are_its_matrices() -> None:
    attention = 8 * (8 + 4 + 4) + 8 * 8
    expected = 2 * 10 * 8 + 2 * (attention + 3 * 8 * 16)
    model = architecture("Toy", shape_of())
    assert count_parameters(model).matrices == expected
    assert kv_bytes_per_token(model) == 2 * 2 * 2 * 2 * 2
    assert count_parameters(architecture("Toy", shape_of(tied_embeddings=True))).matrices == expected - 80


def test_only_the_chosen_experts_and_the_shared_ones_are_active() -> None:
    model = architecture("Toy", shape_of(experts=4, top_k=1, moe_ffn=5, shared_experts=2, dense_layers=1))
    count, expert = count_parameters(model), 3 * 8 * 5
    assert count.matrices - count.active == 3 * expert


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "hyena"}, "models.Toy.kind: no kind of model is called 'hyena'"),
        ({"kv_heads": 3}, r"kv_heads \(3\) must divide heads \(4\)"),
        ({"layers": 0}, r"models\.Toy\.layers: Input should be greater than 0"),
        ({"hidden": "wide"}, "hidden: a finite number belongs here, not 'wide'"),
    ],
)
def test_an_impossible_shape_is_one_message(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        architecture("Toy", shape_of(**change))


def test_a_table_of_other_models_is_checked_from_its_shapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    llama = SHAPE | SIZES | {"layers": 32, "hidden": 4096, "heads": 32, "kv_heads": 32, "head_dim": 128}
    folder = table(tmp_path, Unheard=llama | {"ffn": 11008, "vocab": 32000})
    assert validate(["models"], reference=folder, json=True) == 0
    rows = json.loads(capsys.readouterr().out)["suites"][0]["rows"]
    assert [row["id"] for row in rows] == ["Unheard/shape/parameters", "Unheard/shape/kv_bytes_per_token"]


def test_a_wrong_size_in_the_table_fails_the_gate(tmp_path: Path) -> None:
    llama = SHAPE | {"layers": 32, "hidden": 4096, "heads": 32, "kv_heads": 32, "head_dim": 128, "ffn": 11008}
    folder = table(tmp_path, Unheard=llama | {"vocab": 32000, "derived_params_B": 6.84, "source": "LIT"})
    assert validate(["models"], reference=folder) == 1


def test_a_table_without_models_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("about: nothing\n")
    with pytest.raises(ConfigError, match="models: a mapping of models belongs here"):
        validate(["models"], reference=tmp_path)


def test_an_empty_table_checks_nothing_and_fails(tmp_path: Path) -> None:
    assert validate(["models"], reference=table(tmp_path)) == 1
