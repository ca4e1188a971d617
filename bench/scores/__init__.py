"""Saved pictures to scores, and stored scores read again."""
