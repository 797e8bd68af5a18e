"""`cairn layers` end to end: what is printed and written, and what is refused in which words."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest

import cairn
from cairn.cli.main import main
from cairn.sim.config.resolve import ACCELERATOR, shipped
from cairn.sim.layerwise.spec import Phase, load_accelerator
from tests.cairn.commands import as_json, refusal

BITS = "weight_bits: weights must have 1 to 8 bits beside their scales"
WORDS = ("layers", "bitmod-fp16", "bitmod-lossy", "--model", "llama-2-7b")


def test_products_add_up_to_the_totals_which_stand_beside_the_first_accelerator(
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = as_json(capsys, *WORDS)
    assert content["schema"] == "cairn.layers_result/1"
    products, totals = pd.DataFrame(content["products"]), pd.DataFrame(content["totals"])
    summed = products.groupby("accelerator", sort=False)
    for name in ("macs", "compute_cycles", "dram_cycles", "cycles", "dram_bytes", "energy_pj", "sram_pj"):
        assert summed[name].sum().to_numpy() == pytest.approx(totals[name].to_numpy(), rel=1e-12)
    assert (products["energy_pj"] == products[["dram_pj", "array_pj", "sram_pj"]].sum(axis=1)).all()
    first, second = content["totals"]
    assert first["speedup"] == first["energy_ratio"] == 1
    assert second["speedup"] == pytest.approx(first["cycles"] / second["cycles"])
    assert second["energy_ratio"] == pytest.approx(second["energy_pj"] / first["energy_pj"])


def test_a_step_takes_the_cycles_and_energy_of_the_bitmod_simulator(capsys: pytest.CaptureFixture[str]) -> None:
    # reference/lut/bitmod_sim.yaml: bitmod_cycles_ and bitmod_energy_bitmod_lossy_decode_llama-2-7b
    total = as_json(capsys, *WORDS)["totals"][1]
    assert (total["accelerator"], total["weight_bits"]) == ("bitmod-lossy", 3.0625)
    assert total["cycles"] == 79493200
    assert total["energy_pj"] / 1e6 == pytest.approx(434198, abs=1)  # uJ, printed without digits behind the point
    assert (total["energy_pj"] - total["dram_pj"]) / 1e6 == pytest.approx(52631, abs=1)


def test_every_product_is_bound_by_the_longer_of_computing_and_dram(capsys: pytest.CaptureFixture[str]) -> None:
    products = pd.DataFrame(as_json(capsys, *WORDS, "--phase", "prefill")["products"])
    assert (products["cycles"] == products[["compute_cycles", "dram_cycles"]].max(axis=1)).all()
    for bound, rows in products.groupby("bound_by"):
        ahead = rows["dram_cycles"] - rows["compute_cycles"]
        assert ({"DRAM": ahead > 0, "computing": ahead < 0, "both": ahead == 0}[str(bound)]).all()
    assert {"computing", "DRAM"} <= set(products["bound_by"])


def test_csv_holds_a_row_for_each_product_with_the_numbers_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    products = pd.DataFrame(as_json(capsys, *WORDS)["products"])
    assert main([*WORDS, "--csv"]) == 0
    out, err = capsys.readouterr()
    read = pd.read_csv(io.StringIO(out))
    pd.testing.assert_frame_equal(read, products, check_dtype=False)
    assert len(read) == 2 * 10
    assert err.startswith("note: bitmod-fp16, bitmod-lossy: attention") and err.count("\n") == 1


@pytest.mark.parametrize("phase", Phase)
def test_the_report_of_all_shipped_accelerators_has_whole_cells(
    phase: Phase, capsys: pytest.CaptureFixture[str]
) -> None:
    names = list(shipped(ACCELERATOR))
    assert main(["layers", *names, "--model", "llama-2-70b", "--phase", phase, "--weight-bits", "4"]) == 0
    text = capsys.readouterr().out
    assert "…" not in text and max(map(len, text.splitlines())) <= 110
    assert all(text.count(name) >= 3 for name in names)


def test_one_accelerator_is_reported_without_a_table_beside_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", "bitmod-lossy", "--model", "phi-2", "--context", "1000"]) == 0
    text = capsys.readouterr().out
    assert "one token over 1,000 keys" in text and "Cycles by product" not in text
    assert "64 x 16 elements of 4 products (1.54 mm2) at 1 GHz, weights of 3.0625 bits" in text  # 1024 of 1507.7 um2


def test_the_folder_holds_the_result_and_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    for more in ((), ("--phase", "prefill")):  # the second replaces the first
        content = as_json(capsys, *WORDS, *more, "--out", str(out))
        assert {file.name for file in out.iterdir()} == {"result.json", "totals.csv", "products.csv"}
        stored = json.loads((out / "result.json").read_text(encoding="utf-8"))
        assert stored == content
        assert pd.read_csv(out / "totals.csv")["cycles"].tolist() == [row["cycles"] for row in content["totals"]]
        assert len(pd.read_csv(out / "products.csv")) == len(content["products"])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine", encoding="utf-8")
    assert "is left alone" in refusal(capsys, *WORDS, "--out", str(tmp_path / "other"))


def test_equal_steps_have_equal_hashes_and_bits_given_or_known_are_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("layers", "bitmod-lossy", "--model", "phi-2")
    runs = [as_json(capsys, *words, *more) for more in ((), ("--weight-bits", "3.0625"), ("--weight-bits", "4"))]
    hashes = [run["provenance"]["run_hash"] for run in runs]
    assert hashes[0] == hashes[1] != hashes[2]
    assert runs[0]["totals"][0]["cycles"] < runs[2]["totals"][0]["cycles"]


def test_an_energy_that_is_not_known_is_null_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    words = (*WORDS, "--set", "buffer_kib=256")
    content = as_json(capsys, *words)
    assert content["totals"][0]["energy_pj"] is None and content["totals"][0]["dram_pj"] > 0
    assert "energies are tabled for 512 KiB only, got 256" in content["notes"][0]
    assert main(list(words)) == 0
    assert "note: bitmod-fp16: no energy of the buffers" in capsys.readouterr().out


def test_merged_attention_is_noted_and_heads_apart_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert "heads merged into one product" in as_json(capsys, *WORDS)["notes"][0]
    apart = as_json(capsys, *WORDS, "--set", "attention={heads: per_head, cached_reads: context}")
    assert apart["notes"] == []
    counts = {row["product"]: row["count"] for row in apart["products"]}
    assert counts["qk"] == 32 * 32 and counts["q"] == 32  # layers x heads, and layers


def test_python_gives_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    content = as_json(capsys, *WORDS, "--set", "dram_bits_per_cycle=512")
    names = ["bitmod-fp16", "bitmod-lossy"]
    found = cairn.simulate_layers(names, "llama-2-7b", ["dram_bits_per_cycle=512"])
    assert found.totals()["cycles"].tolist() == [row["cycles"] for row in content["totals"]]
    assert found.as_dict()["products"] == content["products"]
    specs = [load_accelerator(name, ["dram_bits_per_cycle=512"]) for name in names]
    pd.testing.assert_frame_equal(cairn.simulate_layers(specs, found.model).products(), found.products())
    alone = cairn.simulate_layers("bitmod-lossy", "llama-2-7b", ["dram_bits_per_cycle=512"])
    assert alone.totals()["cycles"].tolist() == found.totals()["cycles"].tolist()[1:]
    with pytest.raises(cairn.CairnError, match="an AcceleratorSpec is complete already"):
        cairn.simulate_layers(specs, "llama-2-7b", ["buffer_kib=1"])
    with pytest.raises(cairn.CairnError, match=r"phase: no phase is called 'decod'; did you mean 'decode'\?"):
        cairn.simulate_layers("bitmod-lossy", "llama-2-7b", phase="decod")
    with pytest.raises(cairn.CairnError, match=r"^accelerators: name at least one accelerator$"):
        cairn.simulate_layers([], "llama-2-7b")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("bitmod-fp --model phi-2", "no shipped accelerator is called 'bitmod-fp'; did you mean 'bitmod-fp16'?"),
        ("bitmod-lossy --model phi2", "no shipped model is called 'phi2'; did you mean 'phi-2'?"),
        ("bitmod-lossy --model mixtral-8x7b", "model: 'Mixtral-8x7B' must be a dense transformer"),
        ("bitmod-lossy bitmod-lossy --model phi-2", "accelerators: bitmod-lossy: given more than once"),
        ("bitmod-ant --model llama-3-70b", "has no bits for weights of 'Llama-3-70B': give weight_bits"),
        ("bitmod-lossy --model phi-2 --weight-bits 0", f"{BITS}, got 0"),
        ("bitmod-lossy --model phi-2 --weight-bits 33", f"{BITS}, got 33"),
        ("bitmod-lossy --model phi-2 --weight-bits nan", f"{BITS}, got nan"),
        ("bitmod-lossy --model phi-2 --context 0", "context: must be 1 to 1048576, got 0"),
        ("bitmod-lossy --model phi-2 --set decode.rows=0", "decode.rows: must be >= 1, got 0"),
        ("bitmod-lossy --model phi-2 --set decode.row=4", "decode.row: is not a known key; did you mean 'rows'?"),
        ("bitmod-lossy --model phi-2 --set element.dot=3", "element: dot (3) must divide group (128)"),
        ("bitmod-lossy --model phi-2 --set element", "must read key.path=value"),
        ("configs/chips/tiny.yaml --model phi-2", "an accelerator file has cairn.accelerator/1"),
        (
            "bitmod-lossy --model llama-3.1-405b --phase prefill --context 1048576",
            "context: the step takes more operations, cycles or bits than 64 bits can count; give a shorter one",
        ),
    ],
)
def test_mistakes_are_refused_in_one_line(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refusal(capsys, "layers", *words.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("bitmod-lossy", "the following arguments are required: --model"),
        ("--model phi-2", "the following arguments are required: ACCELERATOR"),
        ("bitmod-lossy --model phi-2 --phase train", "invalid choice: 'train' (choose from"),
        ("bitmod-lossy --model phi-2 --json --csv", "not allowed with argument"),
        ("bitmod-lossy --model phi-2 --weight-bits four", "invalid float value: 'four'"),
    ],
)
def test_options_that_are_missing_or_wrong_are_named(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["layers", *words.split()])
    assert ended.value.code == 2 and message in capsys.readouterr().err
