"""The parts of suite `pim` about systems: what they read, what they refuse, and that they fail where they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from cairn.base.errors import ConfigError
from cairn.sim.pim.outcome import Spent
from cairn.validation.gates import GateSheet, Verdict, judge
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suite import Suite, run_suite
from cairn.validation.suites.pim import attacc, attacc_system, cent, duplex, headlines, systems

SHEET = GateSheet.load(Path(attacc.__file__).with_name("gates.yaml"))
HEAD = "id,what,value,unit,conditions,source"
ODD = "attacc.cyc.BA.pc.d128.b2.h3.L4096"


def folder(path: Path, name: str, lines: list[str]) -> ReferenceDir:
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_text("\n".join(lines) + "\n")
    return ReferenceDir(path)


def verdict(gate: str, rows: list[Row]) -> Verdict:
    return judge(next(found for found in SHEET.gates if found.name == gate), rows).verdict


def test_recorded_clocks_are_read_by_name_with_the_moves_that_were_counted(tmp_path: Path) -> None:
    """Three heads are one wave: 54 soft-maxes are 18 a head, so the probabilities went 17 times more often."""
    line = f"{ODD},x,9000,cycle,commands: mac=3076 softmax=54 mvgb=1,made up for this test"
    (row,) = attacc.rows(folder(tmp_path, attacc.RECORDED, [HEAD, line]))
    assert row.reference == 9000 and row.prediction is not None
    assert row.baselines["moves as recorded"] > row.prediction
    assert verdict("attacc_bank", [row]) is Verdict.FAIL


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("attacc.cyc.XX.pc.d128.b2.h3.L4096,x,1,c,softmax=3,s", "id: an id reads"),
        (f"{ODD},x,1,c,mac=3,s", "conditions: the commands say softmax=<count>"),
    ],
)
def test_rows_that_cannot_be_read_are_refused_by_field(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        list(attacc.rows(folder(tmp_path, attacc.RECORDED, [HEAD, line])))


def test_files_that_are_not_there_are_noted_and_leave_the_other_parts(tmp_path: Path) -> None:
    reference = ReferenceDir(tmp_path)
    for part in (attacc, attacc_system, cent, duplex, headlines):
        assert not list(part.rows(reference))
    assert len(reference.missed) == 6


def test_a_ratio_compares_two_systems_that_run_the_same_and_its_sign_can_fail(tmp_path: Path) -> None:
    """Shipped runs of OPT-66B, batch 32, 1,024 tokens; then with the two systems' latencies exchanged."""
    lines = [
        line
        for line in (duplex_file()).read_text().splitlines()
        if line.startswith(("run,", "rdec_opt66b_gpu_b32_l1024,", "rdec_opt66b_bankpim_b32_l1024,"))
    ]
    rows = list(duplex.rows(folder(tmp_path, duplex.RUNS, lines)))
    ratios = [row for row in rows if "duplex_ratio" in row.counts]
    assert len(lines) == 3 and len(ratios) == 1
    assert ratios[0].reference == pytest.approx(20.901496 / 14.058158)
    assert verdict("duplex_sign", ratios) is Verdict.PASS and verdict("duplex_ratio", ratios) is Verdict.PASS
    gpu, bank = "20.901496", "14.058158"
    swapped = [line.replace(gpu, "?").replace(bank, gpu).replace("?", bank) for line in lines]
    turned = [row for row in duplex.rows(folder(tmp_path, duplex.RUNS, swapped)) if "duplex_ratio" in row.counts]
    assert verdict("duplex_sign", turned) is Verdict.FAIL and verdict("duplex_ratio", turned) is Verdict.FAIL


def duplex_file() -> Path:
    return ReferenceDir().path(duplex.RUNS)


def test_a_model_that_is_not_shipped_is_a_row_without_a_prediction_and_fails_its_gate(tmp_path: Path) -> None:
    lines = duplex_file().read_text().splitlines()
    one = next(line for line in lines if line.startswith("rdec_mixtral_gpu"))
    (row,) = duplex.rows(folder(tmp_path, duplex.RUNS, [lines[0], one.replace("mixtral", "nosuch")]))
    assert row.prediction is None and row.remark == "refused: model: no model called nosuch is shipped"
    assert verdict("duplex_ramulator", [row]) is Verdict.FAIL


def test_a_block_of_cent_counts_instructions_that_differ(tmp_path: Path) -> None:
    lines = ReferenceDir().path(cent.RUNS).read_text().splitlines()
    norm = next(line for line in lines if ",norm," in line)
    fields = norm.split(",")
    fields[lines[0].split(",").index("isr_MAC_ABK")] = "5"
    clocks, counts = cent.rows(folder(tmp_path, cent.RUNS, [lines[0], ",".join(fields)]))
    assert verdict("cent_parts", [clocks]) is Verdict.PASS
    assert counts.prediction == 3 and verdict("cent_instructions", [counts]) is Verdict.FAIL


def test_published_blocks_are_read_by_name(tmp_path: Path) -> None:
    where = "one transformer block, 32 channels per block, context 128"
    lines = [
        f'cent.blk.Llama2-7B.pp1.tp8.L128.{part},x,{value},ms,"{where}",made up'
        for part, value in (("pim", 0.0182), ("acc", 0.002), ("cxl", 0.004), ("tot", 0.0242), ("emb", 1.0))
    ]
    rows = list(cent.rows(folder(tmp_path, cent.PUBLISHED, [HEAD, *lines])))
    assert [row.kind.rpartition(" ")[2] for row in rows] == ["pim", "acc", "cxl", "tot"]
    parts = [row.prediction or 0.0 for row in rows]
    assert sum(parts[:3]) == pytest.approx(parts[3])
    assert verdict("cent_pim", rows[:1]) is Verdict.PASS


def test_systems_are_held_against_the_same_gpus_without_stacks(tmp_path: Path) -> None:
    where = '"Lin 2048, Lout 128; command: --powerlimit"'
    lines = [
        f"attacc.sys.dgx.A100a.8.GPT-175B.b8.lat,x,40,ms,{where},made up",
        f"attacc.sys.dgx-attacc.A100a.8.GPT-175B.b8.bank.lat,x,20,ms,{where},made up",
        f"attacc.sys.dgx-cpu.A100a.8.GPT-175B.b8.lat,x,200,ms,{where},made up",
    ]
    rows = {row.id: row for row in attacc_system.rows(folder(tmp_path, attacc_system.RUNS, [HEAD, *lines]))}
    gain = rows["attacc.sys.dgx-attacc.A100a.8.GPT-175B.b8.bank.speedup"]
    assert gain.reference == 2 and gain.prediction is not None and gain.prediction > 1
    assert rows["attacc.sys.dgx-cpu.A100a.8.GPT-175B.b8.lat"].prediction is None


def test_decodes_of_cent_are_read_by_name_with_the_channels_that_their_blocks_have(tmp_path: Path) -> None:
    where = '"total context 4096 (512 prefill + decode), phase decoding"'
    lines = [
        'cent.blk.Llama2-7B.pp32.tp1.L128.pim,x,0.2,ms,"one transformer block, 8 channels per block, context 128",s',
        f"cent.Llama2-7B.dv8.pp32.tp1.decoding.tput,x,2850,token/s,{where},made up",
        f"cent.Llama2-7B.dv8.pp32.tp1.decoding.epj,x,71,mJ/token,{where},made up",
        f"cent.NoSuch-7B.dv8.pp32.tp1.decoding.tput,x,1,token/s,{where},made up",
    ]
    rows = list(systems.rows(folder(tmp_path, systems.PUBLISHED, [HEAD, *lines])))
    assert [row.unit for row in rows] == ["token/s", "mJ/token", "token/s"]
    speed, energy, unknown = rows
    assert speed.prediction == pytest.approx(2850, rel=0.1)
    assert energy.prediction is not None
    assert energy.baselines["standby of a channel"] == pytest.approx(71, rel=0.1)
    assert energy.prediction > energy.baselines["standby of a channel"], "standby flows in every channel"
    assert unknown.prediction is None and unknown.remark == "refused: model: no model called NoSuch-7B is shipped"


def test_headlines_of_pim_gpt_follow_from_the_shipped_runs(tmp_path: Path) -> None:
    lines = [f"pimgpt.{name},x,{value},%,,made up" for name, value in (("rowhit", 98), ("io.max", 259), ("ch", 8))]
    hits, inside = systems.rows(folder(tmp_path, systems.PAPERS, [HEAD, *lines]))
    assert (hits.counts, inside.counts) == (("pim_gpt",), ("pim_gpt",))
    assert hits.prediction == pytest.approx(98, abs=1) and inside.prediction == pytest.approx(199, abs=1)


def test_a_choice_of_the_slower_side_of_attacc_would_fail_and_runs_without_one_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = list(systems.choice_rows())
    counted = [row for row in found if row.counts == ("duplex_choice",)]
    assert len(counted) == 3 * (3 + 1) and max(row.error() for row in counted) == 0
    assert {row.remark.split()[0] for row in found if not row.counts} == {"cent", "pim_gpt"}

    def slower(spec: object, graph: object) -> tuple[systems.SystemTime, ...]:
        where = getattr(spec, "attention", None)
        seconds = {systems.AttendOn.GPU: 2.0, systems.AttendOn.STACKS: 1.0, systems.AttendOn.FASTEST: 2.0}
        return (systems.SystemTime("made up", (Spent("all", "here", seconds[where]),), 1),)

    monkeypatch.setattr("cairn.sim.pim.system_run.attacc_times", slower)
    assert all(row.error() == pytest.approx(1.0) for row in systems.choice_rows() if row.counts)


def test_energy_of_duplex_counts_for_its_own_gates(tmp_path: Path) -> None:
    lines = duplex_file().read_text().splitlines()
    some = [line for line in lines if line.startswith(("rdec_opt66b_gpu_b32_l1024,", "rdec_opt66b_bankpim_b32_l1024,"))]
    rows = [row for row in duplex.rows(folder(tmp_path, duplex.RUNS, [lines[0], *some])) if row.unit == "J"]
    gates = {row.counts[0].removeprefix("duplex_energy_") for row in rows}
    assert gates == {"memory", "memory_bank", "operations"} and len(rows) == 4
    assert max(abs(row.error()) for row in rows) < 0.02


def test_a_gate_whose_file_is_not_shipped_is_skipped_where_that_file_is_not_here() -> None:
    needed = [gate for gate in SHEET.gates if gate.needs]
    assert {gate.needs for gate in needed} == {attacc.RECORDED, cent.PUBLISHED}
    sheet = SHEET.model_copy(update={"gates": (*needed, *(g for g in SHEET.gates if g.name == "cent_parts"))})
    row = Row("cent.made_up", "made up", 100, 101, "clocks", "this test", ("cent_parts",))

    def predict(reference: ReferenceDir, run_all: bool) -> list[Row]:
        reference.missed.extend(f"{gate.needs} is not there" for gate in needed)
        return [row]

    found = run_suite(Suite("made up", predict, sheet), ReferenceDir())
    assert found.verdict is Verdict.PASS
    assert {gate.verdict for gate in found.gates} == {Verdict.SKIPPED, Verdict.PASS}
    bare = sheet.model_copy(update={"gates": tuple(gate.model_copy(update={"needs": ""}) for gate in sheet.gates)})
    assert run_suite(Suite("made up", predict, bare), ReferenceDir()).verdict is Verdict.FAIL
