"""Checkpoints that others have published -> folders that this package loads, to be measured beside its own."""
