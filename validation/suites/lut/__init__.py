"""The suite `lut`: low-bit compute on numbers, in cycles, in energy and in area."""
