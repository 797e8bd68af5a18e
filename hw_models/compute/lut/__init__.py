"""LUT tensor cores: low-bit weights select sums of activations from tables, one bit plane of the weights a cycle."""
