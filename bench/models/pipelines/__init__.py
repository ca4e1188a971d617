"""Whole pipelines of diffusers that edit pictures, each behind one call."""
