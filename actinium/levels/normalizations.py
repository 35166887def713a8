"""The table of normalizations. The tensors are in `workers.normalizations.apply`."""

from actinium.definitions import LevelDefinition, Parameter, table

EPS = Parameter(default=1e-5, above=0.0, doc="added to the variance before the square root")
AFFINE = Parameter(
    default="both",
    kind="choice",
    choices=("both", "scale", "shift", "none"),
    doc="which of gamma (scale) and beta (shift) are learned; the other stays at 1 or 0",
)
POSITION = Parameter(default="pre", kind="choice", choices=("pre", "post"), doc="before or after the activation")
MOMENTUM = Parameter(default=0.1, above=0.0, high=1.0, doc="weight of the newest batch in the running statistics")
EVERYWHERE = {"affine": AFFINE, "position": POSITION, "eps": EPS}
"""What every normalization has."""

NORMALIZATIONS = table(
    LevelDefinition(name="none", aliases=("Identity",), equation="z", citation="no normalization"),
    LevelDefinition(
        name="batch",
        aliases=("batchnorm", "bn", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "BatchNormalization"),
        equation="gamma (z - mean) / sqrt(var + eps) + beta over (N, H, W) per channel; running in eval mode",
        citation="Ioffe & Szegedy 2015",
        parameters={
            **EVERYWHERE,
            "momentum": MOMENTUM,
            "ghost_batch_size": Parameter(
                default=None,
                kind="integer",
                low=1,
                nullable=True,
                doc="examples that share statistics in training, a divisor of the batch size; null: the whole batch",
            ),
            "frozen_after": Parameter(
                default=None,
                low=0.0,
                high=1.0,
                nullable=True,
                doc="share of the steps after which training goes by the running statistics, which stand still then",
            ),
        },
        note="ghosts: Hoffer et al. 2017; the running statistics move towards the mean of those of the ghosts",
    ),
    LevelDefinition(
        name="batch_renorm",
        aliases=("brn", "BatchRenormalization"),
        equation="gamma ((z - mean) / s r + d) + beta; r = s / S in [1/r_max, r_max], "
        "d = (mean - running mean) / S in [-d_max, d_max], constants to the gradient; running in eval mode",
        citation="Ioffe 2017, algorithm 1",
        parameters={
            **EVERYWHERE,
            "momentum": MOMENTUM,
            "r_max": Parameter(default=3.0, low=1.0, high=1e6, doc="bound of r and 1/r at the end of its ramp"),
            "d_max": Parameter(default=5.0, low=0.0, high=1e6, doc="bound of |d| at the end of its ramp"),
            "ramp_start": Parameter(
                default=0.04, low=0.0, high=1.0, doc="share of the steps that are plain batch normalization"
            ),
            "r_ramp": Parameter(default=0.28, above=0.0, high=1.0, doc="share of the steps in which r_max is reached"),
            "d_ramp": Parameter(default=0.16, above=0.0, high=1.0, doc="share of the steps in which d_max is reached"),
        },
        note="s^2 = var + eps of the batch, S^2 of the running statistics; the ramps are the paper's (from step 5,000 "
        "to 40,000 and 25,000) as shares of 125,000 steps",
    ),
    LevelDefinition(
        name="noisy_batch",
        equation="batch(z) times N(s, jitter^2) plus U(mu - jitter, mu + jitter) per example and channel; "
        "mu ~ U(-shift, shift), s ~ U(1, 1 + scale) per channel and step; nothing is added in eval mode",
        citation="Santurkar et al. 2018, appendix A",
        parameters={
            **EVERYWHERE,
            "momentum": MOMENTUM,
            "shift": Parameter(default=0.5, low=0.0, high=100.0, doc="bound of the channels' shifts"),
            "scale": Parameter(default=0.25, low=0.0, high=100.0, doc="the channels' largest growth"),
            "jitter": Parameter(default=0.1, low=0.0, high=100.0, doc="spread over the examples"),
        },
    ),
    LevelDefinition(
        name="layer",
        aliases=("layernorm", "ln", "LayerNormalization"),
        equation="gamma (z - mean) / sqrt(var + eps) + beta over (C, H, W) per example",
        citation="Ba et al. 2016",
        parameters=EVERYWHERE,
        note="gamma and beta have one entry a channel",
    ),
    LevelDefinition(
        name="instance",
        aliases=(
            "instancenorm",
            "in",
            "InstanceNorm1d",
            "InstanceNorm2d",
            "InstanceNorm3d",
            "InstanceNormalization",
        ),
        equation="gamma (z - mean) / sqrt(var + eps) + beta over (H, W) per example and channel",
        citation="Ulyanov et al. 2016",
        parameters=EVERYWHERE,
        note="needs positions: not for fully connected layers",
    ),
    LevelDefinition(
        name="group",
        aliases=("groupnorm", "gn", "GroupNormalization"),
        equation="gamma (z - mean) / sqrt(var + eps) + beta over (C/G, H, W) per example and group",
        citation="Wu & He 2018, eq. 7",
        parameters={
            **EVERYWHERE,
            "groups": Parameter(
                default=None,
                kind="integer",
                low=1,
                nullable=True,
                doc="G; null: the largest divisor of C up to 32 that leaves at least 4 channels a group",
            ),
        },
    ),
)
