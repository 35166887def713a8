"""The names and order of what the probes put into a frame, and where they look."""

from collections.abc import Sequence

from actinium.frame import layer_series
from actinium.trial import DeadUnits, TrialConfig

SPARSITIES = ("lifetime_sparsity", "lifetime_hoyer", "population_sparsity", "population_hoyer", "zero_share")
WEIGHT_SERIES = ("weight_norm", "weight_gradient_rms", "weight_gradient_share", "learned_slope", "opposite_cosine")
LAYER_MEANS = ("effective_rank", "stable_rank", "srank", *SPARSITIES)
"""Quantities that layers have and units have not: the network's is the mean over its layers."""


def dormant_series(tau: float) -> str:
    """`dormant_rate_0.025`: the threshold is part of the name."""
    return f"dormant_rate_{tau:g}"


def probe_series(config: TrialConfig) -> tuple[str, ...]:
    """The series of the probes that are on: the network's first, then the layers'."""
    probes = config.probes
    network: list[str] = []
    layered: list[str] = []
    if probes.dead_units:
        rates = ["dead_unit_rate", "off_rate", "saturated_rate"]
        network += [*rates, dormant_series(probes.dead_units.dormant_tau)]
        layered += rates
    if probes.activation_statistics:
        network += ["activation_rate", "effective_rank"]
        layered += ["activation_rate", "activation_mean", "activation_std", "effective_rank"]
    if probes.gradient_flow:
        network += ["gradient_slope"]
        layered += ["gradient_rms"]
    if probes.unit_states:
        states = ["pinned_negative_rate", "pinned_positive_rate", "constant_rate"]
        states += [name for name in map(dormant_series, probes.unit_states.dormant_taus) if name not in network]
        network += [*states, "dead_layers"] if probes.dead_units else states
        layered += states
    if probes.sparsity:
        network += SPARSITIES
        layered += SPARSITIES
    if probes.spectrum:
        network += ["stable_rank", "srank"]
        layered += ["stable_rank", "srank"]
    if probes.weights:
        layered += WEIGHT_SERIES
    if probes.statistic_error:
        layered += ["statistic_mean_error", "statistic_variance_error"]
    layers = range(1, len(config.layers()) + 1)
    return (*network, *(layer_series(name, layer) for name in layered for layer in layers))


def probe_examples(config: TrialConfig) -> int:
    """K, the size of the probe set: the first K of a trial's training examples (SCIENCE D1)."""
    return min((config.probes.dead_units or DeadUnits()).examples, config.task.train_count())


def averaged_examples(config: TrialConfig) -> int:
    """How many of the probe set, its first ones, means over examples are taken of."""
    return min(config.probes.averaged_examples, probe_examples(config))


def rank_steps(config: TrialConfig) -> frozenset[int]:
    """The measured steps at which the effective rank is measured too, the first and the last included."""
    statistics = config.probes.activation_statistics
    return _spaced(config.probe_steps(), statistics.rank_points) if statistics else frozenset()


def flow_steps(config: TrialConfig) -> frozenset[int]:
    """The measured steps at which gradient flow is measured too, the first and the last included."""
    flow = config.probes.gradient_flow
    return _spaced(config.probe_steps(), flow.points) if flow else frozenset()


def spectrum_steps(config: TrialConfig) -> frozenset[int]:
    """The measured steps at which stable rank and srank are measured too, the first and the last included."""
    spectrum = config.probes.spectrum
    return _spaced(config.probe_steps(), spectrum.points) if spectrum else frozenset()


def weights_steps(config: TrialConfig) -> frozenset[int]:
    """The measured steps at which weights are measured too, the first and the last included."""
    weights = config.probes.weights
    return _spaced(config.probe_steps(), weights.points) if weights else frozenset()


def statistic_steps(config: TrialConfig) -> frozenset[int]:
    """The measured steps at which the error of running statistics is measured too, the first and the last included."""
    statistics = config.probes.statistic_error
    return _spaced(config.probe_steps(), statistics.points) if statistics else frozenset()


def _spaced(steps: Sequence[int], points: int) -> frozenset[int]:
    """`points` of the steps, evenly spaced among them."""
    last, gaps = len(steps) - 1, min(points, len(steps)) - 1
    return frozenset(steps[round(place * last / gaps)] for place in range(gaps + 1)) if gaps else frozenset(steps)
