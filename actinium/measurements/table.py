"""Everything that is measured, one entry a quantity: the one table that probes, frames, reports and pages loop over.

Reports list what every cell has in the table's order, and a family's series come in it. A row is laid out by hand: what
it is called, its sentence, then its facts.
"""

from typing import Final

from actinium.measurements.definition import LOSS_UNIT, Measurement, event, quantity, share

# fmt: off
MEASUREMENTS: Final[dict[str, Measurement]] = {
    # ---- losses: measured in every trial ----
    "train_loss": quantity(
        "training loss", "mean training loss over the steps since the last evaluation; at step 0, of the first batch",
        family="losses", section="D2", unit=LOSS_UNIT, low=0, smaller_is_better=True, version=2),
    "initial_loss": quantity(
        "initial loss", "the training loss at step 0",
        family="losses", section="D2", unit=LOSS_UNIT, low=0, summary_only=True),
    "evaluation_loss": quantity(
        "evaluation loss",
        "mean loss, eval mode, on the first examples of the validation part (a tenth as many as the training part has, "
        "64 at least), at every evaluation; infinite where it overflows",
        family="losses", section="D2", unit=LOSS_UNIT, low=0, smaller_is_better=True),
    "best_evaluation_loss": quantity(
        "best evaluation loss", "the lowest finite evaluation loss",
        family="losses", section="D2", unit=LOSS_UNIT, low=0, smaller_is_better=True, summary_only=True),
    "overflow_rate": share(
        "evaluations that overflow", "share of a trial's evaluations whose loss is not finite",
        family="losses", section="D2", smaller_is_better=True, summary_only=True),
    "constant_guess_loss": quantity(
        "loss of a constant guess", "ln(classes), or the targets' variance on the validation part",
        family="losses", section="D2", unit=LOSS_UNIT, low=0, summary_only=True),
    "validation_loss": quantity(
        "validation loss",
        "mean loss on the whole validation part, eval mode; of a diverged trial that of a constant guess",
        family="losses", section="D2", unit=LOSS_UNIT, low=0, smaller_is_better=True, version=2, reported=True),
    "validation_accuracy": share(
        "validation accuracy", "1 less the error (as test_error) on the validation part, eval mode",
        family="losses", section="D2", smaller_is_better=False, version=2, reported=True),
    "test_loss": quantity(
        "test loss", "mean loss on the test part, eval mode; of a diverged trial that of a constant guess",
        family="losses", section="D2", unit=LOSS_UNIT, low=0, smaller_is_better=True, version=2, summary_only=True),
    "test_error": share(
        "test error",
        "on the test part, share of wrong classes, of variance unexplained, or of misses; of a diverged trial that of "
        "chance",
        family="losses", section="D2", smaller_is_better=True, version=2, summary_only=True, reported=True),
    "test_error_before_divergence": share(
        "test error before divergence", "of a diverged trial, test error at the last evaluation before it was lost",
        family="losses", section="D2", smaller_is_better=True, summary_only=True),
    "diverged_step": quantity(
        "step of divergence", "the evaluation at which a trial's training was found to be lost",
        family="losses", section="D2", unit="steps", low=0, summary_only=True),
    "psnr": quantity(
        "PSNR", "10 log10(range^2 / mean squared error) in dB over all pixels of the test part, as test_loss",
        family="losses", section="D2", unit="dB", smaller_is_better=False, summary_only=True),
    "train_eval_gap": share(
        "train-eval gap",
        "test error with running statistics less that with the batch's own, on the same batches and ghosts of the "
        "training's size",
        family="losses", section="D3", low=-1, version=2, reported=True),
    "precise_test_error": share(
        "precise test error", "test error with running statistics averaged anew at the final weights",
        family="losses", section="D3", smaller_is_better=True, summary_only=True),
    # ---- the report's own: of losses by step, and of a cell's trials together ----
    "steps_to_target": quantity(
        "steps to the target", "epochs_to_target in optimizer steps",
        family="report", section="D2", version=2, unit="steps", low=0, smaller_is_better=True, reported=True),
    "epochs_to_target": quantity(
        "epochs to the target",
        "epochs until the evaluation loss is at the target, at most the budget; the mean is RMST",
        family="report", section="D2", unit="epochs", low=0, smaller_is_better=True, reported=True, version=2),
    "aulc": quantity(
        "area under the learning curve",
        "mean over the budget of the evaluation loss, 0 at the study's best and 1 at a constant guess's, cut to [0, 1]",
        family="report", section="D2", low=0, high=1, smaller_is_better=True, reported=True, version=2),
    "collapse_rate": event(
        "collapsed trials", "share of a cell's trials that stalled or diverged, with Wilson's interval",
        family="report", section="D6", defined="network", network="own", smaller_is_better=True),
    "reached": event(
        "trials at the target", "share of a cell's trials that reached the target, with Wilson's interval",
        family="report", section="D2", defined="network", network="own", smaller_is_better=False),
    "degradation": share(
        "degradation",
        "test error at a batch size less that at the largest one, paired by seed, of networks that learned",
        family="report", section="D3", low=-1, smaller_is_better=True),
    "area": quantity(
        "area under the degradation", "degradation integrated over log2 of the batch size, all over the same sizes",
        family="report", section="D3", smaller_is_better=True),
    "omega_squared": quantity(
        "variance explained by a factor", "omega squared of a factor or an interaction; by chance a little below 0",
        family="report", section="D6", high=1),
    # ---- what the design decides and what procedures measure before step 0 ----
    "linear_width": quantity(
        "width of linear layers",
        "width of the linear layers, as the width policy of an activation of another ratio than 1 has chosen it",
        family="design", section="A1", unit="channels", low=1, summary_only=True),
    "reconstruction_loss": quantity(
        "reconstruction loss", "share of its inputs' variance that a layer's autoencoder misses in its last epoch",
        family="procedures", section="A3", defined="layer", network="none", low=0, smaller_is_better=True,
        summary_only=True),
    "source_test_error": share(
        "test error on the source", "test error on the source dataset of the network that is transferred",
        family="procedures", section="A3", smaller_is_better=True, summary_only=True),
    "pretraining_seconds": quantity(
        "seconds of pretraining", "the part of a trial's seconds that its procedure took",
        family="procedures", section="A3", unit="seconds", low=0, smaller_is_better=True, summary_only=True),
    # ---- units: dead, and how they came to it ----
    "dead_unit_rate": event(
        "gradient-dead units",
        "share of units with max |phi'(z)| < epsilon over the probe set (gradient-dead), networks as they are trained",
        family="dead_units", smaller_is_better=True, version=2, reported=True),
    "born_dead_rate": event(
        "born dead units", "share of units that are gradient-dead at step 0",
        family="dead_units", version=2, smaller_is_better=True, summary_only=True, reported=True),
    "died_rate": event(
        "units that died",
        "share of units alive at step 0 and dead at all five frames of the last fifth of the steps",
        family="dead_units", smaller_is_better=True, version=2, summary_only=True, reported=True),
    "dead_at_end_rate": event(
        "units dead at the end", "share of units alive at step 0 and dead at the last frame",
        family="dead_units", smaller_is_better=True, summary_only=True),
    "settled_frames": quantity(
        "frames of the last fifth", "on how many frames of the last fifth of the steps died_rate rests",
        family="dead_units", section="D1", unit="frames", low=1, summary_only=True),
    "transient_rate": event(
        "units dead for a while",
        "share of units alive at step 0, dead at a frame, alive at a later one, and not died",
        family="dead_units", version=2, summary_only=True, reported=True),
    "revived_rate": event(
        "revived units", "share of units dead at step 0 and alive at the last frame",
        family="dead_units", version=2, summary_only=True, reported=True),
    "dead_unit_rate_running": event(
        "gradient-dead units, running statistics",
        "as dead_unit_rate, normalized by the running statistics; absent where there are none",
        family="dead_units", defined="network", network="own", smaller_is_better=True, summary_only=True),
    "dead_unit_rate_recomputed": event(
        "gradient-dead units, recomputed statistics",
        "as dead_unit_rate, normalized by statistics averaged anew at the weights as they are; absent where there are "
        "none",
        family="dead_units", defined="network", network="own", smaller_is_better=True, summary_only=True),
    "off_rate": event(
        "off units", "share of rectifier units with max h <= 0 over the probe set",
        family="dead_units", version=2, reported=True),
    "dormant_rate": event(
        "dormant units", "share of units with E|h| <= tau times the layer's mean of it",
        family="dead_units", version=2, smaller_is_better=True, parameter="tau", usual="0.025", reported=True),
    "saturated_rate": event(
        "saturated unit-example pairs", "share of (unit, example) pairs with |phi'(z)| < epsilon max |phi'|",
        family="dead_units", version=2, smaller_is_better=True, reported=True),
    "dead_half_rate": event(
        "gradient-dead halves of units",
        "share of the halves of units with max |phi'(z)| < epsilon, where units are pairs; a unit is dead if both are",
        family="dead_units", version=2),
    "off_half_rate": event(
        "off halves of units", "share of halves of rectifier units, where units are pairs, with max h <= 0",
        family="dead_units", version=2),
    # ---- further states of units, layers and networks ----
    "pinned_negative_rate": event(
        "units pinned below zero", "share of units with z < 0 on the whole probe set",
        family="unit_states", version=2),
    "pinned_positive_rate": event(
        "units pinned above zero", "share of units with z > 0 on the whole probe set",
        family="unit_states", version=2),
    "constant_rate": event(
        "constant units", "share of units whose outputs' range is at most a share `constant` of the layer's rms",
        family="unit_states", version=2, smaller_is_better=True),
    "blocked_rate": event(
        "blocked units",
        "share of units alive, with max |dL/dz| below `blocked` over the probe set, L an example's loss",
        family="unit_states", version=2, smaller_is_better=True),
    "dead_layers": quantity(
        "dead layers", "number of hidden layers of which every unit is gradient-dead",
        family="unit_states", version=2, section="D1", unit="layers", low=0, smaller_is_better=True),
    "layer_dead": event(
        "layer dead", "1 if every unit of the layer is gradient-dead, else 0",
        family="unit_states", version=2, defined="layer", network="none", smaller_is_better=True),
    "network_constant": event(
        "network constant",
        "1 if every logit's range over the probe set is at most a share `constant` of their rms, else 0",
        family="unit_states", version=2, defined="network", network="own", smaller_is_better=True),
    "death_hazard": event(
        "hazard of death", "units that die from one frame to the next, over those alive before; all frames together",
        family="unit_states", version=2, network="own", smaller_is_better=True, summary_only=True),
    "revival_hazard": event(
        "hazard of revival", "units that wake from one frame to the next, over those dead before",
        family="unit_states", version=2, network="own", smaller_is_better=False, summary_only=True),
    "stationary_dead_rate": share(
        "stationary dead units", "h / (h + r): the dead share at which deaths and revivals would balance",
        family="unit_states", version=2, section="D1", defined="unit", smaller_is_better=True, summary_only=True),
    # ---- gradients and weights ----
    "gradient_slope": quantity(
        "slope of gradients over layers", "-(OLS slope of ln gradient_rms on the layer): per layer, towards the input",
        family="gradient_flow", version=2, section="D4", unit="ln per layer", reported=True),
    "gradient_rms": quantity(
        "gradient rms", "rms of dL/dz over units and the first examples of the probe set, statistics as in training",
        family="gradient_flow", version=2, section="D4", defined="layer", network="none", low=0),
    "gradient_time_slope": quantity(
        "slope of gradients over time",
        "-(OLS slope of ln rms dL/dz on the time step) in recurrent layers: per step, towards the past",
        family="gradient_flow", version=2, section="D4", defined="layer", network="mean over layers",
        unit="ln per time step"),
    "gradient_rms_first": quantity(
        "gradient rms at the first time step", "gradient_rms at the first time step alone",
        family="gradient_flow", version=2, section="D4", defined="layer", network="none", low=0),
    "gradient_rms_last": quantity(
        "gradient rms at the last time step", "gradient_rms at the last time step alone",
        family="gradient_flow", version=2, section="D4", defined="layer", network="none", low=0),
    "ics": quantity(
        "internal covariate shift",
        "norm of G - G': gradients of a layer's weights, before and after the layers below took a step",
        family="covariate_shift", version=2, section="C11", defined="layer", network="none", low=0),
    "ics_relative": quantity(
        "relative internal covariate shift", "ics over the norm of G",
        family="covariate_shift", version=2, section="C11", defined="layer", network="none", low=0),
    "ics_cosine": quantity(
        "cosine of gradients before and after a step", "cosine of the angle between G and G'",
        family="covariate_shift", version=2, section="C11", defined="layer", network="none", low=-1, high=1),
    "ics_slope": quantity(
        "slope of covariate shift over layers", "OLS slope of ln ics_relative on the layer, from the second layer on",
        family="covariate_shift", version=2, section="C11", unit="ln per layer"),
    "input_mean_drift": quantity(
        "drift of inputs' means", "mean over units of |m - m_0| / s_0: mean and deviation of z, now and at step 0",
        family="input_drift", version=2, section="D5", defined="unit", network="mean over units",
        unit="standard deviations", low=0),
    "input_std_drift": quantity(
        "drift of inputs' deviations", "mean over units of |ln(s / s_0)|: deviation of z, now and at step 0",
        family="input_drift", version=2, section="D5", defined="unit", network="mean over units", unit="ln", low=0),
    "weight_norm": quantity(
        "norm of weights", "Frobenius norm of a layer's weights",
        family="weights", section="D4", defined="layer", network="none", low=0),
    "weight_gradient_rms": quantity(
        "rms gradient of weights", "Frobenius norm of dL/dW over the root of the number of weights",
        family="weights", version=2, section="D4", defined="layer", network="none", low=0),
    "weight_gradient_share": quantity(
        "gradient over weights", "Frobenius norm of dL/dW over that of W",
        family="weights", version=2, section="D4", defined="layer", network="none", low=0),
    "learned_slope": quantity(
        "learned slope", "mean over units of what a parametric rectifier has learned",
        family="weights", section="D4", defined="layer", network="none"),
    "opposite_cosine": quantity(
        "cosine with the opposite filter", "mean over filters of the least cosine with another filter",
        family="weights", section="D4", defined="layer", network="none", low=-1, high=1),
    "learned_parameter": quantity(
        "learned parameter", "mean over units of a parameter, other than the slope, that the activation has learned",
        family="weights", section="D4", defined="layer", network="none", parameter="name", summary_only=True),
    "statistic_mean_error": quantity(
        "error of running means", "mean over channels of |running mean - m| / sd, (m, sd) of the weights as they are",
        family="statistic_error", section="D3", defined="layer", network="none", unit="standard deviations", low=0,
        smaller_is_better=True),
    "statistic_variance_error": quantity(
        "error of running variances", "mean over channels of |ln(running variance / v)|, v of the weights as they are",
        family="statistic_error", section="D3", defined="layer", network="none", unit="ln", low=0,
        smaller_is_better=True),
    # ---- distributions of outputs ----
    "activation_rate": share(
        "active unit-example pairs", "share of (unit, example) pairs with z > 0",
        family="activation_statistics", version=2, section="D5", defined="unit", network="mean over units",
        reported=True),
    "activation_mean": quantity(
        "mean of outputs", "mean of h over units and examples",
        family="activation_statistics", version=2, section="D5", defined="layer", network="none"),
    "activation_std": quantity(
        "deviation of outputs", "biased standard deviation of h over units and examples",
        family="activation_statistics", version=2, section="D5", defined="layer", network="none", low=0),
    "effective_rank": quantity(
        "effective rank", "exp(-sum p ln p), p the singular values of a layer's outputs over their sum",
        family="activation_statistics", version=2, section="D5", defined="layer", network="mean over layers", low=0,
        reported=True),
    "activation_skew": quantity(
        "skewness of outputs", "third central moment of h over the variance to 3/2, units and examples together",
        family="distributions", version=2, section="D5", defined="layer", network="none"),
    "activation_kurtosis": quantity(
        "kurtosis of outputs", "fourth central moment of h over the squared variance; 3 for a Gaussian",
        family="distributions", version=2, section="D5", defined="layer", network="none", low=1),
    "activation_quantile": quantity(
        "quantile of outputs", "quantile of h over units and examples",
        family="distributions", version=2, section="D5", defined="layer", network="none", parameter="percent"),
    "activation_histogram": share(
        "histogram of outputs", "share of h in a bin of actinium.histogram",
        family="distributions", version=2, section="D5", defined="layer", network="none", parameter="bin",
        frames_only=True),
    "preactivation_skew": quantity(
        "skewness of what activations receive", "as activation_skew, of z",
        family="distributions", version=2, section="D5", defined="layer", network="none"),
    "preactivation_kurtosis": quantity(
        "kurtosis of what activations receive", "as activation_kurtosis, of z",
        family="distributions", version=2, section="D5", defined="layer", network="none", low=1),
    "preactivation_quantile": quantity(
        "quantile of what activations receive", "as activation_quantile, of z",
        family="distributions", version=2, section="D5", defined="layer", network="none", parameter="percent"),
    "preactivation_histogram": share(
        "histogram of what activations receive", "as activation_histogram, of z",
        family="distributions", version=2, section="D5", defined="layer", network="none", parameter="bin",
        frames_only=True),
    "lifetime_sparsity": quantity(
        "lifetime sparsity", "Treves-Rolls sparsity of a unit's |h| over examples, averaged over units",
        family="sparsity", version=2, section="D5", defined="layer", network="mean over layers", low=0, high=1),
    "lifetime_hoyer": quantity(
        "lifetime sparsity (Hoyer)", "Hoyer's sparsity of a unit's |h| over examples, averaged over units",
        family="sparsity", version=2, section="D5", defined="layer", network="mean over layers", low=0, high=1),
    "population_sparsity": quantity(
        "population sparsity", "Treves-Rolls sparsity of |h| over units, averaged over examples",
        family="sparsity", version=2, section="D5", defined="layer", network="mean over layers", low=0, high=1),
    "population_hoyer": quantity(
        "population sparsity (Hoyer)", "Hoyer's sparsity of |h| over units, averaged over examples",
        family="sparsity", version=2, section="D5", defined="layer", network="mean over layers", low=0, high=1),
    "zero_share": share(
        "zero outputs", "share of outputs that are exactly zero",
        family="sparsity", version=2, section="D5", defined="layer", network="mean over layers"),
    "stable_rank": quantity(
        "stable rank", "squared Frobenius norm of a layer's outputs over their squared spectral norm",
        family="spectrum", version=2, section="D5", defined="layer", network="mean over layers", low=0),
    "srank": quantity(
        "srank", "the least number of singular values of a layer's outputs that hold a share of their sum",
        family="spectrum", version=2, section="D5", defined="layer", network="mean over layers", low=0),
}
# fmt: on
"""By the name of the quantity, without layer and parameter."""
