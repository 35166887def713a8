"""Training of a pack: its data, its steps, its evaluations, and the loop that turns them into frames and summaries."""
