"""The table of initializations: rules for the weights at step 0. The tensors are in `workers.initializations`."""

from actinium.datasets.table import DATASETS
from actinium.definitions import LevelDefinition, Parameter, ParameterValue, table

DISTRIBUTION = Parameter(
    default="normal", kind="choice", choices=("normal", "uniform"), doc="shape of the draws; the variance is the same"
)

MODE = "fan_in keeps the forward variance, fan_out the backward one"
MODES = ("fan_in", "fan_out", "average")
STARTS = ("lecun", "xavier", "he", "orthogonal", "small")
START = "rule for the weights before the procedure, and for the classifier"
EPOCHS = "passes over the training part"
GAIN = Parameter(default=1.0, above=0.0, high=100.0, doc="every singular value")


def _shapes(*rules: str) -> dict[str, dict[str, ParameterValue]]:
    """PyTorch's and Keras' names for a rule with normal and with uniform draws: `xavier_uniform`, `glorot_normal`."""
    return {f"{rule}_{shape}": {"distribution": shape} for rule in rules for shape in ("normal", "uniform")}


PROCEDURES = ("greedy_autoencoder", "transfer")
"""Those that train: they run inside the trial, before its step 0."""

INITIALIZATIONS = table(
    LevelDefinition(
        name="zero",
        aliases=("zeros",),
        equation="W = 0",
        citation="lecture folklore; the symmetry is never broken",
    ),
    LevelDefinition(
        name="normal",
        equation="N(0, std^2)",
        citation="Krizhevsky et al. 2012",
        parameters={"std": Parameter(default=0.01, above=0.0, high=100.0, doc="standard deviation")},
        presets={"small": {"std": 0.01}, "large": {"std": 1.0}, "random_normal": {"std": 0.05}},
        note="PyTorch's normal_ has std 1 where it is not said, Keras' random_normal 0.05",
    ),
    LevelDefinition(
        name="lecun",
        equation="variance 1 / fan_in",
        citation="LeCun et al. 1998, section 4.6",
        parameters={"distribution": DISTRIBUTION},
        presets=_shapes("lecun"),
        note="Caffe calls this xavier",
    ),
    LevelDefinition(
        name="xavier",
        aliases=("glorot",),
        equation="variance 1 / fan",
        citation="Glorot & Bengio 2010, eq. 10, 11, 12 and 16",
        parameters={
            "mode": Parameter(default="average", kind="choice", choices=MODES, doc=f"{MODE}; average: half their sum"),
            "distribution": DISTRIBUTION,
        },
        presets=_shapes("xavier", "glorot"),
    ),
    LevelDefinition(
        name="he",
        aliases=("kaiming",),
        equation="variance 2 / ((1 + a^2) fan)",
        citation="He et al. 2015, eq. 10, 14, 15",
        parameters={
            "mode": Parameter(default="fan_in", kind="choice", choices=MODES, doc=f"{MODE}; average: half their sum"),
            "negative_slope": Parameter(default=0.0, low=-1.0, high=1.0, doc="a: slope of the rectifier below zero"),
            "distribution": DISTRIBUTION,
        },
        presets=_shapes("he", "kaiming"),
    ),
    LevelDefinition(
        name="orthogonal",
        equation="gain Q, Q with orthonormal rows or columns",
        citation="Saxe et al. 2014",
        parameters={"gain": GAIN},
    ),
    LevelDefinition(
        name="delta_orthogonal",
        equation="gain Q at a kernel's centre, 0 elsewhere, Q with orthonormal rows or columns",
        citation="Xiao et al. 2018",
        parameters={"gain": GAIN},
        note="for networks with kernels; their classifier starts orthogonal",
    ),
    LevelDefinition(
        name="lsuv",
        equation="orthonormal, then each layer in turn divided by the deviation of its output on the first batch",
        citation="Mishkin & Matas 2016, algorithm 1",
        parameters={
            "tolerance": Parameter(default=0.1, above=0.0, high=1.0, doc="how far from 1 the deviation may stay"),
            "attempts": Parameter(default=10, kind="integer", low=1, high=100, doc="most divisions of a layer"),
        },
        note="the output is the linear layer's own; the classifier is the last layer",
    ),
    LevelDefinition(
        name="fixup",
        equation="He's, times L^(-1 / (2 m - 2)) inside a residual branch; 0 for its last layer and for the classifier",
        citation="Zhang et al. 2019, section 3",
        parameters={
            "mode": Parameter(default="fan_in", kind="choice", choices=MODES, doc=f"{MODE}; average: half their sum")
        },
        note="L branches of m layers; a learned scalar shift before every linear layer and activation and a learned "
        "multiplier of every branch take the place of biases; for residual networks without normalization",
    ),
    LevelDefinition(
        name="greedy_autoencoder",
        equation="layer by layer, W and b of h = phi(W x~ + b) whose phi(W^T h + c) is nearest to the layer's input x; "
        "x~ is x with some inputs set to 0; for the first layer, whose x is data, W^T h + c",
        citation="Bengio et al. 2007; corrupted: Vincent et al. 2008; Erhan et al. 2010",
        parameters={
            "epochs": Parameter(default=20, kind="integer", low=1, high=10_000, doc=f"{EPOCHS}, for each layer"),
            "learning_rate": Parameter(default=0.003, above=0.0, high=10.0, doc="of Adam"),
            "corruption": Parameter(default=0.0, low=0.0, high=0.99, doc="chance that an input of a layer is set to 0"),
            "start": Parameter(default="xavier", kind="choice", choices=STARTS, doc=START),
        },
        note="a procedure inside the trial, on its training inputs; of fully connected layers without shortcuts",
    ),
    LevelDefinition(
        name="transfer",
        equation="hidden layers start as the same training on `source` has left them",
        citation="Yosinski et al. 2014",
        parameters={
            "source": Parameter(default="digits_0_4", kind="choice", choices=tuple(DATASETS), doc="trained on first"),
            "epochs": Parameter(default=20, kind="integer", low=1, high=100_000, doc=f"{EPOCHS} of the source"),
            "learning_rate": Parameter(
                default=None, nullable=True, above=0.0, high=1e6, doc="on the source; null: the trial's own"
            ),
            "freeze": Parameter(
                default="none", kind="choice", choices=("none", "features"), doc="features: train the classifier alone"
            ),
            "classifier": Parameter(
                default="reset", kind="choice", choices=("reset", "keep"), doc="keep: the source's, of equal classes"
            ),
            "start": Parameter(default="he", kind="choice", choices=STARTS, doc=START),
        },
        note="a procedure inside the trial; source and task have inputs of one shape, and should share no examples, as "
        "digits does with its halves",
    ),
    LevelDefinition(
        name="rai",
        equation="N(0, scale^2 / fan_in) for a unit's weights and bias, but one of them, picked at random, Beta(2, 1)",
        citation="Lu et al. 2020, arXiv:1903.06733",
        parameters={
            "scale": Parameter(
                default=0.6007, above=0.0, high=100.0, doc="deviation of the normal part, sqrt(fan_in) x"
            )
        },
        note="randomized asymmetric: of hidden layers; the classifier has the normal part alone, and no bias",
    ),
)
