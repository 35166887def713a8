"""What of a trial is measured, and when: the `probes` part of a study."""

from typing import Annotated, Literal

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
    points: int = Field(default=4, ge=2, le=10_000)


class ActivationStatistics(Document):
    """SCIENCE D5: mean, deviation, activation rate and effective rank per layer on the probe set.

    The effective rank costs more than all else; it is measured at `rank_points` of the schedule's points, evenly
    spaced among them, the first and the last included.
    """

    rank_points: int = Field(default=4, ge=2, le=10_000)


class UnitStates(Document):
    """SCIENCE D1: pinned, constant and blocked units, further thresholds of tau-dormancy, layers that are wholly dead,
    networks that are constant, and the hazards of death and revival.

    `constant` is a range of outputs of at most this share of the layer's root mean square. `blocked` units are alive,
    and max |dL/dz| is below this; they are looked for at `points` of the schedule's points, evenly spaced among them.
    """

    constant: float = Field(default=1e-6, gt=0.0, lt=1.0)
    blocked: float = Field(default=1e-12, gt=0.0, lt=1.0)
    points: int = Field(default=4, ge=2, le=10_000)
    dormant_taus: tuple[Annotated[float, Field(ge=0.0, lt=1.0)], ...] = Field(default=(0.0, 0.1), max_length=8)


class Sparsity(Document):
    """SCIENCE D5: lifetime and population sparsity after Treves & Rolls 1991 and Hoyer 2004, and the share of zeros."""


class Spectrum(Document):
    """SCIENCE D5: stable rank, and srank, the number of singular values that hold `share` of their sum, of a layer's
    outputs. Measured at `points` of the schedule's points, evenly spaced among them.
    """

    share: float = Field(default=0.99, gt=0.0, lt=1.0)
    points: int = Field(default=4, ge=2, le=10_000)


class Distributions(Document):
    """SCIENCE D5: skewness, kurtosis, quantiles and fixed-edge histograms (`actinium.histogram`) of a layer's outputs,
    of what its activation receives, or of both. Measured at `points` of the schedule's points, evenly spaced among
    them.
    """

    of: Literal["activation", "preactivation", "both"] = "activation"
    points: int = Field(default=4, ge=2, le=10_000)


class InputDrift(Document):
    """SCIENCE B (bn-stable): how far mean and spread of what each unit's activation receives have moved since step 0,
    on the first `examples` of the probe set, statistics as in training. Measured at `points` of the schedule's points,
    evenly spaced among them.
    """

    examples: int = Field(default=256, ge=2, le=65536)
    points: int = Field(default=8, ge=2, le=10_000)


class CovariateShift(Document):
    """SCIENCE C11 (Santurkar et al. 2018): how far the gradient of a layer's weights turns when the layers below it
    take the next step, on the first `examples` of the probe set, statistics as in training. It takes a pass for every
    hidden layer, and is measured at `points` of the schedule's points, evenly spaced among them.
    """

    examples: int = Field(default=256, ge=2, le=65536)
    points: int = Field(default=4, ge=2, le=10_000)


class Weights(Document):
    """SCIENCE D4: norms of weights and of their gradients on the first `examples` of the probe set, learned slopes, and
    how nearly each filter has its opposite. Measured at `points` of the schedule's points, evenly spaced among them.
    """

    examples: int = Field(default=256, ge=2, le=65536)
    points: int = Field(default=8, ge=2, le=10_000)


class StatisticError(Document):
    """SCIENCE D3: how far the running statistics of batch normalizations are from those of the weights as they are.
    Measured at `points` of the schedule's points, evenly spaced among them.
    """

    points: int = Field(default=8, ge=2, le=10_000)


class Filters(Document):
    """SCIENCE A5: the kernels of the first convolution at the end of the trial, kept as an artifact."""


class Probes(Document):
    """What is measured beside the losses. A probe set to null is off.

    What is true of a unit on all of the probe set (gradient-dead, off) is decided on all of it at each of the
    schedule's points. Means over examples (rates, moments, ranks) are of its first `averaged_examples`, at
    `averaged_points` of the schedule's points, evenly spaced among them, the first and the last included.
    """

    schedule: Schedule = Schedule()
    averaged_examples: int = Field(default=256, ge=1, le=65536)
    averaged_points: int = Field(default=7, ge=2, le=10_000)
    dead_units: DeadUnits | None = DeadUnits()
    gradient_flow: GradientFlow | None = GradientFlow()
    activation_statistics: ActivationStatistics | None = ActivationStatistics()
    unit_states: UnitStates | None = None
    sparsity: Sparsity | None = None
    spectrum: Spectrum | None = None
    distributions: Distributions | None = None
    input_drift: InputDrift | None = None
    covariate_shift: CovariateShift | None = None
    weights: Weights | None = None
    statistic_error: StatisticError | None = None
    filters: Filters | None = None
