"""The authors' reference outputs, which lie beside some checkouts; a user's has none of them."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"reference outputs are not at {SHARED}")
