"""Whole systems with PIM: decode of CENT's published runs, PIM-GPT's headlines, energy that AttAcc saves.

For no gate: CENT's accelerators and links are its own cost model, PIM-GPT's ASIC is assumed, headlines name no runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Final

from cairn.base.errors import CairnError, ConfigError
from cairn.hw_models.pim.attacc import Placement
from cairn.hw_models.pim.device import pim_device
from cairn.sim.config.resolve import PIM_SYSTEM, shipped
from cairn.sim.pim.attacc_run import AttaccRunSpec, AttendOn
from cairn.sim.pim.cent_run import CentRunSpec, cent_time
from cairn.sim.pim.outcome import SystemTime
from cairn.sim.pim.pim_gpt import PimGptSpec
from cairn.sim.pim.system_run import PimSystemSpec, load_pim_system
from cairn.validation.reference import Record, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.shipped import plain_name, shipped_models
from cairn.validation.suites.pim.cent import CHANNELS, ID, OBTAIN, PUBLISHED

PAPERS: Final = "pim/paper_headlines.csv"
WHOLE: Final = re.compile(r"cent\.([\w-]+)\.dv(\d+)\.pp(\d+)\.tp(\d+)\.decoding\.(tput|epj)")
LENGTHS: Final = re.compile(r"total context (\d+) \((\d+) prefill")
KINDS: Final = {"tput": "CENT decode, tokens/s", "epj": "CENT decode, energy of a token"}
GPT_MODELS: Final = ("gpt-2-small", "gpt-2-medium", "gpt-2-large", "gpt-3-xl")
"""Of PIM-GPT's eight models those that are shipped and fit: GPT-2-XL needs two rows of a bank more than there are."""
FRACTIONS: Final = (1, 6, 54)
"""Parts of the shipped batch in which the choice of AttAcc's attention is tried; GPUs win by a buffer at a sixth."""
NO_CHOICE: Final = "has no cores beside its banks, so no operator can go elsewhere"


def rows(reference: ReferenceDir) -> Iterator[Row]:
    """CENT's decodes by pipeline and division, then headlines of PIM-GPT and AttAcc."""
    if reference.optional(PUBLISHED, OBTAIN) is not None:
        records = list(reference.csv(PUBLISHED))
        channels = _channels(records)
        for record in records:
            if (found := WHOLE.fullmatch(record.text("id"))) is not None:
                yield _whole(record, found, channels)
    if reference.optional(PAPERS) is not None:
        for record in reference.csv(PAPERS):
            yield from _headline(record)


def choice_rows() -> Iterator[Row]:
    """AttAcc's attention where it is done first, against the GPUs and the stacks alone; a row without a gate for each
    shipped run that has no such choice."""
    for name in shipped(PIM_SYSTEM):
        spec = load_pim_system(name)
        if isinstance(spec.machine, AttaccRunSpec):
            for placement, fraction in product(Placement, FRACTIONS):
                plain = {"placement": placement, "pipelined": False, "shared_ffn": False}
                batch = max(spec.batch // fraction, 1)
                yield _choice(spec.model_copy(update={"batch": batch}), spec.machine.model_copy(update=plain))
                if placement is spec.machine.placement:
                    yield _choice(spec.model_copy(update={"batch": batch}), spec.machine)
        else:
            (only,) = spec.run()
            ms, told = only.seconds * 1e3, f"{spec.machine.kind} {NO_CHOICE}"
            yield Row(f"pim/{name}/only", "step, no choice", ms, ms, "ms", "the run itself", remark=told)


def _choice(spec: PimSystemSpec, machine: AttaccRunSpec) -> Row:
    def ms(where: AttendOn) -> float:
        overlaps = {} if where is not AttendOn.GPU else {"pipelined": False, "shared_ffn": False}
        chosen = machine.model_copy(update={"attention": where, **overlaps})
        return spec.model_copy(update={"machine": chosen}).run()[-1].seconds * 1e3

    best, took = min(ms(AttendOn.GPU), ms(AttendOn.STACKS)), ms(AttendOn.FASTEST)
    how = machine.placement.value + (", overlapped" if machine.pipelined else "")
    return Row(
        f"pim/{spec.name}/{how}/batch {spec.batch}/choice", "step, no slower than either side", best,
        max(took, best), "ms", "the faster of GPUs and stacks alone", ("duplex_choice",), remark=f"takes {took:.3f} ms",
    )  # fmt: skip


def _channels(records: list[Record]) -> Mapping[tuple[str, int, int], int]:
    """Channels of a block by model, pipeline stages and division, as the rows of blocks state them."""
    found = {}
    for record in records:
        name, said = ID.fullmatch(record.text("id")), CHANNELS.search(record.text("conditions"))
        if name is not None and said is not None:
            found[name[1], int(name[2]), int(name[3])] = int(said[1])
    return found


def _whole(record: Record, found: re.Match[str], channels: Mapping[tuple[str, int, int], int]) -> Row:
    """Tokens/s or mJ a token of a decode, at the mean of its contexts."""
    name, devices, stages, divided, what = found[1], int(found[2]), int(found[3]), int(found[4]), found[5]
    lengths = LENGTHS.search(record.text("conditions"))
    if lengths is None:
        message = "the conditions say the total context and its prefill"
        raise ConfigError(message, file=record.file, line=record.line, key="conditions")
    context = (int(lengths[1]) + int(lengths[2])) // 2
    of_device = pim_device("GDDR6_AiM").unit.channels
    blocks = channels.get((name, stages, divided), of_device)
    prediction, baselines, remark = None, {}, ""
    try:
        time = _cent(name, devices, blocks, divided, stages, context)
        prediction = float(time.total()["tokens_per_s" if what == "tput" else "mj_per_token"] or 0.0)
        if what == "epj":
            standby = sum(each.joules or 0.0 for each in time.spent if each.operator == "standby")
            baselines["standby of a channel"] = prediction - 1e3 * standby * (1 - 1 / of_device) / time.in_flight
    except CairnError as refused:
        remark = f"refused: {refused}"
    gates = ("cent_tput",) if what == "tput" else ("cent_epj", "cent_epj_as_charged")
    return Row(
        record.text("id"), KINDS[what], record.number("value"), prediction, record.text("unit"),
        f"reference/{PUBLISHED} (CENT 8c79786, its authors' results)", gates, baselines=baselines, remark=remark,
    )  # fmt: skip


@cache
def _cent(name: str, devices: int, channels: int, divided: int, stages: int, context: int) -> SystemTime:
    model = shipped_models().get(plain_name(name))
    if model is None:
        raise ConfigError(f"no model called {name} is shipped", key="model")
    spec = CentRunSpec(devices=devices, channels=channels, block_devices=divided)
    return cent_time(spec, model, stages, context)


def _headline(record: Record) -> Iterator[Row]:
    answers = {
        "pimgpt.nonvmm": lambda: _gpt("gpt-3-xl")["outside_products_percent"],
        "pimgpt.rowhit": lambda: _gpt("gpt-3-xl")["row_hits_percent"],
        "pimgpt.asicfreq": lambda: max(_gpt(name)["slow_asic_percent"] for name in GPT_MODELS),
        "pimgpt.io.min": lambda: min(_gpt(name)["off_chip_reduction"] for name in GPT_MODELS),
        "pimgpt.io.max": lambda: max(_gpt(name)["off_chip_reduction"] for name in GPT_MODELS),
        "attacc.energy": lambda: load_pim_system("gpt-3-175b-attacc").run()[-1].figures["energy_saved_percent"],
    }
    if (answer := answers.get(record.text("id"))) is not None:
        gate = "pim_gpt" if record.text("id").startswith("pimgpt.") else "headlines"
        yield Row(
            record.text("id"), "headlines" + (", PIM-GPT" if gate == "pim_gpt" else ""), record.number("value"),
            float(answer()), record.text("unit"), f"{PAPERS} ({record.text('source')})", (gate,),
            remark=record.text("conditions"),
        )  # fmt: skip


@cache
def _gpt(name: str) -> Mapping[str, float]:
    """Figures of a token of a model on PIM-GPT after 1,024, as shipped."""
    shipped_run = load_pim_system("gpt-3-xl-pim-gpt", (f"model={name}",))
    if not isinstance(shipped_run.machine, PimGptSpec):
        raise ConfigError("the shipped run is of another system", key="machine")
    return shipped_run.run()[0].figures

