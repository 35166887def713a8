"""What is known of a kind of network without computing with it: one class a kind answers every question.

Pure arithmetic, without torch. `shape` is everywhere that of one example, (channels, height, width). `ratio` is how
many output channels the study's activation gives for each input channel: 1, 2 or 1/2.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self, TypeAlias

from actinium.document import Document
from actinium.levels import Activation, Initialization, Normalization
from actinium.objectives import ObjectiveName
from actinium.task import Task

Shape: TypeAlias = tuple[int, int, int]
WeightShapes: TypeAlias = dict[str, tuple[int, ...]]
ONE = Fraction(1)


class WidthFault(ValueError):
    """The activation changes the number of channels, and the network has no width for that; the message says why."""


class HiddenLayer(NamedTuple):
    """A linear layer with its activation: channels (or units) of its linear output, channels of its activation's
    output, and positions of both; the positions of a recurrent layer are its time steps.
    """

    channels: int
    activated: int
    positions: int


class ModelKind(Document):
    """Base of all kinds: the document that a study names a network by, and the facts that the house asks for.

    Adding a kind takes a subclass, its entry in `actinium.models.MODELS`, its lane-first network in
    `workers.models.LANE_MODELS`, and a test against the same network in plain torch. A subclass has to say `kind`,
    `hidden` and `weight_shapes`; the other facts have defaults, which hold for a network without convolutions, gates,
    time steps and shortcuts.
    """

    if TYPE_CHECKING:  # a field of every subclass, which has its own place among the others there
        kind: str

    kernels: ClassVar[bool] = False
    """Whether hidden layers are convolutions."""
    gates: ClassVar[int] = 1
    """How many linear outputs a hidden layer computes for each of its channels; 4 in an LSTM."""

    @abstractmethod
    def hidden(self, shape: Shape, ratio: Fraction = ONE) -> tuple[HiddenLayer, ...]:
        """The hidden layers, in order; the parameters of the first are named `layer_01`."""

    @abstractmethod
    def weight_shapes(self, shape: Shape, outputs: int, ratio: Fraction = ONE) -> WeightShapes:
        """The shape of every weight of a network with so many `outputs`, by the name of its layer.

        A matrix is (N_in, N_out), a kernel (C_out, C_in, k, k). Hidden layers `layer_NN` come first, then a residual
        network's `projection_NN`, and last the `classifier`. Each weight's random numbers depend on its place here.
        """

    def weights(self, shape: Shape, outputs: int, ratio: Fraction = ONE) -> int:
        """Elements of all weight matrices and kernels."""
        return sum(math.prod(weight) for weight in self.weight_shapes(shape, outputs, ratio).values())

    def time_steps(self, shape: Shape) -> int | None:
        """How many time steps a recurrent network reads of an example; None of other networks.

        A network with time steps can also be tested on sequences longer than those it is trained on.
        """
        return None

    def branches(self, shape: Shape) -> tuple[tuple[str, ...], ...]:
        """For every residual block, the names of the hidden layers that its shortcut goes around, in order."""
        return ()

    def activates_branches(self) -> bool:
        """Whether residual branches end in an activation, so that the sum is of activated values."""
        return False

    def projections(self, shape: Shape, ratio: Fraction = ONE) -> Mapping[str, str]:
        """For every projection, by its name, the hidden layer to whose linear output it is added."""
        return {}

    def objective(self, dataset: ObjectiveName) -> ObjectiveName:
        """What the network is trained for on a dataset with this objective."""
        return dataset

    def sized(
        self, activation: Activation, normalization: Normalization, *, shape: Shape, outputs: int, fixup: bool
    ) -> Self:
        """The same network for an activation that changes the number of channels, with linear layers as wide as the
        activation's `width_policy` asks. `fixup`: whether it starts by Fixup.

        Raises WidthFault where there is no such width, or the kind has no place for such activations.
        """
        raise WidthFault("it changes the number of channels, which this kind of model does not carry")

    def invalid(self, task: Task, normalization: Normalization, initialization: Initialization) -> str | None:
        """Why this kind cannot be combined with this task or these levels, or None.

        What does not depend on the kind is in `actinium.levels.combinations`.
        """
        return None

    def invalid_greedy(self) -> str | None:
        """Why greedy autoencoders cannot pretrain its hidden layers one by one, or None.

        Where they can, the lane-first network computes each layer by itself (`workers.layers.LayerwiseModel`).
        """
        return f"greedy autoencoders are of fully connected layers, and the model is a {self.kind}"


def linear_outputs(weight_shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Output channels (or units) of every linear layer but the classifier, by name."""
    return {
        layer: shape[0] if len(shape) == 4 else shape[1]
        for layer, shape in weight_shapes.items()
        if layer != "classifier"
    }
