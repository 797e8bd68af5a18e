"""`cairn pim-system` end to end: what is printed and written, and what is refused in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import cairn
from cairn.base.errors import CairnError, ConfigError
from cairn.cli.main import main
from cairn.sim.config.resolve import PIM_SYSTEM, shipped
from cairn.sim.pim.system_run import load_pim_system
from tests.cairn.commands import as_json, refusal

NAMES = {"gpt-3-175b-attacc", "llama-2-7b-cent", "gpt-2-medium-pim-gpt", "gpt-3-xl-pim-gpt"}
SIDES = {"attacc": {"GPU", "stacks", "links"}, "cent": {"channels", "host", "accelerators", "links"},
         "pim_gpt": {"banks", "ASIC"}}  # fmt: skip


@pytest.mark.parametrize("name", sorted(NAMES))
def test_operators_of_a_shipped_run_add_up_to_its_time_and_energy(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(shipped(PIM_SYSTEM)) == NAMES
    content = as_json(capsys, "pim-system", name)
    assert content["schema"] == "cairn.pim_system_result/1"
    last, operators = content["totals"][-1], pd.DataFrame(content["operators"])
    mine = operators[operators["system"] == last["system"]]
    assert mine["ms"].sum() == pytest.approx(last["ms"])
    assert mine["share"].sum() == pytest.approx(1)
    batch = content["config"]["batch"]
    assert mine["mj"].sum() == pytest.approx(last["mj_per_token"] * batch)
    assert last["tokens_per_s"] == pytest.approx(batch * 1e3 / last["ms"])
    assert set(mine["side"]) == SIDES[content["config"]["machine"]["kind"]]
    assert last["mm2"] == pytest.approx(sum(area["mm2"] for area in content["areas"])) and last["mm2"] > 0
    assert all("assumed" in area["source"] for area in content["areas"])


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_report_fits_a_screen_and_names_the_source_of_every_published_figure(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pim-system", name]) == 0
    out, _ = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 130
    sources = {one.source for one in load_pim_system(name).comparable()}
    assert sources and all(f"  {source}" in out for source in sources)


def test_a_published_figure_is_shown_for_its_settings_alone(capsys: pytest.CaptureFixture[str]) -> None:
    single = as_json(capsys, "pim-system", "gpt-3-175b-attacc", "--set", "batch=1")["published"]
    assert {(row["system"], row["published"]) for row in single} == {("GPUs and stacks", 17.08), ("GPUs alone", 31.03)}
    assert main(["pim-system", "gpt-3-175b-attacc", "--set", "batch=2"]) == 0
    assert "No published figure is known for these settings." in capsys.readouterr().out


def test_a_folder_holds_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out"
    for _ in range(2):  # an earlier result may be replaced
        assert main(["pim-system", "gpt-3-175b-attacc", "--out", str(target)]) == 0
    assert f"written to {target}" in capsys.readouterr().out
    assert {file.name for file in target.iterdir()} == {"result.json", "totals.csv", "operators.csv"}
    content = json.loads((target / "result.json").read_text(encoding="utf-8"))
    assert pd.read_csv(target / "totals.csv")["ms"].tolist() == pytest.approx([row["ms"] for row in content["totals"]])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("gpt-3-175b", "no shipped pim-system is called 'gpt-3-175b'; did you mean 'gpt-3-175b-attacc'?"),
        ("gpt-3-175b-attacc --set batch=0", "batch: must be >= 1, got 0"),
        ("gpt-3-175b-attacc --set machine.kind=attac", "machine"),
        ("gpt-3-175b-attacc --set machine.plcement=bank", "did you mean 'placement'?"),
        ("gpt-3-175b-attacc --set machine.attention=gpu", "overlap with stacks that attend; set both false"),
        ("gpt-3-175b-attacc --set model=mixtral-8x7b", "AttAcc systems have dense decoder layers, not"),
        ("llama-2-7b-cent --set batch=33", "32 stages have as many requests in flight at most, got 33"),
        ("llama-2-7b-cent --set machine.channels=33", "a block has at most the 32 channels of a device, got 33"),
        ("llama-2-7b-cent --set machine.block_devices=2", "a block over 2 devices has all 32 channels of each, not 8"),
        ("llama-2-7b-cent --set model=gpt-2-medium --set batch=1", "CENT has gated dense decoder layers; GPT-2-medium"),
        ("gpt-3-xl-pim-gpt --set model=llama-2-7b", "PIM-GPT's ASIC has GELU and LayerNorm, not rms"),
        ("gpt-3-xl-pim-gpt --set machine.energy_of=HBM2_PIM", "AiM's commands and energies (GDDR6_AiM), got HBM2_PIM"),
        ("llama-2-7b-cent --set machine.preset=UniNDP_AiM", "machine.preset: must be a preset with AiM's commands"),
        ("llama-2-7b-cent --set model.precision.weight_bits=4", "precision.weight_bits: channels of CENT multiply 16"),
        ("gpt-3-xl-pim-gpt --set model.precision.kv_bits=8", "banks of PIM-GPT multiply 16 bits, not 8 (attention)"),
        ("gpt-3-xl-pim-gpt --set model.precision.weight_bits=8", "banks of PIM-GPT multiply 16 bits, not 8 (qkv)"),
        ("configs/chips/tiny.yaml", "a pim-system file has cairn.pim_system/1"),
    ],
)
def test_mistakes_are_told_in_one_line(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refusal(capsys, "pim-system", *words.split())


@pytest.mark.parametrize(
    ("words", "constraint", "remedy"),
    [
        ("gpt-3-175b-attacc --set batch=200", "memory of all stacks", "a smaller batch or a shorter"),
        ("gpt-3-175b-attacc --set machine.devices=4 --set batch=1", "memory of all GPUs", "a smaller model"),
        ("llama-2-7b-cent --set context=16384", "memory of all channels", "fewer requests or a shorter context"),
        ("gpt-3-xl-pim-gpt --set batch=16", "rows of a bank", "more channels"),
    ],
)
def test_what_does_not_fit_is_infeasible_with_the_remedy(
    words: str, constraint: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pim-system", *words.split(), "--json"]) == 2
    out, err = capsys.readouterr()
    assert constraint in out + err and remedy in out + err


def test_a_published_figure_that_the_run_has_not_is_refused() -> None:
    spec = load_pim_system("gpt-3-175b-attacc")
    wrong = spec.published[0].model_copy(update={"figure": "msec"})
    with pytest.raises(ConfigError, match="the run has no figure 'msec'"):
        cairn.simulate_pim_system(spec.model_copy(update={"published": (wrong,)}))
    wrong = spec.published[0].model_copy(update={"at": {"machine.placment": "bank"}})
    with pytest.raises(ConfigError, match=r"no setting 'machine.placment'; did you mean 'machine.placement'"):
        cairn.simulate_pim_system(spec.model_copy(update={"published": (wrong,)}))
    with pytest.raises(CairnError, match="a PimSystemSpec is complete already"):
        cairn.simulate_pim_system(spec, ["batch=1"])
