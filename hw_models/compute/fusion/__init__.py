"""Arrays whose elements split for narrow operands: BitFusion, and ANT, MixPE, INT8 and FP16 arrays of its simulator.

Source: the DNNWeaver/BitFusion simulator as ANT (clevercool/ANT-Quantization) and MixPE (yuzhang712/mixpe_simulator)
carry it, accelerator.py. Rules:

* F1  an element made for `high_bits` does high_bits // bits narrower products side by side, none below `low_bits`;
* F2  outputs in place: ceil(m / (rows p_a)) ceil(n / (columns p_w)) k cycles, p_a and p_w by F1;
* F3  weights in place: m ceil(n / (columns p_w)) ceil(k / (rows p_a)) cycles;
* F4  MixPE adds integers within a group and scales a group's sum once (shift-add, dequantise after the group).
"""
