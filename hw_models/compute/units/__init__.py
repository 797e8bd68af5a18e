"""Units that multiply low-bit weights, side by side under one contract: cycles, traffic, energy, area, peak.

`contract.py` says what every unit answers; `cells.py` and `anchors.py` hold what areas and energies are built from;
`mac.py`, `look_up.py`, `add_only.py`, `systolic.py` are the units; `technology.py` takes figures to other nodes.
"""
