"""The embedded world: its scenes, and how they are drawn."""
