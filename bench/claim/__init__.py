"""Statements of papers against runs: the file, the runs that each is about, the tests, the verdicts, the tables."""
