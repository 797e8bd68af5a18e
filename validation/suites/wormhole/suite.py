"""The packet model against NoC kernels that were recorded on a Wormhole chip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cairn.base.errors import ConfigError
from cairn.validation.reference import Record, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.wormhole.replay import PUBLISHED, Reads, Replay, Wormhole

MEASURED, READS = "noc/wormhole_measured.csv", "noc/wormhole_reads.csv"
OBTAIN = "it is extracted from the trace files of tenstorrent/tt-npe (Apache-2.0), whose repository has them"
KINDS = {"L1": ("l1", "worker", "L1 to L1"), "DRAM": ("dram", "dram", "DRAM to L1")}
"""For each kind of kernel: its gate, the kind of responder whose port the published constants name, and its class."""


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """For each kernel the cycles to its last read; beside it those of a network in which nothing waits."""
    for name in (MEASURED, READS, PUBLISHED):
        reference.path(name, OBTAIN)
    chip = Wormhole.of(reference)
    narrow = replace(chip, link_bytes_per_cycle=chip.model_link_bytes_per_cycle)
    replays = {kind: (Replay(chip, port), Replay(narrow, port)) for kind, (_, port, _) in KINDS.items()}
    reads: dict[str, list[Record]] = {}
    for record in reference.csv(READS):
        reads.setdefault(record.text("trace"), []).append(record)
    for record in reference.csv(MEASURED):
        trace, kind = record.text("trace"), record.text("kind")
        if kind not in KINDS:
            raise ConfigError(f"a kernel is one of {', '.join(KINDS)}", file=record.file, line=record.line, key="kind")
        if trace not in reads:
            raise ConfigError(f"{READS} has no reads of {trace}", file=record.file, line=record.line, key="trace")
        replay, other = replays[kind]
        kernel = Reads.of(reads[trace])
        gate, _, label = KINDS[kind]
        yield Row(
            id=trace, kind=label, reference=record.integer("measured_cycles"), prediction=replay.cycles(kernel),
            unit="cycles", source=f"reference/{MEASURED} (tt-npe 10216031)",
            counts=(gate, f"{gate}_alone", f"{gate}_30"),
            baselines={
                "no contention": float(replay.alone(kernel).max()), "links of 30 B/cycle": other.cycles(kernel)
            },
        )  # fmt: skip
