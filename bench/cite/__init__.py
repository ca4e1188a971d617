"""What a number rests on, in a line for a paper."""
