"""At which of a trial's measured steps a family is measured, and on how many examples.

What is true of a unit on the whole probe set is decided at every measured step. Means over examples are taken at some
of them (`averaged_steps`): a family that gathers anything else than silence is measured at those alone.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from actinium.trial import DeadUnits, TrialConfig

Schedule: TypeAlias = Callable[[TrialConfig], frozenset[int]]


def every_step(config: TrialConfig) -> frozenset[int]:
    """All measured steps."""
    return frozenset(config.probe_steps())


def averaged_steps(config: TrialConfig) -> frozenset[int]:
    """The measured steps at which means over examples are taken, the first and the last included: at `averaged_points`,
    and wherever else as many examples are passed through.
    """
    points = spaced(config.probe_steps(), config.probes.averaged_points)
    return points | rank_steps(config) | points_of("spectrum")(config) | points_of("distributions")(config)


def rank_steps(config: TrialConfig) -> frozenset[int]:
    """The measured steps at which the effective rank is measured too, the first and the last included."""
    statistics = config.probes.activation_statistics
    return spaced(config.probe_steps(), statistics.rank_points) if statistics else frozenset()


def points_of(setting: str) -> Schedule:
    """The schedule of a setting with `points` of its own: so many of the measured steps, the first and the last
    included; none where it is off.
    """

    def steps(config: TrialConfig) -> frozenset[int]:
        settings = getattr(config.probes, setting)
        return spaced(config.probe_steps(), settings.points) if settings else frozenset()

    return steps


def spaced(steps: Sequence[int], points: int) -> frozenset[int]:
    """`points` of the steps, evenly spaced among them."""
    last, gaps = len(steps) - 1, min(points, len(steps)) - 1
    return frozenset(steps[round(place * last / gaps)] for place in range(gaps + 1)) if gaps else frozenset(steps)


def probe_examples(config: TrialConfig) -> int:
    """K, the size of the probe set: the first K of a trial's training examples (SCIENCE D1)."""
    return min((config.probes.dead_units or DeadUnits()).examples, config.task.train_count())


def averaged_examples(config: TrialConfig) -> int:
    """How many of the probe set, its first ones, means over examples are taken of."""
    return min(config.probes.averaged_examples, probe_examples(config))
