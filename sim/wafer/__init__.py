"""Decoding on a wafer-scale mesh as WaferLLM does it: a layer's weights lie in the SRAM of P x P cores.

| file | content |
| --- | --- |
| `spec.py` | a wafer run as data (`cairn.wafer/1`) |
| `steps.py` | what every core does in a layer, operator by operator, and what lines of cores then sum |
| `layer.py` | the layer as a plan: on the whole mesh, or on one column and one row of it |
| `decode.py` | time per layer and tokens per second |
"""
