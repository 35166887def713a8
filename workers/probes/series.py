"""The names and order of what the probes put into a frame, and where they look."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from actinium.frame import layer_series
from actinium.trial import DeadUnits, TrialConfig
from workers.probes.distribution import distribution_series

SPARSITIES = ("lifetime_sparsity", "lifetime_hoyer", "population_sparsity", "population_hoyer", "zero_share")
WEIGHT_SERIES = ("weight_norm", "weight_gradient_rms", "weight_gradient_share", "learned_slope", "opposite_cosine")
DRIFT_SERIES = ("input_mean_drift", "input_std_drift")
SHIFT_SERIES = ("ics", "ics_relative", "ics_cosine")
STATISTIC_SERIES = ("statistic_mean_error", "statistic_variance_error")
TIME_SERIES = ("gradient_time_slope", "gradient_rms_first", "gradient_rms_last")
"""Of recurrent networks."""
LAYER_MEANS = ("effective_rank", "stable_rank", "srank", *SPARSITIES)
"""Quantities that layers have and units have not: the network's is the mean over its layers."""
SPARSE: Mapping[str, tuple[str, ...]] = {
    "gradient_flow": ("gradient_slope", "gradient_rms", *TIME_SERIES),
    "unit_states": ("blocked_rate",),
    "spectrum": ("stable_rank", "srank"),
    "distributions": (*distribution_series("activation"), *distribution_series("preactivation")),
    "input_drift": DRIFT_SERIES,
    "covariate_shift": (*SHIFT_SERIES, "ics_slope"),
    "weights": WEIGHT_SERIES,
    "statistic_error": STATISTIC_SERIES,
}
"""Families that are measured at `points` of the schedule's points, with their quantities."""


DORMANT = "dormant_rate_"
AVERAGED = (
    *("saturated_rate", "activation_rate", "activation_mean", "activation_std", "constant_rate", "network_constant"),
    *SPARSITIES,
)
"""Means over examples, or measured by one; so are the `dormant_rate_`s. Taken where any pass averages."""


def dormant_series(tau: float) -> str:
    """`dormant_rate_0.025`: the threshold is part of the name."""
    return f"{DORMANT}{tau:g}"


def probe_series(config: TrialConfig) -> tuple[str, ...]:
    """The series of the probes that are on: the network's first, then the layers'."""
    probes = config.probes
    network: list[str] = []
    layered: list[str] = []
    if probes.dead_units:
        rates = ["dead_unit_rate", "off_rate", "saturated_rate", *_half_rates(config)]
        network += [*rates, dormant_series(probes.dead_units.dormant_tau)]
        layered += rates
    if probes.activation_statistics:
        network += ["activation_rate", "effective_rank"]
        layered += ["activation_rate", "activation_mean", "activation_std", "effective_rank"]
    if probes.gradient_flow:
        network += ["gradient_slope"]
        layered += ["gradient_rms"]
    if probes.gradient_flow and config.time_steps():
        network += ["gradient_time_slope"]
        layered += TIME_SERIES
    if probes.unit_states:
        states = ["pinned_negative_rate", "pinned_positive_rate", "constant_rate"]
        states += [name for name in map(dormant_series, probes.unit_states.dormant_taus) if name not in network]
        flags = ["dead_layers"] if probes.dead_units else []
        network += [*states, "blocked_rate", *flags, "network_constant"]
        layered += [*states, "blocked_rate", *(["layer_dead"] if probes.dead_units else [])]
    if probes.sparsity:
        network += SPARSITIES
        layered += SPARSITIES
    if probes.spectrum:
        network += ["stable_rank", "srank"]
        layered += ["stable_rank", "srank"]
    if probes.distributions:
        of = probes.distributions.of
        layered += [
            n for name in ("activation", "preactivation") if of in (name, "both") for n in distribution_series(name)
        ]
    if probes.input_drift:
        network += DRIFT_SERIES
        layered += DRIFT_SERIES
    if probes.covariate_shift:
        network += ["ics_slope"]
        layered += SHIFT_SERIES
    if probes.weights:
        layered += WEIGHT_SERIES
    if probes.statistic_error:
        layered += STATISTIC_SERIES
    layers = range(1, len(config.layers()) + 1)
    return (*network, *(layer_series(name, layer) for name in layered for layer in layers))


def _half_rates(config: TrialConfig) -> list[str]:
    """Rates of the halves of units, where activations double the channels or halve them."""
    ratio = config.activation.ratio
    return [*(["dead_half_rate"] if ratio != 1 else []), *(["off_half_rate"] if ratio > 1 else [])]


def probe_examples(config: TrialConfig) -> int:
    """K, the size of the probe set: the first K of a trial's training examples (SCIENCE D1)."""
    return min((config.probes.dead_units or DeadUnits()).examples, config.task.train_count())


def averaged_examples(config: TrialConfig) -> int:
    """How many of the probe set, its first ones, means over examples are taken of."""
    return min(config.probes.averaged_examples, probe_examples(config))


def averaged_steps(config: TrialConfig) -> frozenset[int]:
    """The measured steps at which means over examples are taken, the first and the last included: at `averaged_points`,
    and wherever else as many examples are passed through.
    """
    points = _spaced(config.probe_steps(), config.probes.averaged_points)
    return points | rank_steps(config) | family_steps(config, "spectrum") | family_steps(config, "distributions")


def rank_steps(config: TrialConfig) -> frozenset[int]:
    """The measured steps at which the effective rank is measured too, the first and the last included."""
    statistics = config.probes.activation_statistics
    return _spaced(config.probe_steps(), statistics.rank_points) if statistics else frozenset()


def family_steps(config: TrialConfig, family: str) -> frozenset[int]:
    """The measured steps at which a family of probes with `points` of its own is measured too, the first and the last
    included; none where it is off. `family` as in `actinium.probes.Probes`.
    """
    settings = getattr(config.probes, family)
    return _spaced(config.probe_steps(), settings.points) if settings else frozenset()


def due(config: TrialConfig, step: int) -> NDArray[np.bool_]:
    """[S]: which of `probe_series` are measured at this one of the measured steps."""
    absent = {"effective_rank"} if step not in rank_steps(config) else set()
    averaging = step in averaged_steps(config)
    absent.update(() if averaging else AVERAGED)
    for family, quantities in SPARSE.items():
        if step not in family_steps(config, family):
            absent.update(quantities)
    names = [name.split("/", 1)[0] for name in probe_series(config)]
    return np.array([name not in absent and (averaging or not name.startswith(DORMANT)) for name in names], dtype=bool)


def _spaced(steps: Sequence[int], points: int) -> frozenset[int]:
    """`points` of the steps, evenly spaced among them."""
    last, gaps = len(steps) - 1, min(points, len(steps)) - 1
    return frozenset(steps[round(place * last / gaps)] for place in range(gaps + 1)) if gaps else frozenset(steps)
