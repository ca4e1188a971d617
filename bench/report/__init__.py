"""Scores to tables, plots, contact sheets and a page."""
