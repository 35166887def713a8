"""A model of the queue in plain Python, and the rules that drive the real one beside it."""
