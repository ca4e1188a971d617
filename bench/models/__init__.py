"""Checkpoints behind one thin protocol (`bench.types.DiffusionModel`)."""
