"""Processing in memory: units beside the banks, on the buffer die and on the logic die of a stack."""
