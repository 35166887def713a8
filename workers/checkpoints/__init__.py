"""Packs between two steps: what they need to go on, where that lies, and when it is written."""
