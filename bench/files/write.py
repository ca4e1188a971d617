"""Writing files whole or not at all. No torch."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(file: Path) -> Iterator[Path]:
    """A temporary path in the same folder that replaces `file` when the block succeeds."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o644)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write(file: Path, text: str) -> None:
    """Writes a text file atomically."""
    with atomic(file) as temporary:
        temporary.write_text(text)
