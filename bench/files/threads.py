"""How many threads read, encode and write pictures. No torch."""

import os


def count() -> int:
    """One for each core that this process may use, eight at most: Pillow lets go of Python's lock while it decodes,
    resizes and encodes, and what is left of a picture's work needs it."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
