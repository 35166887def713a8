"""The table of normalizations. The tensors are in `workers.normalizations`."""

from actinium.definitions import LevelDefinition, Parameter, table

EPS = Parameter(default=1e-5, above=0.0, doc="added to the variance before the square root")
AFFINE = Parameter(
    default="both",
    kind="choice",
    choices=("both", "scale", "shift", "none"),
    doc="which of gamma (scale) and beta (shift) are learned; the other stays at 1 or 0",
)
POSITION = Parameter(default="pre", kind="choice", choices=("pre", "post"), doc="before or after the activation")
EVERYWHERE = {"affine": AFFINE, "position": POSITION, "eps": EPS}
"""What every normalization has."""

NORMALIZATIONS = table(
    LevelDefinition(name="none", equation="z", citation="no normalization"),
    LevelDefinition(
        name="batch",
        aliases=("batchnorm", "bn"),
        equation="gamma (z - mean) / sqrt(var + eps) + beta over (N, H, W) per channel; running in eval mode",
        citation="Ioffe & Szegedy 2015",
        parameters={
            **EVERYWHERE,
            "momentum": Parameter(
                default=0.1, above=0.0, high=1.0, doc="weight of the newest batch in the running statistics"
            ),
        },
    ),
    LevelDefinition(
        name="layer",
        aliases=("layernorm", "ln"),
        equation="gamma (z - mean) / sqrt(var + eps) + beta over (C, H, W) per example",
        citation="Ba et al. 2016",
        parameters=EVERYWHERE,
        note="gamma and beta have one entry a channel",
    ),
    LevelDefinition(
        name="instance",
        aliases=("instancenorm", "in"),
        equation="gamma (z - mean) / sqrt(var + eps) + beta over (H, W) per example and channel",
        citation="Ulyanov et al. 2016",
        parameters=EVERYWHERE,
        note="needs positions: not for fully connected layers",
    ),
    LevelDefinition(
        name="group",
        aliases=("groupnorm", "gn"),
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
