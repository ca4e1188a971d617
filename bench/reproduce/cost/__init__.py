"""What a set of runs would cost, before any of it is made."""
