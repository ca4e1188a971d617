"""The papers' statements, tested on whatever has been run."""
