"""Validation: reference data, gates beside it, and the harness behind `cairn validate`."""
