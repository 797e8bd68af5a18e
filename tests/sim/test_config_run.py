"""A run's configuration: complete, frozen, and named by the hash of its content."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from cairn.base.errors import ConfigError
from cairn.base.spec import source_of
from cairn.hw_models.chip import ChipSpec
from cairn.sim.config.resolve import RUN, shipped
from cairn.sim.config.run_config import Engine, EngineSpec, FidelitySpec, RunConfig, load, resolved, run_hash
from cairn.sim.config.yaml_writer import write_yaml
from cairn.workloads.architecture import ModelSpec
from cairn.workloads.step import WorkloadSpec

RUN_NAMES = sorted(shipped(RUN))
PROMISED = {
    "bitnet-3b-decode",
    "demo",
    "llama-2-13b-decode",
    "llama-2-13b-decode-paper",
    "llama-2-13b-prefill",
    "llama-2-13b-prefill-paper",
    "llama-3-70b-decode",
    "mixtral-8x7b-decode",
}
HUGGING_FACE = {
    "model_type": "llama",
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "num_hidden_layers": 3,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(name: str, *settings: str, **options: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load(name, settings, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_the_promised_runs_are_shipped() -> None:
    assert set(RUN_NAMES) >= PROMISED


@pytest.mark.parametrize("name", RUN_NAMES)
def test_a_shipped_run_loads_under_its_own_name(name: str) -> None:
    config = load(name)
    assert config.name == name
    assert isinstance(config.chip, ChipSpec) and isinstance(config.model, ModelSpec)


@pytest.mark.parametrize("name", RUN_NAMES)
def test_what_is_shown_is_read_back_as_the_same_run(name: str, folder: Path) -> None:
    config = load(name)
    Path("again.yaml").write_text(write_yaml(resolved(config)), encoding="utf-8")
    assert load("again.yaml") == config
    assert run_hash(load("again.yaml")) == run_hash(config)
    assert yaml.safe_load(write_yaml(resolved(config))) == resolved(config)


def test_the_two_variants_of_a_run_differ_in_their_chip_alone() -> None:
    code, paper = load("llama-2-13b-decode"), load("llama-2-13b-decode-paper")
    assert code.chip.noc.link_bytes_per_cycle != paper.chip.noc.link_bytes_per_cycle
    assert code.model_copy(update={"name": paper.name, "chip": paper.chip}) == paper


def test_the_hash_is_twelve_digits_and_changes_with_everything() -> None:
    config = load("llama-2-13b-decode")
    changes = (
        "seed=1", "chip.noc.link_bytes_per_cycle=17", "model.layers=39", "workload.batch=33", "engine.exact=true",
        "mapping.paradigm=spmd", "routing.alpha=2.5", "chip=voxel-paper", "name=other",
    )  # fmt: skip
    hashes = [run_hash(load("llama-2-13b-decode", [change])) for change in changes]
    assert len({run_hash(config), *hashes}) == len(changes) + 1
    assert all(len(name) == 12 and int(name, 16) >= 0 for name in hashes)


def test_the_hash_does_not_change_with_the_way_it_was_written() -> None:
    config = load("llama-2-13b-decode")
    assert run_hash(load("llama-2-13b-decode", ["chip=voxel-code", "seed=0", "engine.tolerance=0.2e-2"])) == run_hash(
        config
    )


def test_a_run_can_be_put_together_in_python() -> None:
    loaded = load("llama-2-13b-decode")
    built = RunConfig(
        name="llama-2-13b-decode",
        chip=loaded.chip,
        model=loaded.model,
        workload=WorkloadSpec(phase="decode", batch=32, context=2048),  # type: ignore[arg-type]
    )
    assert built == loaded and run_hash(built) == run_hash(loaded)


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load("demo").seed = 3  # type: ignore[misc]


def test_every_default_of_a_run_has_its_source() -> None:
    for spec in (RunConfig, EngineSpec, FidelitySpec):
        assert [name for name in spec.model_fields if not source_of(spec, name)] == []


def test_the_engine_and_the_fidelity_have_defaults() -> None:
    config = load("demo")
    assert config.engine == EngineSpec() and config.engine.engine is Engine.COMPILED and not config.engine.exact
    assert (config.fidelity.dram, config.fidelity.noc) == ("cycle", "packet")


def test_a_hugging_face_file_is_a_model_and_its_content_is_in_the_hash(folder: Path) -> None:
    Path("hf").mkdir()
    Path("hf/config.json").write_text(json.dumps(HUGGING_FACE))
    Path("r.yaml").write_text("schema: cairn.run/1\nbase: demo\nmodel: hf/config.json\n")
    config = load("r.yaml")
    assert (config.model.layers, config.model.hidden, config.model.kv_heads) == (3, 512, 4)
    assert load("r.yaml", ["model=hf"]) == config
    changed = load("r.yaml", ["model={base: hf/config.json, layers: 5}"])
    assert (changed.model.layers, changed.model.hidden) == (5, 512)

    shutil.copytree("hf", "elsewhere/hf")
    assert run_hash(load("demo", ["model=elsewhere/hf/config.json"])) == run_hash(
        load("demo", ["model=hf/config.json"])
    )
    before = run_hash(config)
    Path("hf/config.json").write_text(json.dumps(HUGGING_FACE | {"vocab_size": 1001}))
    assert run_hash(load("r.yaml")) != before


def test_a_mistake_in_a_hugging_face_file_names_it(folder: Path) -> None:
    Path("config.json").write_text(json.dumps(HUGGING_FACE | {"hidden_size": -4}))
    assert refused("demo", "model=config.json").startswith("config.json: hidden_size: must lie between 1 and ")
    Path("config.json").write_text("[" * 100_000)
    assert refused("demo", "model=config.json") == "config.json: is nested too deeply"


def test_a_routing_trace_counts_with_its_content(folder: Path) -> None:
    def write(name: str, first: int) -> None:
        rows = ["layer," + ",".join(f"e{expert}" for expert in range(8)), f"0,{first},1,1,1,1,1,1,1"]
        Path(name).write_text("\n".join(rows) + "\n")

    write("a.csv", 5)
    write("b.csv", 5)
    settings = ["routing={law: trace, trace: a.csv}"]
    config = load("mixtral-8x7b-decode", settings)
    assert config.routing.trace == str(folder / "a.csv")
    assert run_hash(load("mixtral-8x7b-decode", ["routing={law: trace, trace: b.csv}"])) == run_hash(config)
    before = run_hash(config)
    write("a.csv", 6)
    assert run_hash(load("mixtral-8x7b-decode", settings)) != before


def test_a_routing_trace_must_be_there_and_fit_the_model(folder: Path) -> None:
    setting = "routing={law: trace, trace: none.csv}"
    assert refused("mixtral-8x7b-decode", setting) == (
        f"--set {setting}: routing.trace: {folder}/none.csv: "
        "the routing trace cannot be read: No such file or directory"
    )
    assert refused("llama-2-13b-decode", setting).startswith(f"--set {setting}: routing.trace: has no meaning: ")


def test_a_mistake_in_a_chip_is_told_at_its_own_file_and_line(folder: Path) -> None:
    Path("c.yaml").write_text("schema: cairn.chip/1\nbase: voxel-code\nnoc:\n  link_bytes_per_cicle: 16\n")
    Path("r.yaml").write_text("schema: cairn.run/1\nbase: demo\nchip: c.yaml\n")
    message = refused("r.yaml")
    assert message.startswith(
        "c.yaml:4: chip.noc.link_bytes_per_cicle: is not a known key; did you mean 'link_bytes_per_cycle'? (allowed: "
    )
    Path("c.yaml").write_text("schema: cairn.chip/1\nbase: voxel-code\nnoc:\n  link_bytes_per_cycle: 0\n")
    assert refused("r.yaml") == "c.yaml:4: chip.noc.link_bytes_per_cycle: must be > 0, got 0"


def test_a_renamed_key_is_refused_with_its_new_name(folder: Path) -> None:
    Path("r.yaml").write_text("schema: cairn.run/1\nbase: demo\nrandom_seed: 3\n")
    assert refused("r.yaml", renamed={"random_seed": "seed"}) == "r.yaml:3: random_seed: is called 'seed' now"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("seed=-1", "seed: must be >= 0, got -1"),
        ("seed=x", "seed: must be an integer, got 'x'"),
        ("engine.tolerance=0", "engine.tolerance: must be > 0, got 0"),
        ("engine.engine=fast", "engine.engine: is 'fast' (allowed: compiled, reference)"),
        ("fidelity.noc=fluid", "fidelity.noc: is 'fluid'; did you mean 'flit'? (allowed: flit, packet)"),
        (
            "mapping.paradigm=spdm",
            "mapping.paradigm: is 'spdm'; did you mean 'spmd'? (allowed: compute_shift, dataflow, spmd)",
        ),
        ("workload.context=0", "workload.context: must be > 0 or a list, got 0"),
        ("chip=3", "chip: must be a shipped name, a path or a map, got 3"),
        ("workload=decode", "workload: must be a map, got 'decode'"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_whole(setting: str, message: str) -> None:
    assert refused("demo", setting) == f"--set {setting}: {message}"
