"""`cairn pim`: a product on a memory that computes, from the command line."""

from __future__ import annotations

import json

import pytest

from cairn.cli.main import main


def test_a_product_is_told_as_a_table_with_time_commands_and_energy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pim", "GDDR6_AiM", "--gemv", "4096x4096", "--map", "accumulators=8"]) == 0
    text = capsys.readouterr().out
    assert "7,995 cycles" in text
    assert "2,048 MAC16" in text
    assert "activate 48.339" in text


def test_json_has_the_same_and_settings_and_switches_are_laid_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pim", "GDDR6_AiM", "--gemv", "512x1024", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    words = ["--json", "--switch", "faw", "--set", "nCCDL=3", "--vectors", "2"]
    assert main(["pim", "GDDR6_AiM", "--gemv", "512x1024", *words]) == 0
    changed = json.loads(capsys.readouterr().out)
    assert plain["cycles"] == 226 + 180 + 8
    assert changed["switches"] == ["faw"]
    assert changed["useful_macs"] == 2 * plain["useful_macs"]
    assert changed["cycles"] > 2 * plain["cycles"]


def test_blocks_with_registers_say_how_much_is_padding(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pim", "HBM2_PIM", "--gemv", "1024x4096"]) == 0
    assert "75.0 % of multiplications" in capsys.readouterr().out


def test_a_sweep_prints_every_mapping_the_fastest_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pim", "GDDR6_AiM", "--gemv", "4096x4096", "--sweep", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["cycles"] for row in rows] == sorted(row["cycles"] for row in rows)
    assert 13056 in {row["cycles"] for row in rows}
    assert main(["pim", "GDDR6_AiM", "--gemv", "4096x4096", "--sweep"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("accumulators  vectors_together  inner  k_parts  share_rows  cycles")
    assert f"more (--json prints all), the slowest {rows[-1]['cycles']:,} cycles" in text


def test_the_list_names_presets_and_switches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pim", "--list"]) == 0
    text = capsys.readouterr().out
    assert "GDDR6_AiM " in text
    assert "switch faw (off)" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name a preset and a product"),
        (["GDDR6_AiM"], "name a preset and a product"),
        (["GDDR6_AiM", "--gemv", "4096"], "--gemv 4096: this reads like 4096x4096"),
        (["GDDR6_AiN", "--gemv", "4x4"], "there is no PIM preset 'GDDR6_AiN'; did you mean 'GDDR6_AiM'?"),
        (["GDDR6_AiM", "--gemv", "4x4", "--map", "accumulators=0"], "--map accumulators: Input should be greater"),
        (["GDDR6_AiM", "--gemv", "4x4", "--map", "sums=2"], "--map sums: Extra inputs are not permitted"),
        (["GDDR6_AiM", "--gemv", "4x4", "--set", "nRP"], "--set nRP: this reads like KEY=VALUE"),
        (["GDDR6_AiM", "--gemv", "4x4", "--set", "nRP=x"], "--set nRP: must be a whole number from 0 to 1,000,000"),
        (["GDDR6_AiM", "--gemv", "4x4", "--set", "rk=0"], "rk: Input should be greater than 0, got 0"),
        (["GDDR6_AiM", "--gemv", "4x4", "--set", "bg=2"], "8 banks with a unit for each bank need 8 units, not 16"),
        (["GDDR6_AiM", "--gemv", "4x4", "--set", "lanes=8"], "lanes: 8 lanes of 16 bits are 16 bytes; a column has 32"),
        (["GDDR6_AiM", "--gemv", "4x4", "--vectors", "0"], "vectors: must be at least 1, got 0"),
        (["HBM2_PIM", "--gemv", "4x4", "--map", "k_parts=2"], "units of HBM2_PIM have registers; their order is fixed"),
        (["GDDR6_AiM", "--gemv", "9000000x9000"], "rows of a bank"),
    ],
)
def test_a_mistake_is_told_in_one_message_with_exit_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pim", *words]) == 2
    assert message in capsys.readouterr().err
