"""The kinds of network that a study can name: their documents, and what is known of them without torch."""

from typing import Annotated, TypeAlias

from actinium.document import OneOf
from actinium.models.feedforward import Cnn as Cnn
from actinium.models.feedforward import Mlp as Mlp
from actinium.models.feedforward import ResNet20 as ResNet20
from actinium.models.feedforward import ResNet50 as ResNet50
from actinium.models.feedforward import Vgg11 as Vgg11
from actinium.models.kind import HiddenLayer as HiddenLayer
from actinium.models.kind import ModelKind as ModelKind
from actinium.models.kind import WidthFault as WidthFault
from actinium.models.reconstruction import Autoencoder as Autoencoder
from actinium.models.reconstruction import Denoiser as Denoiser
from actinium.models.recurrent import Lstm as Lstm
from actinium.models.recurrent import Rnn as Rnn

MODELS: dict[str, type[ModelKind]] = {
    "mlp": Mlp,
    "cnn": Cnn,
    "vgg11": Vgg11,
    "resnet20": ResNet20,
    "resnet50": ResNet50,
    "rnn": Rnn,
    "lstm": Lstm,
    "autoencoder": Autoencoder,
    "denoiser": Denoiser,
}
"""Every kind by its name. Their lane-first networks: `workers.models.LANE_MODELS`."""

Model: TypeAlias = Annotated[ModelKind, OneOf(MODELS)]
"""A field that holds a document of one of these kinds."""
