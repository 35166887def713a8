"""Probes: what is measured of a pack at a step, besides its losses. One quantity a file.

Every number is of the probe set P, the first K of each trial's training examples, the same in every arm of a seed, in
eval mode; gradient flow alone uses the first of them as a training batch. Measuring is pure: it draws no random
number and changes no parameter, gradient or running statistic.
"""

from workers.probes.families import probe_series
from workers.probes.pack import PackProbes

__all__ = ["PackProbes", "probe_series"]
