"""The table of initializations: rules for the weights at step 0. The tensors are in `workers.initializations`."""

from actinium.definitions import LevelDefinition, Parameter, table

DISTRIBUTION = Parameter(
    default="normal", kind="choice", choices=("normal", "uniform"), doc="shape of the draws; the variance is the same"
)

INITIALIZATIONS = table(
    LevelDefinition(name="zero", equation="W = 0", citation="lecture folklore; the symmetry is never broken"),
    LevelDefinition(
        name="normal",
        equation="N(0, std^2)",
        citation="Krizhevsky et al. 2012",
        parameters={"std": Parameter(default=0.01, above=0.0, high=100.0, doc="standard deviation")},
    ),
    LevelDefinition(
        name="xavier",
        aliases=("glorot",),
        equation="variance 2 / (fan_in + fan_out)",
        citation="Glorot & Bengio 2010, eq. 12 and 16",
        parameters={"distribution": DISTRIBUTION},
    ),
    LevelDefinition(
        name="he",
        aliases=("kaiming",),
        equation="variance 2 / ((1 + a^2) fan)",
        citation="He et al. 2015, eq. 10, 14, 15",
        parameters={
            "mode": Parameter(
                default="fan_in", kind="choice", choices=("fan_in", "fan_out"), doc="keep forward or backward variance"
            ),
            "negative_slope": Parameter(default=0.0, low=-1.0, high=1.0, doc="a: slope of the rectifier below zero"),
            "distribution": DISTRIBUTION,
        },
    ),
    LevelDefinition(
        name="orthogonal",
        equation="gain Q, Q with orthonormal rows or columns",
        citation="Saxe et al. 2014",
        parameters={"gain": Parameter(default=1.0, above=0.0, high=100.0, doc="every singular value")},
    ),
)
