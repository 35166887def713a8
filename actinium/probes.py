"""What of a trial is measured, and when: the `probes` part of a study."""

from typing import Literal

from pydantic import Field

from actinium.document import Document


class Schedule(Document):
    """At how many steps a trial is measured: step 0, the last step, and points between, evenly spaced on an axis."""

    points: int = Field(default=24, ge=2, le=10_000)
    spacing: Literal["log", "linear"] = "log"


class DeadUnits(Document):
    """SCIENCE D1. A unit is gradient-dead where max |phi'(z)| < epsilon over the probe set."""

    epsilon: float = Field(default=1e-3, gt=0.0, lt=1.0)
    dormant_tau: float = Field(default=0.025, ge=0.0, lt=1.0)
    examples: int = Field(default=2048, ge=1, le=65536)


class GradientFlow(Document):
    """SCIENCE D4: rms dL/dz per layer on the first `examples` of the probe set, statistics as in training.

    It is measured at `points` of the schedule's points, evenly spaced among them, the first and the last included.
    """

    examples: int = Field(default=256, ge=2, le=65536)
    points: int = Field(default=8, ge=2, le=10_000)


class ActivationStatistics(Document):
    """SCIENCE D5: mean, deviation, activation rate and effective rank per layer on the probe set.

    The effective rank costs more than all else; it is measured at `rank_points` of the schedule's points, evenly
    spaced among them, the first and the last included.
    """

    rank_points: int = Field(default=4, ge=2, le=10_000)


class Probes(Document):
    """What is measured beside the losses. A probe set to null is off.

    What is true of a unit on all of the probe set (gradient-dead, off) is decided on all of it; means over examples
    (rates, moments, ranks) are of its first `averaged_examples`.
    """

    schedule: Schedule = Schedule()
    averaged_examples: int = Field(default=256, ge=1, le=65536)
    dead_units: DeadUnits | None = DeadUnits()
    gradient_flow: GradientFlow | None = GradientFlow()
    activation_statistics: ActivationStatistics | None = ActivationStatistics()
