"""DRAM: standards and devices, one channel to the tick, the channels of a chip, closed forms, energy and area.

`control` is a channel of a DRAM standard with its controller (rules K1 to K13); `stack` are the channels of a chip, the
same controller for streams (rules S1 to S5); `voxel_server` charges the closed form of Voxel's estimator instead (rules
V1 to V4). What a chip asks of its DRAM are rows of one request table, whatever the model: see `request`.
"""
