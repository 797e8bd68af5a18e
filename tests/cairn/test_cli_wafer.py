"""`cairn wafer` end to end."""

from __future__ import annotations

import json

import pytest

from cairn.cli.main import main

SMALL = ["wafer", "llama-3-8b-decode-660", "--set", "mesh=32", "--set", "chip.sram.capacity_kib=16384"]


def test_a_decode_prints_what_its_json_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert main(SMALL) == 0
    text = capsys.readouterr().out
    assert content["schema"] == "cairn.wafer_result/1" and len(content["operators"]) == 13
    assert content["tokens_per_s"] == pytest.approx(1.1e9 / 32 / content["layer_cycles"])
    assert f"{content['tokens_per_s']:,.1f} tokens/s" in text and "32 x 32 cores" in text


def test_a_mesh_that_the_wafer_has_not_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wafer", "llama-3-8b-decode-660", "--set", "mesh=800"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "mesh (800) must not exceed rows and columns of the chip (750 x 750)" in err


def test_tiles_that_do_not_fit_are_infeasible(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wafer", "llama-3-8b-decode-660", "--set", "mesh=32"]) == 2
    assert "SRAM" in capsys.readouterr().err
