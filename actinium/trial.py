"""One trial: everything that can change its numbers, as one frozen document."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from actinium.document import Document as Document
from actinium.errors import FieldError
from actinium.explain import faults_error
from actinium.levels import (
    Activation,
    Initialization,
    Normalization,
    invalid_combination,
    invalid_start,
    stands_after,
)
from actinium.models import Autoencoder as Autoencoder
from actinium.models import Cnn as Cnn
from actinium.models import Denoiser as Denoiser
from actinium.models import HiddenLayer, WidthFault
from actinium.models import Lstm as Lstm
from actinium.models import Mlp as Mlp
from actinium.models import Model as Model
from actinium.models import ModelKind as ModelKind
from actinium.models import ResNet20 as ResNet20
from actinium.models import ResNet50 as ResNet50
from actinium.models import Rnn as Rnn
from actinium.models import Vgg11 as Vgg11
from actinium.names import canonical_word
from actinium.objectives import ObjectiveName
from actinium.probes import ActivationStatistics as ActivationStatistics
from actinium.probes import DeadUnits as DeadUnits
from actinium.probes import GradientFlow as GradientFlow
from actinium.probes import Probes as Probes
from actinium.probes import Schedule as Schedule
from actinium.procedures import invalid_procedure
from actinium.schedules import evaluation_steps, spread, trajectory_steps
from actinium.task import Augmentation as Augmentation
from actinium.task import Shift as Shift
from actinium.task import Task as Task

SPEC_VERSION = 2
"""Raised whenever the meaning of a field or a level changes, so that old digests do not match. Measurements have
versions of their own (`actinium.measurements`). 2: schedules with points of their own in the last fifth, patience in
epochs, decisions at evaluations.
"""


OPTIMIZERS = ("sgd", "adam", "adamw")


class EarlyStopping(Document):
    """A trial ends when its evaluation loss has not fallen below its lowest by more than `min_delta` for `patience`
    epochs (Prechelt 1998); it is looked at where trials are evaluated (`actinium.schedules`). The network that is
    judged (tested, validated, probed) is the last one, or with `restore_best` that of the lowest evaluation loss, also
    where the trial is not ended early.
    """

    patience: int = Field(default=3, ge=1, le=10_000)
    min_delta: float = Field(default=0.0, ge=0.0, le=1e6)
    restore_best: bool = False


class Training(Document):
    """The optimizer and its schedule, and what regularizes.

    `weight_decay` is lambda in (lambda / 2) sum w^2, `l1` in lambda sum |w|: both of weight matrices and kernels only,
    never of biases, normalization parameters or learned activation parameters. They add to the gradient, but for
    adamw's `weight_decay`, which shrinks the weights beside it (Loshchilov & Hutter 2019). `gradient_clip` is the
    largest norm of the loss's gradient over all parameters; penalties come after (Pascanu et al. 2013). `dropout` is
    the chance p that an output of a hidden layer is zeroed in a training step; the others grow by 1 / (1 - p)
    (Srivastava et al. 2014). `precision` is that of matrix products and convolutions in training steps: `float32`
    without TF32, `tf32` on CUDA devices (float32 elsewhere), or `bf16` with float32 weights, statistics and losses
    (Micikevicius et al. 2018). Measurements are always float32.
    """

    optimizer: Annotated[
        Literal["sgd", "adam", "adamw"], BeforeValidator(lambda word: canonical_word(word, OPTIMIZERS))
    ] = "sgd"
    learning_rate: float = Field(default=0.1, gt=0.0, le=1e6)
    learning_rate_rule: Literal["fixed", "linear"] = "fixed"
    reference_batch_size: int = Field(default=64, ge=1)
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0)
    adam_epsilon: float = Field(default=1e-8, gt=0.0)
    weight_decay: float = Field(default=0.0, ge=0.0, le=1e3)
    l1: float = Field(default=0.0, ge=0.0, le=1e3)
    gradient_clip: float | None = Field(default=None, gt=0.0)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    early_stopping: EarlyStopping | None = None
    batch_size: int = Field(default=64, ge=1, le=65536)
    epochs: int = Field(default=20, ge=1, le=100_000)
    precision: Literal["float32", "tf32", "bf16"] = "float32"

    def effective_learning_rate(self) -> float:
        """The step size used: with the linear rule, learning_rate * batch_size / reference_batch_size."""
        if self.learning_rate_rule == "linear":
            return self.learning_rate * self.batch_size / self.reference_batch_size
        return self.learning_rate


class TrialConfig(Document):
    """A cell and a seed, resolved: the worker's whole input."""

    spec_version: int = SPEC_VERSION
    task: Task = Task()
    model: Model = Mlp()
    training: Training = Training()
    activation: Activation = Activation.of("relu")
    normalization: Normalization = Normalization.of("none")
    initialization: Initialization = Initialization.of("he")
    probes: Probes = Probes()
    target_loss: float | None = Field(default=None, gt=0.0)
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _batch_fits(self) -> "TrialConfig":
        size, most = self.training.batch_size, self.task.train_count()
        if size > most:
            raise faults_error([FieldError("training.batch_size", f"{size} is more than the {most} training examples")])
        return self

    def digest(self) -> str:
        """SHA-256 (hex) over every field, defaults and spec version included.

        A stored dataset counts by its content, whatever its name.
        """
        return hashlib.sha256(self._identity().encode()).hexdigest()

    def digest_by_seed(self) -> Callable[[int], str]:
        """`digest` of this config with any seed; the document is written once for all of them."""
        head, tail = self._identity().split(f'"seed":{self.seed},"spec_version":')
        begun = hashlib.sha256(head.encode())

        def digest(seed: int) -> str:
            whole = begun.copy()
            whole.update(f'"seed":{seed},"spec_version":{tail}'.encode())
            return whole.hexdigest()

        return digest

    def _identity(self) -> str:
        """What the digest is of: JSON with sorted keys."""
        document = self.model_dump(mode="json")
        if self.task.stored is not None:
            del document["task"]["dataset"]
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    def pack_key(self) -> str:
        """Trials with equal keys have equal tensor shapes and step counts, and can train as lanes of one pack."""
        training = self.training
        document = {
            "spec_version": self.spec_version,
            "task": self.task.model_dump(mode="json"),
            **self.shapes(),
            "optimizer": training.optimizer,
            "batch_size": training.batch_size,
            "epochs": training.epochs,
            "precision": training.precision,
            "probes": self.probes.model_dump(mode="json"),
        }
        digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:12]
        return f"{self.model.kind}-{self.task.dataset}-b{training.batch_size}-{digest}"

    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch; its last, incomplete batch is dropped."""
        return self.task.train_count() // self.training.batch_size

    def steps(self) -> int:
        """Optimizer steps in all."""
        return self.training.epochs * self.steps_per_epoch()

    def run_name(self) -> str:
        """`activation·normalization·initialization·sSEED`."""
        levels = (self.activation, self.normalization, self.initialization)
        return "·".join([*(level.label() for level in levels), f"s{self.seed}"])

    def objective(self) -> ObjectiveName:
        """What the network is trained for: the dataset's objective, or the model's own."""
        return self.model.objective(self.task.definition().objective)

    def outputs(self) -> int:
        """Outputs of the network: one a class, a target, or a pixel's channel."""
        dataset = self.task.definition()
        match self.objective():
            case "classification":
                return dataset.classes
            case "regression":
                return dataset.targets
            case "reconstruction":
                return math.prod(dataset.shape)

    def sized_model(self) -> ModelKind:
        """The model as it is built: where the activation changes the number of channels, in the width that the
        activation's `width_policy` asks for.

        Raises WidthFault where no width fits; `invalid_design` says so.
        """
        if self.activation.ratio == 1:
            return self.model
        return self.model.sized(
            self.activation,
            self.normalization,
            shape=self.task.definition().shape,
            outputs=self.outputs(),
            fixup=self.initialization.name == "fixup",
        )

    def shapes(self) -> dict[str, Any]:
        """What of the levels decides on the shapes of a network's tensors."""
        document: dict[str, Any] = {"model": self.sized_model().model_dump(mode="json")}
        if self.activation.ratio != 1:
            normalized = "outputs" if stands_after(self.normalization) else "inputs"
            document |= {"ratio": str(self.activation.ratio), "normalized": normalized}
        return document

    def hidden(self) -> tuple[HiddenLayer, ...]:
        """The hidden layers, in order, in the widths in which they are built."""
        return self.sized_model().hidden(self.task.definition().shape, self.activation.ratio)

    def layers(self) -> list[tuple[int, int]]:
        """(channels, positions) of every hidden layer's linear outputs, in order; the positions of a recurrent layer
        are its time steps.
        """
        return [(layer.channels, layer.positions) for layer in self.hidden()]

    def activated(self) -> list[tuple[int, int]]:
        """(channels, positions) of the outputs of every hidden layer's activation, in order."""
        return [(layer.activated, layer.positions) for layer in self.hidden()]

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight, by the name of its layer, as `ModelKind.weight_shapes` says."""
        return self.sized_model().weight_shapes(self.task.definition().shape, self.outputs(), self.activation.ratio)

    def widest(self) -> int:
        """Elements of the largest hidden layer for one example, linear outputs or activations."""
        return max(max(layer.channels, layer.activated) * layer.positions for layer in self.hidden())

    def held(self) -> int:
        """Elements of all hidden layers for one example, linear outputs and activations."""
        return sum((layer.channels + layer.activated) * layer.positions for layer in self.hidden())

    def time_steps(self) -> int | None:
        """Rows that a recurrent network reads of a training example; None of other networks."""
        return self.model.time_steps(self.task.definition().shape)

    def branches(self) -> tuple[tuple[str, ...], ...]:
        """The hidden layers of every residual branch, by name, in order; the last one's output is added."""
        return self.model.branches(self.task.definition().shape)

    def projections(self) -> Mapping[str, str]:
        """For every projection of a shortcut, by name, the hidden layer to whose linear output it is added."""
        return self.sized_model().projections(self.task.definition().shape, self.activation.ratio)

    def invalid_design(self) -> str | None:
        """Why this design is structurally impossible (SCIENCE A2), or None."""
        if reason := self.task.invalid_scaling():
            return reason
        if reason := invalid_start(
            self.initialization,
            kernels=self.model.kernels,
            branches=len(self.branches()),
            activated_branches=self.model.activates_branches(),
            normalized=self.normalization.name != "none",
        ):
            return reason
        if reason := self.model.invalid(self.task, self.normalization, self.initialization):
            return reason
        dataset, recurrent = self.task.definition(), self.time_steps() is not None
        if dataset.test_height is not None and not recurrent:
            tested, trained = dataset.test_height, dataset.shape[1]
            return f"only recurrent networks read any length, and test examples have {tested} time steps, not {trained}"
        if reason := invalid_procedure(
            self.initialization,
            task=self.task,
            model=self.model,
            paired=self.activation.ratio != 1,
            batch_size=self.training.batch_size,
        ):
            return reason
        try:
            layers = self.hidden()
        except WidthFault as fault:
            return f"{self.activation.name}: {fault}"
        after = stands_after(self.normalization)
        for number, layer in enumerate(layers, start=1):
            reason = invalid_combination(
                self.normalization,
                channels=layer.activated if after else layer.channels,
                positions=1 if recurrent else layer.positions,
                batch_size=self.training.batch_size,
            )
            if reason:
                return f"layer {number}: {reason}"
        return None

    def probe_steps(self) -> list[int]:
        """The steps at which the study asked for measurements: ascending, step 0 and the last one included."""
        schedule = self.probes.schedule
        return spread(self.steps(), points=schedule.points, spacing=schedule.spacing)

    def evaluation_steps(self) -> list[int]:
        """The steps at which the trial is evaluated, and everything is decided, whatever is measured."""
        return evaluation_steps(epochs=self.training.epochs, steps_per_epoch=self.steps_per_epoch())

    def trajectory_steps(self) -> list[int]:
        """The steps at which it is looked what becomes of units; none where dead units are not probed."""
        return trajectory_steps(self.steps()) if self.probes.dead_units else []

    def frame_steps(self) -> list[int]:
        """The steps at which a trial has a frame, ascending: all those at which something is measured."""
        return sorted({*self.probe_steps(), *self.evaluation_steps(), *self.trajectory_steps()})


class SharedParts:
    """Lets the configs of one study share their equal parts (task, model, training, levels, probes), of which it has
    far fewer than cells: the configs take a quarter of the memory.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], BaseModel] = {}

    def of(self, config: TrialConfig) -> TrialConfig:
        """An equal config, made of parts that earlier ones may have, too."""
        parts = {name: getattr(config, name) for name in TrialConfig.model_fields}
        shared = {
            name: self._known.setdefault((name, part.model_dump_json()), part)
            for name, part in parts.items()
            if isinstance(part, BaseModel)
        }
        return config.model_copy(update=shared)
