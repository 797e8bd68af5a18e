"""CENT: a Llama 2 block on AiM channels, against its traces on AiM's simulator and its published results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from cairn.base.errors import CairnError, ConfigError
from cairn.hw_models.pim.cent import CentMapping, LlamaBlock, Part, PartTime, block_clocks, block_parts
from cairn.hw_models.pim.cent_host import CentHostSpec, accelerators_s, links_s
from cairn.hw_models.pim.device import PimDevice, pim_device
from cairn.validation.reference import Record, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.shipped import plain_name, shipped_models

RUNS: Final = "systems/cent_block_runs.csv"
PUBLISHED: Final = "pim/cent_results.csv"
OBTAIN: Final = "it is extracted from the result files of Yufeng98/CENT (MIT), whose repository has them"
ID: Final = re.compile(r"cent\.blk\.(.+)\.pp(\d+)\.tp(\d+)\.L(\d+)\.(pim|acc|cxl|tot)")
CHANNELS: Final = re.compile(r"(\d+) channels per block")
DEVICES: Final = {"Llama2-7B": 8, "Llama2-13B": 20, "Llama2-70B": 32}
"""CXL devices of the published systems (ids of its whole-system rows)."""
INSTRUCTIONS: Final = {
    "isr_MAC_ABK": "MAC16", "isr_WR_GB": "WRGB", "isr_WR_BIAS": "WRMAC16", "isr_RD_MAC": "RDMAC16", "isr_AF": "AF16",
    "isr_RD_AF": "RDAF16", "isr_EWMUL": "EWMUL16", "isr_WR_ABK": "WRA16", "isr_COPY_BKGB": "RDCP",
    "isr_COPY_GBBK": "WRCP",
}  # fmt: skip
WHOLE: Final = "whole block"


def rows(reference: ReferenceDir) -> Iterator[Row]:
    """Clocks and instructions of own runs, then the published latencies of blocks, part by part."""
    device = pim_device("GDDR6_AiM")
    if reference.optional(RUNS) is not None:
        for record in reference.csv(RUNS):
            yield from _run(device, record)
    if reference.optional(PUBLISHED, OBTAIN) is not None:
        for record in reference.csv(PUBLISHED):
            if (found := ID.fullmatch(record.text("id"))) is not None:
                yield _published(device, record, found)


@cache
def block_of(name: str, context: int) -> tuple[LlamaBlock, int]:
    """The decoder layer of a shipped model, and how many it has."""
    model = shipped_models().get(plain_name(name))
    if model is None or model.ffn is None or model.attention is None:
        raise ConfigError(f"no dense model called {name} is shipped", key="model")
    return LlamaBlock(model.hidden, model.attention.heads, model.kv_heads, model.ffn.width, context), model.layers


@cache
def _timed(
    device_name: str, block: LlamaBlock, mapping: CentMapping
) -> tuple[Mapping[str, Part], Mapping[str, PartTime]]:
    device = pim_device(device_name)
    parts = block_parts(device, block, mapping)
    return parts, block_clocks(device, parts, mapping)


def _run(device: PimDevice, record: Record) -> Iterator[Row]:
    """Clocks of a run, whole or of a part, and how many instructions and requests are not those of the reference."""
    name, part = record.text("run"), record.text("part")
    block, _ = block_of(record.text("model"), record.integer("seqlen"))
    mapping = CentMapping(channels=record.integer("channels_per_block"))
    parts, times = _timed(device.name, block, mapping)
    mine = list(parts) if part == WHOLE else [part]
    clocks = sum(times[each].clocks for each in mine)
    gate = "cent_block" if part == WHOLE else "cent_parts"
    yield Row(
        f"cent.{name}", f"CENT, {part}", float(record.integer("cycles")), float(clocks), "clocks", RUNS, (gate,),
        baselines={"channel alone": float(sum(times[each].channel_clocks for each in mine))},
    )  # fmt: skip
    counted = [
        (record.integer(column), sum(parts[each].instructions[command] for each in mine))
        for column, command in INSTRUCTIONS.items()
    ]
    counted.append((record.integer("isr_W_MEM"), sum(parts[each].host_writes for each in mine)))
    counted.append((record.integer("isr_R_MEM"), sum(parts[each].host_reads for each in mine)))
    yield Row(
        f"cent.{name}.instructions", "CENT, instructions that differ", 0.0,
        float(sum(abs(theirs - ours) for theirs, ours in counted)), "instructions", RUNS, ("cent_instructions",),
        remark=f"of {sum(theirs for theirs, _ in counted):,}",
    )  # fmt: skip


def _published(device: PimDevice, record: Record, found: re.Match[str]) -> Row:
    """One part of the latency of a block: channels, accelerators, links, or all of them."""
    name, stages, divided, context, part = found[1], int(found[2]), int(found[3]), int(found[4]), found[5]
    channels = CHANNELS.search(record.text("conditions"))
    if channels is None:
        message = "the conditions say how many channels a block has"
        raise ConfigError(message, file=record.file, line=record.line, key="conditions")
    prediction, remark = None, ""
    try:
        prediction = _latency_ms(device, name, context, int(channels[1]), (stages, divided), part)
    except CairnError as refused:
        remark = f"refused: {refused}"
    return Row(
        record.text("id"), f"CENT published, {part}", record.number("value"), prediction, "ms",
        f"reference/{PUBLISHED} (CENT 8c79786, its authors' results)", (f"cent_{part}",), remark=remark,
    )  # fmt: skip


def _latency_ms(
    device: PimDevice, name: str, context: int, channels: int, parallel: tuple[int, int], part: str
) -> float:
    (block, layers), host = block_of(name, context), CentHostSpec()
    stages, divided = parallel
    seconds = 0.0
    if part in ("pim", "tot"):
        _, times = _timed(device.name, block, CentMapping(channels=channels, devices=divided))
        seconds += device.seconds(sum(time.clocks for time in times.values()))
    if part in ("acc", "tot"):
        seconds += accelerators_s(host, block, device.unit.channels // channels)
    if part in ("cxl", "tot"):
        if name not in DEVICES:
            raise ConfigError(f"the devices of {name} are not published", key="model")
        seconds += links_s(host, block, divided, DEVICES[name], divided=stages != layers)
    return seconds * 1e3
