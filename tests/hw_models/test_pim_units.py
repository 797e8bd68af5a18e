"""Units whose parameters are published in part: PIM-GPT with its ASIC, UPMEM's cores."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest

from cairn.base.errors import ConfigError, InfeasibleError
from cairn.hw_models.pim.asic import FUNCTIONS, AsicSpec
from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.gemv import lower_gemv
from cairn.hw_models.pim.program import ProgramBuilder
from cairn.hw_models.pim.simulate import simulate_program, verdict_of
from cairn.hw_models.pim.standard import FOLDER, pim_presets, pim_standards, read_pim_standard
from cairn.hw_models.pim.upmem import UpmemSpec, upmem_gemv


def test_every_file_of_devices_states_its_source_and_every_preset_its_own() -> None:
    for standard in pim_standards().values():
        assert standard.source
        for preset in standard.presets.values():
            assert preset.source
            assert preset.energy is None or preset.energy.source


def test_what_pim_gpt_never_published_says_that_it_is_assumed() -> None:
    preset = pim_standards()[pim_presets()["PIM_GPT"]].presets["PIM_GPT"]
    assert "assumed" in preset.source
    assert preset.unit.channels == 8
    assert preset.energy is None, "none was published"
    assert sum("assumed" in str(field.json_schema_extra) for field in AsicSpec.model_fields.values()) == 3


def test_pim_gpt_is_aim_with_a_fourth_of_the_channels() -> None:
    eight, thirty_two = (simulate_program(lower_gemv(pim_device(name), 2048, 2048).program).cycles
                         for name in ("PIM_GPT", "GDDR6_AiM"))  # fmt: skip
    assert eight == pytest.approx(4 * thirty_two, rel=0.01)


def test_the_asic_takes_clocks_by_function_and_lanes() -> None:
    asic = AsicSpec(lanes=10, clock_ghz=0.5)
    assert asic.seconds("add", 25) == pytest.approx(3 / 0.5e9)
    assert asic.operations("softmax") == 3 + 12 + 9
    assert all(asic.seconds(one, 100) > 0 for one in FUNCTIONS)
    slow = AsicSpec(clock_ghz=0.1)
    assert slow.seconds("gelu", 4096) == pytest.approx(10 * AsicSpec().seconds("gelu", 4096))
    with pytest.raises(ConfigError, match="there is no function 'relu'"):
        asic.operations("relu")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="must be 0 or more, got -1"):
        asic.seconds("add", -1)


def test_a_transfer_of_upmem_costs_a_fixed_part_and_half_a_cycle_a_byte() -> None:
    spec = UpmemSpec()
    assert spec.dma_cycles(8) == 81
    assert spec.dma_cycles(2048, write=True) == 61 + 1024
    assert spec.dma_gb_per_s(2048) == pytest.approx(2048 * 0.35 / 1101)
    with pytest.raises(ConfigError, match="a transfer has 1 to 2,048 bytes, not 4096"):
        spec.dma_cycles(4096)


def test_eleven_threads_fill_the_pipeline_and_fewer_do_not() -> None:
    times = [upmem_gemv(UpmemSpec(threads=threads), 4096, 4096).compute_s for threads in (1, 5, 11, 16)]
    assert times[0] == pytest.approx(11 * times[2])
    assert times[1] == pytest.approx(11 / 5 * times[2])
    assert times[2] == times[3]


def test_a_product_on_upmem_is_bound_by_its_scalar_cores() -> None:
    time = upmem_gemv(UpmemSpec(), 2556, 1024)
    assert time.compute_s == pytest.approx(1024 * 5 / 350e6)
    assert time.compute_s > time.dma_s
    assert time.total_s == pytest.approx(time.compute_s + time.inputs_s + time.results_s)


def test_what_does_not_fit_a_core_is_infeasible_with_a_remedy() -> None:
    with pytest.raises(InfeasibleError, match=r"bank of a core: needs .*; use more cores"):
        upmem_gemv(UpmemSpec(cores=1), 1 << 14, 1 << 13)
    with pytest.raises(InfeasibleError, match=r"scratchpad of a core: needs .*; split the inputs"):
        upmem_gemv(UpmemSpec(), 16, 65536)
    with pytest.raises(ConfigError, match="inputs: must be at least 1, got 0"):
        upmem_gemv(UpmemSpec(), 16, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("mac: MAC16", "roles.mac: there is no command 'MAC61'"),
        ("TMOD -> ANY: nMODCH", "this reads like 'MAC16 AF16 -> PREA'"),
        ("mode_command: TMOD", "mode_command: there is no command 'TMOT'"),
        ("ACT16 -> PRE: nRAS", "there is no command 'ACT61'"),
        ("{ACT: 2950,", "energy.command_pj: there is no command ACTS"),
    ],
)
def test_a_device_file_with_a_mistake_is_refused_with_file_and_place(
    change: str, message: str, tmp_path: Path
) -> None:
    wrong = {
        "mac: MAC16": "mac: MAC61", "TMOD -> ANY: nMODCH": "TMOD ANY: nMODCH",
        "mode_command: TMOD": "mode_command: TMOT",
        "ACT16 -> PRE: nRAS": "ACT61 -> PRE: nRAS", "{ACT: 2950,": "{ACTS: 2950,",
    }  # fmt: skip
    file = tmp_path / "device.yaml"
    text = (FOLDER / "gddr6_aim.yaml").read_text(encoding="utf-8")
    assert change in text
    file.write_text(text.replace(change, wrong[change]), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read_pim_standard(file)
    assert message in str(refused.value)
    assert str(file) in str(refused.value)


def test_where_rules_meet_in_one_pair_the_longest_holds() -> None:
    device = pim_device("GDDR6_AiM")
    between = [limit.ticks for limit in device.dram.limits()
               if (limit.previous, limit.following, limit.scope) == ("EWMUL16", "PREA", "channel")]  # fmt: skip
    clocks = device.dram.clocks
    assert between == [max(clocks["nRTP"], clocks["nCWL"] + clocks["nWR"])]
    assert not math.isclose(clocks["nRTP"], between[0])


@pytest.mark.parametrize(("preset", "spacing"), [("HBM3_ATTACC", 6), ("HBM3_ATTACC_NPC", 4)])
def test_a_row_of_attacc_takes_what_its_limits_say(preset: str, spacing: int) -> None:
    program = ProgramBuilder(pim_device(preset))
    for row in range(20):
        program.add("MACAB", 32, row=row)
    run = simulate_program(program.build(), trace=True)
    opened = [tick for tick, number, *_ in run.commands.tolist()
              if program.device.standard.traced_commands[number] == "ACTAB"]  # fmt: skip
    assert {after - before for before, after in pairwise(opened)} == {31 * spacing + 8 + 19 + 19}
    assert verdict_of(run).count == 0
