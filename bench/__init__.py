"""The machinery of Edit Bench: what runs, in which order, where it is stored, how it is shown."""
