"""The benchmarks run; what they measure is not judged here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


def printed(script: str, *arguments: str) -> str:
    """What a benchmark prints; its exit status (0, or 1 for a missed target) depends on the machine."""
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_the_engine_benchmark_prints_rates_of_both_engines_and_of_both_servers() -> None:
    lines = printed("engine.py", "--tasks", "5000", "--repeat", "1").splitlines()
    for name in ("compiled, 320 queues", "check_plan", "reference", "ratio", "compiled, bound by DRAM",
                 "compiled, bound by network"):  # fmt: skip
        (line,) = [line for line in lines if line.startswith(name)]
        assert float(re.findall(r"  (\d+\.\d+)", line)[0]) > 0


def test_the_search_benchmark_prints_rates_of_the_analytical_tier() -> None:
    lines = printed("dse.py", "--workloads", "decode", "--designs", "256", "--repeat", "1").splitlines()
    rates = [line.split() for line in lines if line.startswith("decode: ") and "memory" not in line]
    assert len(rates) == 5
    for words in rates:
        designs, seconds, rate = (float(word.replace(",", "")) for word in [w for w in words if w[0].isdigit()][:3])
        assert rate * seconds == pytest.approx(designs, rel=0.2)


def test_the_run_benchmark_prints_cost_and_phases_of_a_run() -> None:
    lines = printed("runs.py", "--runs", "demo,model.layers=2", "--repeat", "1", "--no-cold").splitlines()
    cost, seconds = [line.split() for line in lines if line.startswith("demo,model.layers=2")]
    cold_s, warm_s, peak_mb, millions = (float(value) for value in cost[1:5])
    assert min(cold_s, warm_s) > 0
    assert peak_mb > 50
    assert millions > 0
    (head,) = [line for line in lines if line.startswith("CPU seconds")]
    assert head.split()[-7:] == ["graph", "mapping", "plan", "build", "check", "simulate", "report"]
    assert all(float(value) >= 0 for value in seconds[1:])
    assert len(seconds) == 7


def test_the_dram_benchmark_prints_a_rate_for_every_pattern_and_the_cold_time() -> None:
    text = printed("dram.py", "--requests", "2000", "--repeat", "1", "--presets", "DDR4_2400R", "HBM3_6400")
    *rates, cold = text.splitlines()
    assert len(rates) == 2 * 5
    for line in rates:
        assert float(re.findall(r"(\d+\.\d+) M requests/s", line)[0]) > 0
        name = line.split(",")[1].split()[0]
        assert ("target" in line) == (name in ("stream_rd", "random_rd", "conflict1"))
    assert float(re.findall(r"(\d+\.\d+) s of CPU", cold)[0]) > 0


def test_the_network_benchmark_prints_a_rate_for_every_case_of_both_models() -> None:
    text = printed("noc.py", "--cycles", "500", "--repeat", "1", "--packets", "2000").splitlines()
    packets = [line for line in text if line.startswith("packets")]
    assert len(packets) == 6 and sum("target" in line for line in packets) == 2
    assert all(float(re.findall(r"(\d+\.\d+) M packets/s", line)[0]) > 0 for line in packets)
    lines = [line for line in text if line.startswith("flits")]
    assert len(lines) == 6
    assert all(float(re.findall(r"(\d+\.\d+) M router-cycles/s", line)[0]) > 0 for line in lines)
    assert sum("target" in line for line in lines) == 3


def test_the_units_benchmark_prints_points_a_second() -> None:
    assert re.fullmatch(
        r"cycles and energy of units +\d+\.\d+ M points/s  target 1( +MISSED)?",
        printed("units.py", "--points", "2000", "--repeat", "1").strip(),
    )


def test_the_benchmark_of_products_by_look_up_prints_warm_and_cold_seconds_of_every_case() -> None:
    lines = printed("mpgemm.py", "--size", "64", "--repeat", "1").splitlines()
    assert len(lines) == 6 and sum("target 5 s" in line for line in lines) == 1
    for line in lines:
        warm, cold = (float(re.findall(rf"{name} +(\d+\.\d+) s", line)[0]) for name in ("warm", "cold"))
        assert warm >= 0 and cold > 0
        assert float(re.findall(r"(\d+) M look-ups/s", line)[0]) > 0


def test_the_pim_benchmark_prints_the_time_of_all_channels_and_of_one() -> None:
    small = ("--outputs", "512", "--inputs", "512", "--repeat", "1", "--step-repeat", "1", "--no-cold")
    *lines, step, exact = printed("pim.py", *small).splitlines()
    assert len(lines) == 3
    for line, simulated in ((step, 12), (exact, 32)):
        assert line.startswith("llama-2-7b-decode-pim") and f" {simulated} of 32 layers simulated" in line
        assert float(line.split()[1]) > 0
    for line in lines:
        every, rate, one = (float(number) for number in re.findall(r"(\d+\.\d) (?:ms|M)", line))
        assert every > 0
        assert rate > 0
        assert one > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("pim.py --repeat 0", "argument --repeat: must be a whole number from 1 to 1,000,000,000, got '0'"),
        ("pim.py --inputs -1", "argument --inputs: must be a whole number from 1"),
        ("pim.py --outputs 900000000 --no-step", "infeasible: rows of a bank"),
        ("mpgemm.py --size 0", "argument --size: must be a whole number from 1"),
        ("mpgemm.py --repeat two", "argument --repeat: must be a whole number from 1"),
        ("units.py --points 0", "argument --points: must be a whole number from 1"),
        ("units.py --repeat 0", "argument --repeat: must be a whole number from 1"),
    ],
)
def test_a_benchmark_refuses_counts_of_nothing_in_words(words: str, message: str) -> None:
    script, *arguments = words.split()
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
