"""`cairn duplex` end to end: what is printed and written, and what is refused in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import cairn
from cairn.cli.main import main
from cairn.sim.config.resolve import DUPLEX, shipped
from cairn.sim.pim.duplex_run import device_bytes, load_duplex
from tests.cairn.commands import as_json, refusal

MIXTRAL = ("duplex", "mixtral-8x7b-decode")
NAMES = {f"{model}-decode" for model in ("mixtral-8x7b", "glam-143b", "grok-1", "opt-66b", "llama-3-70b")}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_shipped_run_is_no_slower_by_choice_than_by_either_side_alone(name: str) -> None:
    assert set(shipped(DUPLEX)) == NAMES
    chosen = cairn.simulate_duplex(name).totals().set_index("system")["ms"]
    by_pim = cairn.simulate_duplex(name, ["coprocessing=false", "choice=pim"]).totals().set_index("system")["ms"]
    assert list(chosen.index) == ["cores", "logic", "bank"]
    for unit in ("logic", "bank"):
        assert chosen[unit] <= min(chosen["cores"], by_pim[unit]) * (1 + 1e-12)


def test_bank_pim_wins_without_shared_keys_and_logic_pim_with_eight_query_heads_a_key_head() -> None:
    opt, llama = (cairn.simulate_duplex(f"{model}-decode").totals().set_index("system")["speedup"]
                  for model in ("opt-66b", "llama-3-70b"))  # fmt: skip
    assert opt["bank"] > opt["logic"] > 1.2
    assert llama["logic"] > llama["bank"] > 1.1


def test_parts_add_up_to_the_step_and_operators_to_their_parts(capsys: pytest.CaptureFixture[str]) -> None:
    content = as_json(capsys, *MIXTRAL)
    assert content["schema"] == "cairn.duplex_result/1" and content["config"]["batch"] == 64
    totals, operators = pd.DataFrame(content["totals"]), pd.DataFrame(content["operators"])
    parts = totals[["qkv", "attention", "o", "dense", "experts", "other", "all_reduce", "exchange"]]
    assert parts.sum(axis=1).to_numpy() == pytest.approx(totals["ms"].to_numpy())
    assert totals["tokens_per_s"].to_numpy() == pytest.approx(64e3 / totals["ms"].to_numpy())
    for _, step in totals.iloc[1:].iterrows():
        mine = operators[operators["system"] == step["system"]].set_index("operator")
        assert mine.loc["attention", "ms"] == pytest.approx(step["attention"])
        assert mine.loc[["experts", "router"], "ms"].sum() == pytest.approx(step["experts"])
        assert (mine["ms"] <= mine[["cores_ms", "pim_ms"]].min(axis=1) * (1 + 1e-12)).all()
        assert mine.loc["qkv", "pim_share"] == 0 and mine.loc["attention", "pim_share"] == 1
    assert operators["ops_per_byte"].between(4, 64).all()


def test_the_report_says_of_each_operator_where_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*MIXTRAL, "--set", "units=[bank]", "--set", "batch=32"]) == 0
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert err == "" and "logic" not in out and max(map(len, out.splitlines())) <= 110
    places = {words[1]: words[-1] for words in lines if words[:1] == ["bank"] and len(words) == 9}
    assert places == {"qkv": "cores", "attention": "PIM", "o": "cores", "router": "cores", "lm_head": "cores"}
    assert any(words[:2] == ["bank", "experts"] and words[-1] == "PIM" and words[-2].endswith("%") for words in lines)
    assert "32 requests over 4,096 keys on 4 devices\nexperts divided between both sides; 25." in out


def test_energy_is_that_of_memory_and_operations_and_area_that_of_the_paper(
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = as_json(capsys, *MIXTRAL)
    totals = pd.DataFrame(content["totals"]).set_index("system")
    sums = totals["memory_mj"] + totals["compute_mj"]
    assert sums.to_numpy() == pytest.approx(64 * totals["mj_per_token"].to_numpy())
    operators = pd.DataFrame(content["operators"]).groupby("system")["mj"].sum()
    for unit in ("logic", "bank"):
        assert operators[unit] == pytest.approx(64 * totals.loc[unit, "mj_per_token"], rel=1e-3)  # but for activations
    assert totals["compute_mj"].to_numpy() == pytest.approx(totals.loc["cores", "compute_mj"])
    assert totals.loc["logic", "memory_mj"] < totals.loc["cores", "memory_mj"]
    assert totals.loc["cores", "mm2"] == 0
    assert totals.loc["logic", "mm2"] == pytest.approx(17.81 * 5 * 4)  # section VII-E: 17.80 mm2 of a stack


def test_the_rule_by_operations_per_byte_sends_four_query_heads_a_key_head_to_logic_pim_alone() -> None:
    found = cairn.simulate_duplex("mixtral-8x7b-decode", ["coprocessing=false", "choice=ops_per_byte"]).operators()
    share = found[found["operator"] == "attention"].set_index("system")["pim_share"]
    assert share["logic"] == 1 and share["bank"] == 0


def test_a_folder_holds_tables_and_the_crossover_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out"
    for _ in range(2):  # an earlier result may be replaced
        assert main([*MIXTRAL, "--out", str(target)]) == 0
    assert f"written to {target}" in capsys.readouterr().out
    assert {file.name for file in target.iterdir()} == {"result.json", "totals.csv", "operators.csv", "crossover.png"}
    content = json.loads((target / "result.json").read_text(encoding="utf-8"))
    assert pd.read_csv(target / "totals.csv")["ms"].tolist() == pytest.approx([row["ms"] for row in content["totals"]])


def test_memory_of_a_device_holds_its_part_of_weights_keys_and_values() -> None:
    """Llama-3-70B: 70.55 G parameters of 2 bytes, and 8 key heads of 128 twice for each layer and token."""
    spec = load_duplex("llama-3-70b-decode")
    expected = (70.55e9 * 2 + 80 * 2 * 8 * 128 * 2 * 64 * 4096) / 4
    assert device_bytes(spec, spec.graph()) == pytest.approx(expected, rel=2e-3)
    alone = load_duplex("mixtral-8x7b-decode", ["tensor_parallel=1"])
    shared = load_duplex("mixtral-8x7b-decode")
    dense = 32 * 2 * (4096 * 6144 + 4096 * 4096 + 4096 * 8)
    more = device_bytes(alone, alone.graph()) - device_bytes(shared, shared.graph())
    assert more == pytest.approx(dense * 3 / 4, rel=1e-3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("mixtral-8x7b", "no shipped duplex is called 'mixtral-8x7b'; did you mean 'mixtral-8x7b-decode'?"),
        ("mixtral-8x7b-decode --set model=mixtral-8x7", "did you mean 'mixtral-8x7b'?"),
        ("mixtral-8x7b-decode --set batc=3", "did you mean 'batch'?"),
        ("mixtral-8x7b-decode --set batch=0", "batch: must be >= 1, got 0"),
        ("mixtral-8x7b-decode --set devices=6", "tensor_parallel (4) must divide devices (6)"),
        ("mixtral-8x7b-decode --set choice=fastes", "choice"),
        ("mixtral-8x7b-decode --set choice=pim", "coprocessing divides experts by their times; leave choice at"),
        ("mixtral-8x7b-decode --set units=[]", "units must name logic, bank or both, each once"),
        ("mixtral-8x7b-decode --set units=[bank,bank]", "units must name logic, bank or both, each once"),
        ("mixtral-8x7b-decode --set units=[cores]", "units"),
        ("mixtral-8x7b-decode --set model=mamba-2.8b", "model: PIM systems know no operator"),
        ("configs/chips/tiny.yaml", "a duplex file has cairn.duplex/1"),
    ],
)
def test_mistakes_are_told_in_one_line(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refusal(capsys, "duplex", *words.split())


@pytest.mark.parametrize(
    ("setting", "constraint", "remedy"),
    [
        ("batch=1024", "memory of a device", "a smaller batch or context"),
        ("model=llama-2-7b", "key heads divided over devices", "choose a degree that divides 32"),
    ],
)
def test_what_cannot_be_placed_is_infeasible_with_the_remedy(
    setting: str, constraint: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    devices = ["--set", "devices=64", "--set", "tensor_parallel=64"] if setting.startswith("model") else []
    assert main(["duplex", "opt-66b-decode", "--set", setting, *devices, "--json"]) == 2
    out, err = capsys.readouterr()
    assert constraint in out + err and remedy in out + err
