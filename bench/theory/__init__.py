"""What the papers derive, measured without any edit."""

PARTS = ("reconstruction", "gap", "scale", "bounds")
"""What there is to measure."""
WORDS = ["method=siminversion", "metrics=pixel"]
"""What the command composes beside the user's words; nothing is scored, so no metric may ask for weights."""
