"""Data sets: each lists its samples without reading a picture, and prepares one picture at a time."""
