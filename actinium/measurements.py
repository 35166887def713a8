"""What is measured: every quantity by name, its definition in a line, where SCIENCE defines it, and its version.

A version is raised whenever a quantity is computed differently, so that numbers of two definitions are never taken for
one: a trial's summary says the versions of what it measured. A quantity that is not of the network alone is also there
by layer (`NAME/layer_03`), and one with a parameter has it in its name (`dormant_rate_0.025`).
`python -m actinium.measurements` prints docs/measurements.md.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FIRST_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A quantity's definition.

    parameter: what the number in the name says, for quantities that have one there. frames_only: kept in frames alone,
    neither in summaries nor in the mirror.
    """

    definition: str
    section: str
    version: int = FIRST_VERSION
    parameter: str = ""
    frames_only: bool = False


def _of(
    section: str, definition: str, *, version: int = FIRST_VERSION, parameter: str = "", frames_only: bool = False
) -> Measurement:
    return Measurement(
        definition=definition, section=section, version=version, parameter=parameter, frames_only=frames_only
    )


MEASUREMENTS: Mapping[str, Measurement] = {
    # ---- losses ----
    "train_loss": _of("D2", "mean training loss over the steps since the last frame; at step 0, of the first batch"),
    "initial_loss": _of("D2", "the training loss at step 0"),
    "validation_loss": _of("D2", "mean loss on the validation part, eval mode"),
    "best_validation_loss": _of("D2", "the lowest finite validation loss of all frames"),
    "validation_accuracy": _of("D2", "1 less the error (as test_error) on the validation part, eval mode"),
    "test_loss": _of("D2", "mean loss on the test part, eval mode, by the networks at the last full frame"),
    "test_error": _of("D2", "on the test part, share of wrong classes, of variance unexplained, or of misses"),
    "psnr": _of("D2", "10 log10(range^2 / mean squared error) in dB over all pixels of the test part, as test_loss"),
    "train_eval_gap": _of(
        "D3", "test error with running statistics less that with the batch's own, on the same batches"
    ),
    "precise_test_error": _of("D3", "test error with running statistics averaged anew at the final weights"),
    "statistic_mean_error": _of(
        "D3", "mean over channels of |running mean - m| / sd, (m, sd) of the weights as they are"
    ),
    "statistic_variance_error": _of(
        "D3", "mean over channels of |ln(running variance / v)|, v of the weights as they are"
    ),
    # ---- procedures ----
    "reconstruction_loss": _of(
        "A3", "share of its inputs' variance that a layer's autoencoder misses in its last epoch"
    ),
    "source_test_error": _of("A3", "test error on the source dataset of the network that is transferred"),
    "pretraining_seconds": _of("A3", "the part of a trial's seconds that its procedure took"),
    # ---- units ----
    "dead_unit_rate": _of("D1", "share of units with max |phi'(z)| < epsilon over the probe set (gradient-dead)"),
    "off_rate": _of("D1", "share of rectifier units with max h <= 0 over the probe set"),
    "saturated_rate": _of("D1", "share of (unit, example) pairs with |phi'(z)| < epsilon max |phi'|"),
    "linear_width": _of(
        "A1", "width of the linear layers, as the width policy of an activation of another ratio than 1 has chosen it"
    ),
    "dead_half_rate": _of(
        "D1",
        "share of the halves of units with max |phi'(z)| < epsilon, where units are pairs; a unit is dead if both are",
    ),
    "off_half_rate": _of("D1", "share of halves of rectifier units, where units are pairs, with max h <= 0"),
    "dormant_rate": _of("D1", "share of units with E|h| <= tau times the layer's mean of it", parameter="tau"),
    "pinned_negative_rate": _of("D1", "share of units with z < 0 on the whole probe set"),
    "pinned_positive_rate": _of("D1", "share of units with z > 0 on the whole probe set"),
    "constant_rate": _of("D1", "share of units whose outputs' range is at most a small share of the layer's rms"),
    "blocked_rate": _of(
        "D1", "share of units alive, with max |dL/dz| below 1e-12 over the probe set, L an example's loss"
    ),
    "layer_dead": _of("D1", "1 if every unit of the layer is gradient-dead, else 0"),
    "network_constant": _of("D1", "1 if every logit's range over the probe set is a small share of their rms, else 0"),
    "dead_layers": _of("D1", "number of hidden layers of which every unit is gradient-dead"),
    "born_dead_rate": _of("D1", "share of units that are gradient-dead at step 0"),
    "died_rate": _of("D1", "share of units alive at step 0 and dead at every frame of the last 20% of the steps"),
    "transient_rate": _of("D1", "share of units alive at step 0, dead at a frame, alive at a later one, and not died"),
    "revived_rate": _of("D1", "share of units dead at step 0 and alive at the last frame"),
    "death_hazard": _of(
        "D1", "units that die from one frame to the next, over those alive before; all frames together"
    ),
    "revival_hazard": _of("D1", "units that wake from one frame to the next, over those dead before"),
    "stationary_dead_rate": _of("D1", "h / (h + r): the dead share at which deaths and revivals would balance"),
    # ---- gradients and weights ----
    "gradient_rms": _of(
        "D4", "rms of dL/dz over units and the first examples of the probe set, statistics as in training"
    ),
    "gradient_slope": _of("D4", "-(OLS slope of ln gradient_rms on the layer): per layer, towards the input"),
    "gradient_time_slope": _of(
        "D4", "-(OLS slope of ln rms dL/dz on the time step) in recurrent layers: per step, towards the past"
    ),
    "gradient_rms_first": _of("D4", "gradient_rms at the first time step alone"),
    "gradient_rms_last": _of("D4", "gradient_rms at the last time step alone"),
    "ics": _of("C11", "norm of G - G': gradients of a layer's weights, before and after the layers below took a step"),
    "ics_relative": _of("C11", "ics over the norm of G"),
    "ics_cosine": _of("C11", "cosine of the angle between G and G'"),
    "ics_slope": _of("C11", "OLS slope of ln ics_relative on the layer, from the second layer on"),
    "input_mean_drift": _of("D5", "mean over units of |m - m_0| / s_0: mean and deviation of z, now and at step 0"),
    "input_std_drift": _of("D5", "mean over units of |ln(s / s_0)|: deviation of z, now and at step 0"),
    "weight_norm": _of("D4", "Frobenius norm of a layer's weights"),
    "weight_gradient_rms": _of("D4", "Frobenius norm of dL/dW over the root of the number of weights"),
    "weight_gradient_share": _of("D4", "Frobenius norm of dL/dW over that of W"),
    "learned_slope": _of("D4", "mean over units of what a parametric rectifier has learned"),
    "opposite_cosine": _of("D4", "mean over filters of the least cosine with another filter"),
    # ---- distributions of outputs ----
    "activation_rate": _of("D5", "share of (unit, example) pairs with z > 0"),
    "activation_mean": _of("D5", "mean of h over units and examples"),
    "activation_std": _of("D5", "biased standard deviation of h over units and examples"),
    "activation_skew": _of("D5", "third central moment of h over the variance to 3/2, units and examples together"),
    "activation_kurtosis": _of("D5", "fourth central moment of h over the squared variance; 3 for a Gaussian"),
    "activation_quantile": _of("D5", "quantile of h over units and examples", parameter="percent"),
    "activation_histogram": _of("D5", "share of h in a bin of actinium.histogram", parameter="bin", frames_only=True),
    "preactivation_skew": _of("D5", "as activation_skew, of z"),
    "preactivation_kurtosis": _of("D5", "as activation_kurtosis, of z"),
    "preactivation_quantile": _of("D5", "as activation_quantile, of z", parameter="percent"),
    "preactivation_histogram": _of("D5", "as activation_histogram, of z", parameter="bin", frames_only=True),
    "lifetime_sparsity": _of("D5", "Treves-Rolls sparsity of a unit's |h| over examples, averaged over units"),
    "lifetime_hoyer": _of("D5", "Hoyer's sparsity of a unit's |h| over examples, averaged over units"),
    "population_sparsity": _of("D5", "Treves-Rolls sparsity of |h| over units, averaged over examples"),
    "population_hoyer": _of("D5", "Hoyer's sparsity of |h| over units, averaged over examples"),
    "zero_share": _of("D5", "share of outputs that are exactly zero"),
    "effective_rank": _of("D5", "exp(-sum p ln p), p the singular values of a layer's outputs over their sum"),
    "stable_rank": _of("D5", "squared Frobenius norm of a layer's outputs over their squared spectral norm"),
    "srank": _of("D5", "the least number of singular values of a layer's outputs that hold a share of their sum"),
}
"""By the name of the quantity, without layer and parameter."""


def quantity_of(name: str) -> str | None:
    """The quantity that a series or metric is of: `dormant_rate` of `dormant_rate_0.025/layer_03`; None if unknown."""
    quantity = name.split("/", 1)[0]
    if quantity in MEASUREMENTS:
        return quantity
    stem, _, parameter = quantity.rpartition("_")
    return stem if stem in MEASUREMENTS and MEASUREMENTS[stem].parameter and _is_number(parameter) else None


def frames_only(name: str) -> bool:
    """Whether a series is too detailed for summaries and the mirror."""
    quantity = quantity_of(name)
    return quantity is not None and MEASUREMENTS[quantity].frames_only


def versions(names: Iterable[str]) -> dict[str, int]:
    """The versions of the quantities that these series or metrics are of, where they are not the first."""
    quantities = sorted({quantity for name in names if (quantity := quantity_of(name))})
    found = {quantity: MEASUREMENTS[quantity].version for quantity in quantities}
    return {quantity: version for quantity, version in found.items() if version != FIRST_VERSION}


def mixed(summaries: Iterable[Mapping[str, int]]) -> dict[str, list[int]]:
    """The quantities that these trials did not all measure by one definition, with the versions found, in order."""
    known = list(summaries)
    quantities = sorted({quantity for of_trial in known for quantity in of_trial})
    found = {q: sorted({of_trial.get(q, FIRST_VERSION) for of_trial in known}) for q in quantities}
    return {quantity: seen for quantity, seen in found.items() if len(seen) > 1}


def page() -> str:
    """docs/measurements.md."""
    rows = [
        f"| `{name}{f'_{entry.parameter.upper()}' if entry.parameter else ''}` | {entry.version} | {entry.section} | "
        f"{entry.definition.replace('|', chr(92) + '|')} |"
        for name, entry in MEASUREMENTS.items()
    ]
    return "\n".join([*HEADING, *rows]) + "\n"


HEADING = (
    "# What is measured",
    "",
    "Every quantity of a frame or a summary, from `actinium/measurements.py`; `python -m actinium.measurements` prints",
    "this page. A version is raised when a quantity is computed differently. A summary's `measurement_versions` holds",
    "those of what it measured that are not 1; a report says under `mixed_measurements` what a study's trials did not",
    "all measure by one definition, and an export has the versions of every trial. The families are D1 dead units, D2",
    "convergence, D3 small batches and statistics, D4 gradients and weights, D5 distributions. `NAME/layer_03` is the",
    "third hidden layer's.",
    "",
    "| quantity | version | family | definition |",
    "|---|---|---|---|",
)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    sys.stdout.write(page())
