"""Where cores and PIM meet: by peaks exactly, with the memory's commands by their times, and for operators of steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.duplex import DuplexSpec, PimSpec, Unit
from cairn.sim.pim.crossover import Work, crossings, operators_by_intensity, rates, seconds
from cairn.sim.pim.crossover_plot import plot_crossover
from tests.sim.test_pim_step import LLAMA, MIXTRAL, decode

PAIRS = [(Unit.BANK, Unit.LOGIC), (Unit.BANK, Unit.CORES), (Unit.LOGIC, Unit.CORES)]


def test_by_peaks_alone_units_meet_where_operations_of_one_are_the_bytes_of_the_other() -> None:
    """Bank PIM: 16 times the bus, 1 op/B; Logic-PIM: 4 times, 8 op/B: 16 / 4, 16 / 1 and 32 / 1."""
    found = crossings(DuplexSpec(simulated_memory=False), Work.KEYS)
    assert [(each.below, each.above) for each in found] == PAIRS
    assert [each.ops_per_byte for each in found] == pytest.approx([4, 16, 32], rel=1e-9)
    assert [each.ops_per_s for each in found] == pytest.approx([16 * 3.352e12, 16 * 3.352e12, 32 * 3.352e12])


@pytest.mark.parametrize("work", Work)
def test_at_a_crossing_both_units_take_the_same_time_and_the_order_turns_there(work: Work) -> None:
    spec = DuplexSpec()
    found = crossings(spec, work)
    assert [(each.below, each.above) for each in found] == PAIRS
    for each in found:
        before, at, after = (each.ops_per_byte * factor for factor in (0.99, 1.0, 1.01))
        assert seconds(spec, each.below, work, at) == pytest.approx(float(seconds(spec, each.above, work, at)), 1e-3)
        assert seconds(spec, each.below, work, before) < seconds(spec, each.above, work, before)
        assert seconds(spec, each.below, work, after) > seconds(spec, each.above, work, after)


def test_more_operations_per_byte_move_the_crossing_with_the_cores_to_the_right() -> None:
    few, many = (
        crossings(DuplexSpec(logic=PimSpec(ops_per_byte=each)), Work.WEIGHTS)[-1].ops_per_byte for each in (4.0, 8.0)
    )
    assert 1.9 * few < many < 2.2 * few


@pytest.mark.parametrize("work", Work)
def test_no_unit_does_more_than_its_operations_or_its_bytes_allow(work: Work) -> None:
    spec, at = DuplexSpec(), np.geomspace(0.5, 4096, 50)
    bus = spec.bandwidth_gb_per_s * 1e9
    reached = rates(spec, work, at)
    for unit, widths, most in ((Unit.CORES, 1, 989.4e12), (Unit.LOGIC, 4, 32 * bus), (Unit.BANK, 16, 16 * bus)):
        assert (reached[unit] <= np.minimum(at * widths * bus, most) * (1 + 1e-9)).all()


def test_operators_stand_at_the_tokens_of_their_weights_and_the_heads_of_their_keys() -> None:
    table = operators_by_intensity({("mixtral", 32): MIXTRAL, ("llama", 16): LLAMA})
    dense = table[table["kind"] == "dense"].set_index("model")["ops_per_byte"]
    assert set(dense["mixtral"]) == {32.0} and set(dense["llama"]) == {16.0}
    halved = operators_by_intensity({("mixtral", 32): MIXTRAL}, groups=2)
    assert set(halved[halved["kind"] == "dense"]["ops_per_byte"]) == {16.0}
    keys = table[table["kind"] == "attention"].set_index("model")["ops_per_byte"]
    assert keys["mixtral"] == 4 and keys["llama"] == 1
    experts = table[(table["kind"] == "experts") & (table["operator"] == "experts_down")]
    tokens = experts["ops_per_byte"] * experts["count"]
    assert tokens.sum() == 32 * 2 * 32, "32 layers, 32 tokens, 2 experts each"


def test_the_picture_has_rings_with_the_operations_per_byte_of_each_crossing(tmp_path: Path) -> None:
    table = operators_by_intensity({("Mixtral", 32): MIXTRAL, ("Llama-2-7B", 16): LLAMA})
    spec = DuplexSpec()
    figure = plot_crossover(spec, table, tmp_path / "crossover.png")
    for axes, work in zip(figure.axes[:2], Work, strict=True):
        texts = [text.get_text() for text in axes.texts]
        assert [f"{each.ops_per_byte:.3g}" for each in crossings(spec, work)] == texts[:3]
        assert len(axes.lines) == 3 + 2 * 3
    assert [label.get_text() for label in figure.axes[2].get_yticklabels()] == ["Mixtral", "Llama-2-7B"]
    picture = imread(tmp_path / "crossover.png")
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 20


def test_questions_without_an_answer_are_refused_by_field() -> None:
    with pytest.raises(ConfigError, match="ops_per_byte: give more than 0 operations per byte"):
        seconds(DuplexSpec(), Unit.CORES, Work.KEYS, [1, 0])
    with pytest.raises(ConfigError, match="least: give 0 < least < most, not 8 and 4"):
        crossings(DuplexSpec(), Work.KEYS, 8, 4)
    with pytest.raises(ConfigError, match="operators: give operators of 1 to 7 batches, not of 0"):
        plot_crossover(DuplexSpec(), pd.DataFrame({"batch": [], "model": []}))


def test_latent_keys_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model: attention with latent keys \(attention\) has no PIM model here"):
        operators_by_intensity({("deepseek-v3", 4): decode("deepseekv3", 4, 128)})
