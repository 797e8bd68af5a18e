"""Systolic arrays of multiply-accumulate units, output- or weight-stationary."""
