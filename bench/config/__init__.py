"""Words to values: the command line, options, and what values are allowed."""
