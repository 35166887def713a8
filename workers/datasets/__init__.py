"""Datasets: arrays in memory, their splits and their scaling. `python -m workers.datasets` brings the files."""

from workers.datasets.arrays import Arrays, load, standardize
from workers.datasets.splits import Split, split

__all__ = ["Arrays", "Split", "load", "split", "standardize"]
