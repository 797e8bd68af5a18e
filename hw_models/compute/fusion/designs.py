"""Published arrays of the BitFusion family at equal area, 28 nm and 500 MHz, from the configurations of their code."""

from __future__ import annotations

from typing import Final

from cairn.hw_models.compute.fusion.spec import FusedArraySpec

MIXPE_DESIGNS: Final = (  # yuzhang712/mixpe_simulator at 7e0d42c, conf_*.ini
    FusedArraySpec(name="MixPE-W4A8", rows=64, columns=64),
    FusedArraySpec(name="ANT", rows=32, columns=32),
    FusedArraySpec(name="BitFusion", rows=32, columns=40),
    FusedArraySpec(name="INT8", rows=32, columns=32),
    FusedArraySpec(  # powers: reference/lut/mixpe_ant.yaml (mixpe_pe_power), 16/8 bits and 16 bits
        name="MixPE-W4A16",
        rows=32,
        columns=32,
        high_bits=16,
        low_bits=8,
        leakage_nw=128458,
        dynamic_nw=544982,
    ),
    FusedArraySpec(
        name="FP16", rows=32, columns=28, high_bits=16, low_bits=16, leakage_nw=192942, dynamic_nw=839982
    ),
)

ANT_DESIGNS: Final = (  # clevercool/ANT-Quantization ant_simulator, conf_*.ini
    FusedArraySpec(name="ANT-OS", rows=32, columns=32),
    FusedArraySpec(name="ANT-WS", rows=32, columns=32, dataflow="weight_stationary"),
    FusedArraySpec(name="BitFusion", rows=32, columns=32),
    FusedArraySpec(name="OLAccel", rows=16, columns=18),
    FusedArraySpec(name="AdaFloat", rows=32, columns=28),
)
