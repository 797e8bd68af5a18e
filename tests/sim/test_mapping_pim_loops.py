"""Products on PIM units in either order of loops: NumPy's numbers, what lies in the halves, and turns of each part."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.pim_spec import RESULT_BITS
from cairn.hw_models.dram.request import REQUEST_COLUMNS, TURNS
from cairn.sim.config.run_config import Engine, RunConfig, load
from cairn.sim.mapping.matmul_cost import MatmulShape
from cairn.sim.mapping.options import MappingSpec, PimRule, PimStationary
from cairn.sim.mapping.pim_choice import cut_of
from cairn.sim.plan.plan import CAUSES, COMPUTE, COMPUTE_COLUMNS, COPY_COLUMNS, PIM, Plan, Trace
from cairn.sim.report.work import count_work
from cairn.sim.run import run_plan, simulate

from .numbers_models import check_against_numpy, run_on_numbers
from .test_mapping_pim import UNITS, config


def tight(units: str, step: str, stationary: PimStationary, accumulators: int, model: str = "gqa") -> RunConfig:
    """Products alone on units whose buffer holds a column or two of each row, on cores with large blocks."""
    few = {"accumulators": accumulators, "buffer_kib": 0.125 if step == "decode" else 0.03125}
    made = config(model, step, units, grid="2x2", rule="products", **few)
    return made.model_copy(update={"mapping": made.mapping.model_copy(update={"pim_stationary": stationary})})


@pytest.mark.parametrize("accumulators", [1, 2, 5])
@pytest.mark.parametrize("stationary", list(PimStationary))
@pytest.mark.parametrize("units", list(UNITS))
def test_products_in_either_order_of_loops_have_numpys_numbers(
    units: str, stationary: PimStationary, accumulators: int
) -> None:
    for model, step in (("gqa", "decode"), ("moe", "decode_one")):
        check_against_numpy(tight(units, step, stationary, accumulators, model))


@pytest.mark.parametrize("stationary", list(PimStationary))
def test_dependences_alone_order_partial_sums_and_their_additions(stationary: PimStationary) -> None:
    check_against_numpy(tight("logic", "decode", stationary, 4), 3)


@pytest.mark.parametrize("stationary", list(PimStationary))
def test_both_engines_agree_on_either_order_of_loops(stationary: PimStationary) -> None:
    made = tight("logic", "decode", stationary, 4)
    plan = run_on_numbers(made).plan
    compiled, reference = run_plan(plan, made.chip), run_plan(plan, made.chip, Engine.REFERENCE)
    for name in ("start", "first", "end"):
        np.testing.assert_array_equal(getattr(compiled, name), getattr(reference, name), err_msg=name)


def _most_at_once(spans: list[tuple[int, int]]) -> int:
    """Spans (begin, end) of which most are under way at a time."""
    ends = [(end, -1) for _, end in spans]
    running = np.cumsum([change for _, change in sorted([(begin, 1) for begin, _ in spans] + ends)])
    return int(running.max(initial=0))


def _spans(plan: Plan, trace: Trace, op: int, channel: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Of a product in a channel: when segments are in the buffer, from their fill to the last tile that uses them, and
    when sums are in the accumulators, from their first tile to the end of their read."""
    events = []
    for task in np.flatnonzero((plan.op == op) & (plan.server == 0)).tolist():
        request = dict(zip(REQUEST_COLUMNS, plan.requests[0][plan.request[task]].tolist(), strict=True))
        if request["channel"] == channel:
            works = plan.kind[task] == COMPUTE
            row = (plan.compute if works else plan.copies)[plan.row[task]].tolist()
            row = dict(zip(COMPUTE_COLUMNS if works else COPY_COLUMNS, row, strict=True))
            events.append((int(trace.start[task]), int(trace.end[task]), row))
    buffers: dict[tuple[int, ...], tuple[int, int]] = {}
    sums: dict[tuple[int, ...], int] = {}
    segments, held = [], []
    for begin, end, row in sorted(events, key=lambda event: event[:2]):
        if "m0" in row:
            x = row["m0"], row["k0"]
            buffers[x] = buffers[x][0], end
            sums.setdefault((row["m0"], row["n0"]), begin)
        elif row["destination_kind"] == PIM:
            x = row["r0"], row["c0"]
            segments += [buffers.pop(x)] if x in buffers else []
            buffers[x] = begin, end
        else:
            held.append((sums.pop((row["r0"], row["c0"])), end))
    assert not sums
    return segments + list(buffers.values()), held


@pytest.mark.parametrize("accumulators", [1, 2, 6])
@pytest.mark.parametrize("stationary", list(PimStationary))
def test_no_more_lies_in_buffer_and_accumulators_than_two_halves(stationary: PimStationary, accumulators: int) -> None:
    most = set()
    for units, step in product(UNITS, ("decode", "decode_one")):
        done = run_on_numbers(tight(units, step, stationary, accumulators))
        for op in np.unique(done.plan.op[(done.plan.kind == COMPUTE) & (done.plan.server == 0)]).tolist():
            segments, sums = _spans(done.plan, done.trace, op, 0)
            most.add(_most_at_once(segments))
            assert _most_at_once(sums) <= min(2, accumulators)
    assert max(most) == 2


def _between_cores_and_units(made: RunConfig) -> tuple[int, int, int]:
    """Bytes to the buffers, bytes from them, and additions of the vector units."""
    work = count_work(simulate(made))
    sent, read = (int(work.moved[:, :2, CAUSES.index(cause)].sum()) for cause in ("pim_input", "pim_result"))
    return sent, read, int(work.vector_ops.sum())


def test_either_order_saves_transfers_of_what_it_keeps_and_additions_are_those_of_sums_read_again() -> None:
    outputs, inputs = (_between_cores_and_units(tight("logic", "decode", each, 4)) for each in PimStationary)
    roomy = config("gqa", "decode", grid="2x2", rule="products", buffer_kib=64, accumulators=256)
    least = _between_cores_and_units(roomy)
    assert inputs[0] == least[0] < outputs[0]
    assert outputs[1] == least[1] < inputs[1]
    assert outputs[2] == least[2]
    assert (inputs[2] - least[2]) * RESULT_BITS // 8 == inputs[1] - least[1]


def test_either_order_does_the_operations_of_the_cores_on_the_same_columns() -> None:
    outputs, inputs = (count_work(simulate(tight("logic", "decode", each, 4))) for each in PimStationary)
    cores = count_work(simulate(config("gqa", "decode", grid="2x2", rule="none")))
    for work in (outputs, inputs):
        assert (work.pim_ops + work.matrix_ops == cores.matrix_ops).all()
    np.testing.assert_array_equal(outputs.pim_bytes, inputs.pim_bytes)


@pytest.mark.parametrize("accumulators", [1, 2, 5, 32])
@pytest.mark.parametrize("rows", [1, 3, 8, 16])
def test_sums_under_way_have_an_accumulator_each(accumulators: int, rows: int) -> None:
    chip = config("gqa", "decode", "bank", accumulators=accumulators, buffer_kib=4).chip
    units = chip.pim
    assert units is not None
    cut = cut_of(MatmulShape(rows, 64, 64, 16, 16, 16), chip, units)
    outputs = cut.tile_n // units.together(chip.dram.banks_per_channel)
    assert cut.halves * outputs * units.sets_of(cut.rows) <= accumulators
    assert sum(cut.parts(rows)) == rows


@pytest.mark.parametrize(
    ("parts", "accumulators", "rows", "turns"), [(1, 4, 4, 2), (2, 4, 4, 3), (3, 4, 4, 4), (2, 2, 2, 2)]
)
def test_turns_of_a_part_of_rows_are_counted_in_parts_of_the_spacing_one_whole_at_least(
    parts: int, accumulators: int, rows: int, turns: int
) -> None:
    few = {"accumulators": accumulators, "buffer_kib": 4, "rows_at_once": 3, "turn_parts": parts}
    plan = check_against_numpy(config("gqa", "decode", grid="2x2", rule="products", **few)).plan
    tasks = np.flatnonzero((plan.kind == COMPUTE) & (plan.server == 0))
    m0, m1 = (plan.compute[plan.row[tasks], COMPUTE_COLUMNS.index(name)] for name in ("m0", "m1"))
    flags = plan.requests[0][plan.request[tasks], REQUEST_COLUMNS.index("flags")]
    assert set((m1 - m0).tolist()) == {rows}
    assert set((flags // TURNS).tolist()) == {turns}


def test_the_default_order_of_loops_is_not_named_so_that_hashes_stay() -> None:
    assert "pim_stationary" not in MappingSpec(pim=PimRule.ALL).model_dump()
    assert MappingSpec(pim_stationary=PimStationary.INPUTS).model_dump()["pim_stationary"] == "inputs"


def test_an_order_of_loops_that_is_none_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"pim_stationary: is 'weights' \(allowed: inputs, outputs\)"):
        load("llama-2-7b-decode-pim", ["mapping.pim_stationary=weights"])
