"""Normalizations of one slice of lanes."""
