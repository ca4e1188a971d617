"""Reliability, measured: children that are killed, disks that fill up, commands at the same time."""
