"""`cairn configs`: what comes with Cairn."""

from __future__ import annotations

import re
import shutil
import sys
from itertools import takewhile
from pathlib import Path


def list_configs(kind: str | None) -> int:
    """Print the shipped names of each kind (or one), one line each; lines are cut to the width of a terminal."""
    from cairn.sim.config.resolve import KINDS, MODEL, shipped

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for known in KINDS:
        if kind not in (None, known.folder):
            continue
        names = shipped(known)
        longest = max(map(len, names), default=0)
        print(known.folder)
        for name, file in names.items():
            text = model_size(name) if known is MODEL else description(file)
            print(f"  {name:{longest}}  {text}"[:width].rstrip())
    return 0


def model_size(name: str) -> str:
    """Parameters, bytes and layers of a shipped model."""
    from cairn.sim.config.problems import validate
    from cairn.sim.config.resolve import MODEL, load_document
    from cairn.workloads.architecture import ModelSpec
    from cairn.workloads.parameters import count_parameters, weight_bytes

    model = validate(load_document(name, MODEL), ModelSpec)
    count = count_parameters(model)
    experts = f", {model.moe.top_k} of {model.moe.experts} experts used" if model.moe is not None else ""
    size = f"{count.exact / 1e9:8.2f} B parameters {weight_bytes(model) / 1e9:8.1f} GB"
    return f"{size}  {model.family.value}, {model.layers} layers{experts}"


def description(file: Path) -> str:
    """The first sentence of the comment that a configuration begins with, without what stands in parentheses."""
    with file.open(encoding="utf-8") as lines:
        comment = " ".join(line.lstrip("# ").strip() for line in takewhile(lambda line: line.startswith("#"), lines))
    return re.sub(r" *\([^()]*\)", "", comment).partition(". ")[0].rstrip(".")
