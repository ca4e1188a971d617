"""The papers' tables and figures, with the published values beside ours."""
