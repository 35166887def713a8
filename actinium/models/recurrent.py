"""Recurrent networks as a study names them: an example's rows are its time steps, a row's numbers what a step reads.

Legend: T time steps, F features of one, N hidden units, x_t a step's input, h_t its hidden state; s is the logistic
function, * the product by elements, phi the study's activation, norm its normalization.
"""

from typing import Literal

from pydantic import Field

from actinium.document import Document
from actinium.levels import Initialization, Normalization


class Recurrent(Document):
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


class Rnn(Recurrent):
    """h_t = phi(W_x x_t + W_h h_(t-1) + b), h_0 = 0 (Elman 1990).

    With layer normalization phi(norm(W_x x_t + W_h h_(t-1)) + b) (Ba et al. 2016, eq. 4); with batch normalization
    phi(norm(W_x x_t) + norm(W_h h_(t-1)) + b). `recurrent_start`: `identity` starts W_h as the identity (Le et al.
    2015), `level` by the study's initialization.
    """

    kind: Literal["rnn"] = "rnn"
    recurrent_start: Literal["level", "identity"] = "level"


class Lstm(Recurrent):
    """(g, i, f, o) = norm(W_x x_t) + norm(W_h h_(t-1)) + b, c_t = s(f) * c_(t-1) + s(i) * phi(g),
    h_t = s(o) * phi(norm(c_t)), h_0 = c_0 = 0 (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    The activation is that of the cell's input and output; gates are logistic. Normalized as in Ba et al. 2016, eq. 20
    to 22, over all four blocks of W x together, and in Cooijmans et al. 2017, eq. 6 to 8. `forget_bias` is what the
    forget gates' biases start at (Jozefowicz et al. 2015).
    """

    kind: Literal["lstm"] = "lstm"
    forget_bias: float = Field(default=1.0, ge=-10.0, le=10.0)


GATES = {"rnn": 1, "lstm": 4}
"""Blocks of N columns that the weights of a layer have."""


def recurrent_weights(model: Rnn | Lstm, features: int, classes: int) -> int:
    """Elements of all weight matrices."""
    width, columns = model.width, GATES[model.kind] * model.width
    return columns * (features + width + (model.depth - 1) * 2 * width) + width * classes


def invalid_recurrence(steps: int, normalization: Normalization, initialization: Initialization) -> str | None:
    """Why these levels cannot stand in a recurrent network that reads `steps` rows, or None."""
    if steps < 2:
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
