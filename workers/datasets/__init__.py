"""Datasets: arrays in memory, their splits and their scaling. `python -m workers.datasets` brings the files."""

from workers.datasets.arrays import Arrays, load, standardize
from workers.datasets.splits import Split, split
from workers.datasets.tasks import differs_by_seed, load_task

__all__ = ["Arrays", "Split", "differs_by_seed", "load", "load_task", "split", "standardize"]
