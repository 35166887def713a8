"""Batch normalization of folded lanes: statistics over the batch in training, the running ones in eval mode.

Legend: l lanes, B examples, C channels or units, K = l C folded channels, m elements of a statistic. A folded slice is
[B, K, ...]; gamma, beta and running statistics are [l, C].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from actinium.levels import Normalization
from workers.draws import StepDraws
from workers.layers import Parameters, Pass


@dataclass(frozen=True, kw_only=True)
class Affine:
    """A slice's learned scale and shift, [l, C] each; None stands for a scale of 1, a shift of 0."""

    gamma: Tensor | None
    beta: Tensor | None

    def flat(self) -> tuple[Tensor | None, Tensor | None]:
        """Gamma and beta of the folded channels, [K] each, or neither: torch's fused kernels want both or none."""
        gamma, beta = self.gamma, self.beta
        if gamma is None and beta is not None:
            gamma = torch.ones_like(beta)
        if beta is None and gamma is not None:
            beta = torch.zeros_like(gamma)
        return None if gamma is None else gamma.flatten(), None if beta is None else beta.flatten()

    def repeated(self, count: int) -> "Affine":
        """Those of the folded channels, `count` times one behind the other."""
        return Affine(
            gamma=None if self.gamma is None else self.gamma.flatten().repeat(count),
            beta=None if self.beta is None else self.beta.flatten().repeat(count),
        )


@dataclass(frozen=True, kw_only=True)
class RunningStatistics:
    """A slice's running mean and unbiased variance, [l, C] each; views that a training pass moves in place.

    batches [l, 1]: how many batches have moved them, where the level depends on how far the training is; a view that
    moves too. steps: how many batches the whole training has.
    """

    mean: Tensor
    var: Tensor
    batches: Tensor | None = None
    steps: int = 1

    def progress(self) -> Tensor:
        """The share of the training's steps that is over, for every folded channel: [K]."""
        assert self.batches is not None, "the level goes by the progress of the training"
        return (self.batches / self.steps).expand_as(self.mean).flatten()


def keeps_statistics(level: Normalization) -> bool:
    """Whether the level normalizes by the batch's statistics in training, and by running statistics in evaluation."""
    return level.name in TRAINING_RULES


def follows_progress(level: Normalization) -> bool:
    """Whether the level computes differently early and late in the training."""
    return level.name == "batch_renorm" or level.parameters.get("frozen_after") is not None


def running_of(
    level: Normalization, statistics: Parameters, layer: str, lanes: slice, *, steps: int
) -> RunningStatistics | None:
    """The running statistics of a layer's slice of lanes, as views; None where the level keeps none."""
    if not keeps_statistics(level):
        return None
    return RunningStatistics(
        mean=statistics[f"{layer}.running_mean"][lanes],
        var=statistics[f"{layer}.running_var"][lanes],
        batches=statistics[f"{layer}.batches"][lanes] if follows_progress(level) else None,
        steps=steps,
    )


def batch_normalize(
    folded: Tensor,
    level: Normalization,
    affine: Affine,
    running: RunningStatistics | None,
    pass_: Pass,
) -> Tensor:
    """Batch normalization of [B, K, ...]: by the batch's statistics in training, else by the running ones.

    The running variance moves towards the unbiased one (m / (m - 1)), where the pass moves statistics.
    """
    assert running is not None, "batch normalization keeps running statistics"
    if not pass_.training:
        return _by(running.mean, running.var, folded, level, affine)
    if pass_.batch is not None and pass_.batch < folded.shape[0]:
        return _batches(folded, level, affine, running, pass_.batch)
    update = pass_.moves_statistics
    moving = running if update else replace(running, mean=running.mean.clone(), var=running.var.clone())
    if pass_.averaged is None:
        y = TRAINING_RULES[level.name](folded, level, affine, moving, level.number("momentum"))
    else:
        y = _ghosts(folded, level, affine, moving, 1.0 / (pass_.averaged + 1))
    if update and running.batches is not None:
        running.batches.add_(1.0)
    return y


def _batches(folded: Tensor, level: Normalization, affine: Affine, running: RunningStatistics, batch: int) -> Tensor:
    """Every `batch` examples of [B, K, ...] as a training step of them would be normalized; no statistics move."""
    count, rest = divmod(folded.shape[0], batch)
    assert not rest, f"{folded.shape[0]} examples are no whole batches of {batch}"
    own = replace(
        running,
        mean=running.mean.flatten().repeat(count),
        var=running.var.flatten().repeat(count),
        batches=None if running.batches is None else running.batches.expand_as(running.mean).flatten().repeat(count),
    )
    y = TRAINING_RULES[level.name](
        _side_by_side(folded, count), level, affine.repeated(count), own, level.number("momentum")
    )
    return _one_behind_the_other(y, count).reshape(folded.shape)


def _side_by_side(folded: Tensor, count: int) -> Tensor:
    """`count` equal runs of the examples of [B, K, ...] as channels of their own: [B / count, count K, P]."""
    examples, channels = folded.shape[:2]
    runs = folded.reshape(count, examples // count, channels, -1)
    return runs.transpose(0, 1).reshape(examples // count, count * channels, -1)


def _one_behind_the_other(side_by_side: Tensor, count: int) -> Tensor:
    """What `_side_by_side` made of them, as they were: [B, K, P]."""
    examples, channels, positions = side_by_side.shape
    runs = side_by_side.view(examples, count, channels // count, positions)
    return runs.transpose(0, 1).reshape(examples * count, channels // count, positions)


def _by(mean: Tensor, var: Tensor, folded: Tensor, level: Normalization, affine: Affine) -> Tensor:
    """Normalization by given statistics, [l, C] each."""
    eps = level.number("eps")
    return functional.batch_norm(folded, mean.flatten(), var.flatten(), *affine.flat(), training=False, eps=eps)


def _move(running: RunningStatistics, mean: Tensor, var: Tensor) -> None:
    """Overwrite the running statistics, [K] or [l, C] each.

    Behind autograd's back: torch's batch_norm holds the running statistics that it was given in training without ever
    using them, and would refuse a backward pass because neighbouring lanes' views of one tensor have moved.
    """
    running.mean.data.copy_(mean.view_as(running.mean))
    running.var.data.copy_(var.view_as(running.var))


def _plain(folded: Tensor, level: Normalization, affine: Affine, running: RunningStatistics, momentum: float) -> Tensor:
    return functional.batch_norm(
        folded,
        running.mean.flatten(),
        running.var.flatten(),
        *affine.flat(),
        training=True,
        momentum=momentum,
        eps=level.number("eps"),
    )


def _ghosts(
    folded: Tensor, level: Normalization, affine: Affine, running: RunningStatistics, momentum: float
) -> Tensor:
    """Each run of `ghost_batch_size` examples is normalized by itself (Hoffer et al. 2017).

    The running statistics move towards the mean over the ghosts of their means and unbiased variances. A measuring
    pass over a batch that the size does not divide takes as many ghosts as fit, as equal as they can be.
    """
    examples, channels = folded.shape[:2]
    size = level.parameters.get("ghost_batch_size")
    ghosts = 1 if size is None else max(examples // int(size), 1)
    if ghosts == 1:
        return _plain(folded, level, affine, running, momentum)
    least, larger = divmod(examples, ghosts)
    done, means, variances = [], [], []
    start = 0
    for count, length in ((larger, least + 1), (ghosts - larger, least)):
        if not count:
            continue
        part = folded[start : start + count * length]
        start += count * length
        own = RunningStatistics(mean=running.mean.flatten().repeat(count), var=running.var.flatten().repeat(count))
        y = _plain(_side_by_side(part, count), level, affine.repeated(count), own, momentum)
        done.append(_one_behind_the_other(y, count).reshape(part.shape))
        means.append(own.mean.view(count, channels))
        variances.append(own.var.view(count, channels))
    _move(running, torch.cat(means).mean(0), torch.cat(variances).mean(0))
    return torch.cat(done)


def _batch(folded: Tensor, level: Normalization, affine: Affine, running: RunningStatistics, momentum: float) -> Tensor:
    """Ghost by ghost; by the running statistics, which stand still, once `frozen_after` of the training is over."""
    share = level.parameters["frozen_after"]
    if share is None:
        return _ghosts(folded, level, affine, running, momentum)
    frozen = running.progress() >= float(share)
    by_running = _by(running.mean.clone(), running.var.clone(), folded, level, affine)
    moved = replace(running, mean=running.mean.clone(), var=running.var.clone())
    by_batch = _ghosts(folded, level, affine, moved, momentum)
    mask = frozen.view_as(running.mean)
    _move(running, torch.where(mask, running.mean, moved.mean), torch.where(mask, running.var, moved.var))
    return torch.where(_along_channels(frozen, folded), by_running, by_batch)


def _along_channels(vector: Tensor, folded: Tensor) -> Tensor:
    """[K], to be used with [B, K, ...]."""
    return vector.view(1, -1, *[1] * (folded.dim() - 2))


def _renorm(
    folded: Tensor, level: Normalization, affine: Affine, running: RunningStatistics, momentum: float
) -> Tensor:
    """x = (z - mean) / s r + d, s^2 = var + eps of the batch, S^2 = running var + eps; Ioffe 2017, algorithm 1.

    r = s / S within [1 / r_max, r_max] and d = (mean - running mean) / S within [-d_max, d_max] are constants to the
    gradient. Both bounds widen linearly, from 1 and 0 at `ramp_start` on. The running variance is kept, not its root.
    """
    axes = [axis for axis in range(folded.dim()) if axis != 1]
    var, mean = torch.var_mean(folded, axes, correction=0)
    root, eps = (var + level.number("eps")).sqrt(), level.number("eps")
    running_mean, running_root = running.mean.flatten(), (running.var.flatten() + eps).sqrt()
    since = running.progress() - level.number("ramp_start")
    r_max = 1.0 + (level.number("r_max") - 1.0) * (since / level.number("r_ramp")).clamp(0.0, 1.0)
    d_max = level.number("d_max") * (since / level.number("d_ramp")).clamp(0.0, 1.0)
    r = (root.detach() / running_root).clamp(1.0 / r_max, r_max)
    d = ((mean.detach() - running_mean) / running_root).clamp(-d_max, d_max)
    gamma, beta = affine.flat()
    scale, shift = r if gamma is None else r * gamma, d if gamma is None else d * gamma
    shift = shift if beta is None else shift + beta
    y = (folded - _along_channels(mean, folded)) * _along_channels(scale / root, folded)
    elements, weight = folded.numel() // folded.shape[1], momentum
    unbiased = var.detach() * (elements / (elements - 1))
    running_var = running.var.flatten()
    _move(running, running_mean.lerp(mean.detach(), weight), running_var.lerp(unbiased, weight))
    return y + _along_channels(shift, folded)


TRAINING_RULES: Mapping[str, Callable[[Tensor, Normalization, Affine, RunningStatistics, float], Tensor]] = {
    "batch": _batch,
    "batch_renorm": _renorm,
    "noisy_batch": _plain,
}
"""How each level that normalizes by the batch does so in training: [B, K, ...] to the same shape. The last argument is
the share of the running statistics that this batch replaces.
"""


def with_noise(
    y: Tensor, level: Normalization, draws: StepDraws | None, layer: str, lanes: slice, *, lane_axis: int
) -> Tensor:
    """`noisy_batch` in a training step: y times N(s, jitter^2) plus U(mu - jitter, mu + jitter), of every example and
    channel; mu ~ U(-shift, shift) and s ~ U(1, 1 + scale) of every channel and step (Santurkar et al. 2018, appendix).

    y is [l, B, N] or [B, l, C, H, W], by `lane_axis`. Without draws, nothing is added.
    """
    if draws is None or level.name != "noisy_batch":
        return y
    examples, channels = y.shape[1 - lane_axis], y.shape[2]
    jitter = level.number("jitter")
    mu = level.number("shift") * (2.0 * draws.uniform("noise_mu", layer, lanes, (1, channels)) - 1.0)
    s = 1.0 + level.number("scale") * draws.uniform("noise_s", layer, lanes, (1, channels))
    factor = s + jitter * draws.normal("noise_factor", layer, lanes, (examples, channels))
    term = mu + jitter * (2.0 * draws.uniform("noise_term", layer, lanes, (examples, channels)) - 1.0)
    if lane_axis == 1:
        factor, term = factor.transpose(0, 1)[..., None, None], term.transpose(0, 1)[..., None, None]
    return torch.addcmul(term, y, factor)
