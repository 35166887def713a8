"""At which of a trial's measured steps a family is measured, and on how many examples.

What is true of a unit on the whole probe set is decided at every measured step. Means over examples are taken at some
of them (`averaged_steps`): a family that gathers anything else than silence is measured at those alone. Networks are
looked at as they are trained, batch by batch, so that examples come in whole batches.
"""

from collections.abc import Callable
from typing import TypeAlias

from actinium.schedules import spaced
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


def trajectory_steps(config: TrialConfig) -> frozenset[int]:
    """The steps at which it is looked what becomes of units: all measured steps, and those of trajectories."""
    return every_step(config) | frozenset(config.trajectory_steps())


def probe_examples(config: TrialConfig) -> int:
    """K, the size of the probe set: the first K of a trial's training examples (SCIENCE D1); a batch at least."""
    wanted = min((config.probes.dead_units or DeadUnits()).examples, config.task.train_count())
    return max(wanted, config.training.batch_size)


def in_batches(examples: int, config: TrialConfig) -> int:
    """So many examples, or a few more, that they are whole batches of the training."""
    size = config.training.batch_size
    return -(-examples // size) * size


def averaged_examples(config: TrialConfig) -> int:
    """How many of the probe set, its first ones, means over examples are taken of: whole batches."""
    return in_batches(min(config.probes.averaged_examples, probe_examples(config)), config)
