"""Means with intervals, differences, and curves against each other. Pure mathematics."""
