"""Recurrent networks as a study names them: an example's rows are its time steps, a row's numbers what a step reads.

Legend: T time steps, F features of one, N hidden units, x_t a step's input, h_t its hidden state; s is the logistic
function, * the product by elements, phi the study's activation, norm its normalization.
"""

from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from actinium.levels import Initialization, Normalization
from actinium.models.kind import ONE, HiddenLayer, ModelKind, Shape, WeightShapes
from actinium.task import Task

GATE_NAMES = ("input_gate", "forget_gate", "output_gate")
"""The blocks of an LSTM's weights behind the first block, which is of the cell's input."""


class Recurrent(ModelKind):
    """What recurrent networks share: `depth` stacked layers of `width` units; the last hidden state alone feeds the
    linear classifier.

    `normalized`: `everywhere` is as in the papers of the normalizations (Ba et al. 2016 for layer, Cooijmans et al.
    2017 for batch normalization), `input` of W_x x_t alone (Laurent et al. 2016). Statistics of batch normalization
    are of one time step; steps behind the trained ones go by those of the last. A layer's bias stands behind its
    normalizations, and is the shift that a level learns. Dropout is of what a layer hands on, not of what it hands to
    its own next step (Zaremba et al. 2014).
    """

    width: int = Field(default=64, ge=1, le=4096)
    depth: int = Field(default=1, ge=1, le=16)
    normalized: Literal["everywhere", "input"] = "everywhere"
    batch_scale: float = Field(default=0.1, gt=0.0, le=10.0)
    """gamma of batch normalizations at step 0, where it is learned (Cooijmans et al. 2017, section 4)."""

    has_cell: ClassVar[bool] = False
    """Whether a layer keeps a cell beside its hidden state."""

    def hidden(self, shape: Shape, ratio: Fraction = ONE) -> tuple[HiddenLayer, ...]:
        return (HiddenLayer(self.width, self.width, shape[1]),) * self.depth

    def weight_shapes(self, shape: Shape, outputs: int, ratio: Fraction = ONE) -> WeightShapes:
        """Every block of a layer's weights has an entry, because it has random draws and fans of its own."""
        shapes: WeightShapes = {}
        gates = GATE_NAMES[: self.gates - 1]
        for number in range(1, self.depth + 1):
            fan_in = shape[0] * shape[2] if number == 1 else self.width
            for place, rows in (("layer", fan_in), ("recurrent", self.width)):
                shapes[f"{place}_{number:02d}"] = rows, self.width
                shapes |= {f"{gate}_of_{place}_{number:02d}": (rows, self.width) for gate in gates}
        return {**shapes, "classifier": (self.width, outputs)}

    def time_steps(self, shape: Shape) -> int:
        return shape[1]

    def first_biases(self) -> tuple[float, ...]:
        """The biases at step 0, one number for each of the `gates` blocks."""
        return (0.0,)

    def starts_as_identity(self) -> bool:
        """Whether the recurrent weights are the identity at step 0, whatever the initialization."""
        return False

    def invalid(self, task: Task, normalization: Normalization, initialization: Initialization) -> str | None:
        if task.definition().shape[1] < 2:
            return "a recurrent network reads the rows of an example as time steps, and there is one row"
        if normalization.name not in ("none", "batch", "layer"):
            return f"{normalization.name} normalization has no recurrent form here; batch and layer have"
        if normalization.parameters.get("position") == "post":
            return "a recurrent layer is normalized before its activation; position: post has no recurrent form"
        if normalization.parameters.get("frozen_after") is not None:
            return "recurrent batch normalization does not freeze its statistics; give frozen_after: null"
        if initialization.name in ("lsuv", "rai"):
            return f"{initialization.name} is of layers with one weight matrix; a recurrent layer has two"
        return None


class Rnn(Recurrent):
    """h_t = phi(W_x x_t + W_h h_(t-1) + b), h_0 = 0 (Elman 1990).

    With layer normalization phi(norm(W_x x_t + W_h h_(t-1)) + b) (Ba et al. 2016, eq. 4); with batch normalization
    phi(norm(W_x x_t) + norm(W_h h_(t-1)) + b). `recurrent_start`: `identity` starts W_h as the identity (Le et al.
    2015), `level` by the study's initialization.
    """

    kind: Literal["rnn"] = "rnn"
    recurrent_start: Literal["level", "identity"] = "level"

    def starts_as_identity(self) -> bool:
        return self.recurrent_start == "identity"


class Lstm(Recurrent):
    """(g, i, f, o) = norm(W_x x_t) + norm(W_h h_(t-1)) + b, c_t = s(f) * c_(t-1) + s(i) * phi(g),
    h_t = s(o) * phi(norm(c_t)), h_0 = c_0 = 0 (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    The activation is that of the cell's input and output; gates are logistic. Normalized as in Ba et al. 2016, eq. 20
    to 22, over all four blocks of W x together, and in Cooijmans et al. 2017, eq. 6 to 8. `forget_bias` is what the
    forget gates' biases start at (Jozefowicz et al. 2015).
    """

    kind: Literal["lstm"] = "lstm"
    forget_bias: float = Field(default=1.0, ge=-10.0, le=10.0)

    gates: ClassVar[int] = 4
    has_cell: ClassVar[bool] = True

    def first_biases(self) -> tuple[float, ...]:
        return 0.0, 0.0, self.forget_bias, 0.0
