"""`cairn show`: the fully resolved configuration."""

from __future__ import annotations

from argparse import Namespace


def show(arguments: Namespace) -> int:
    """Print the run as YAML, defaults included, in a form that `cairn run` reads back."""
    from cairn.sim.config.run_config import load, resolved, run_hash
    from cairn.sim.config.yaml_writer import write_yaml

    config = load(arguments.config, arguments.settings)
    print(f"# run {run_hash(config)}")
    print(write_yaml(resolved(config)), end="")
    return 0
