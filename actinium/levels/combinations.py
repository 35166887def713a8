"""What levels mean for a network: where a normalization stands, what it learns and cancels, and what cannot be
combined with what (SCIENCE A2).
"""

from actinium.levels.level import Initialization, Normalization

BATCH_NORMALIZATIONS = ("batch", "batch_renorm", "noisy_batch")
"""Those with statistics over the batch in training, and running ones in eval mode."""


def stands_before(level: Normalization) -> bool:
    """Whether this level normalizes what the activation receives."""
    return level.name != "none" and level.parameters["position"] == "pre"


def stands_after(level: Normalization) -> bool:
    """Whether this level normalizes what the activation gives."""
    return level.name != "none" and level.parameters["position"] == "post"


def learns_scale(level: Normalization) -> bool:
    """Whether gamma is trained."""
    return level.parameters.get("affine") in ("both", "scale")


def learns_shift(level: Normalization) -> bool:
    """Whether beta is trained."""
    return level.parameters.get("affine") in ("both", "shift")


def cancels_bias(level: Normalization) -> bool:
    """Whether a constant added to a channel beforehand has no effect, so that the layer carries no bias (SCIENCE B).

    The mean over a channel takes the constant away again, with or without a beta of its own; the mean over several
    channels does not, nor a running mean that stands still, nor a normalization behind the activation.
    """
    over_channels = level.name in (*BATCH_NORMALIZATIONS, "instance")
    return over_channels and stands_before(level) and level.parameters.get("frozen_after") is None


def default_groups(channels: int) -> int:
    """GroupNorm's G when none is given (SCIENCE A2): the largest divisor up to 32 that leaves C/G >= 4, else 1."""
    fitting = [g for g in range(1, min(32, channels) + 1) if channels % g == 0 and channels // g >= 4]
    return max(fitting, default=1)


def groups_for(normalization: Normalization, channels: int) -> int:
    """GroupNorm's G for a layer of `channels`."""
    groups = normalization.parameters["groups"]
    return default_groups(channels) if groups is None else int(groups)


def invalid_combination(normalization: Normalization, *, channels: int, positions: int, batch_size: int) -> str | None:
    """Why this normalization cannot stand on a layer of `channels` x `positions` (SCIENCE A2), or None.

    These designs are listed and not run; they are not failures.
    """
    name = normalization.name
    if name == "instance" and positions == 1:
        return "instance normalization on a fully connected layer has one element a statistic"
    if name in BATCH_NORMALIZATIONS:
        size = normalization.parameters.get("ghost_batch_size") or batch_size
        if batch_size % int(size):
            return f"ghosts of {size} examples do not divide a batch of {batch_size}"
        if int(size) * positions == 1:
            return "batch normalization in training mode with one element a statistic (m = 1)"
    if name == "group":
        groups = groups_for(normalization, channels)
        if channels % groups:
            return f"{groups} groups do not divide {channels} channels"
        if channels // groups * positions == 1:
            return f"group normalization with one element a group ({groups} groups of {channels} channels)"
    if name == "layer" and channels * positions == 1:
        return "layer normalization with one element a statistic"
    return None


def invalid_start(
    initialization: Initialization, *, kernels: bool, branches: int, activated_branches: bool, normalized: bool
) -> str | None:
    """Why this initialization cannot stand on a network with `kernels` (convolutions) or without, with `branches`
    residual branches that end in an activation or not, `normalized` or not; or None.
    """
    if initialization.name == "delta_orthogonal" and not kernels:
        return "delta-orthogonal weights need kernels; of fully connected layers they are the orthogonal ones"
    if initialization.name == "fixup":
        if not branches:
            return "fixup scales residual branches, and this network has none"
        if activated_branches:
            return (
                "fixup needs residual_activation after_add: a branch of zeros that ends in a rectifier learns nothing"
            )
        if normalized:
            return "fixup takes the place of normalization; give normalization none"
    return None
