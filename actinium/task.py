"""What a trial learns from: dataset, split, and what becomes of its inputs."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from actinium.datasets.table import DATASETS, DatasetDefinition, StoredDataset
from actinium.definitions import ParameterValue, did_you_mean
from actinium.document import Document
from actinium.errors import FieldError
from actinium.explain import faults_error
from actinium.names import canonical_word

MAX_WHITENED = 4096
"""Inputs of an example that may be whitened."""

FEWEST = 2
"""Examples that a part must have."""


def _examples(count: int, part: str) -> str:
    return f"{count or 'no'} {part} example{'' if count == 1 else 's'}"


class Augmentation(Document):
    """How training images vary, anew in every step: mirrored left to right with chance 1/2 where `flip`, and cut at
    random from the image with `crop` pixels of padding on every side (0: not cut).
    """

    flip: bool = False
    crop: int = Field(default=0, ge=0, le=64)


class Shift(Document):
    """What sets test inputs apart from training inputs: x becomes scale x + offset s, before they are scaled as the
    training inputs are (`task.scaling`); s is the deviation of all inputs of the dataset.
    """

    scale: float = Field(default=1.0, ge=0.0, le=100.0)
    offset: float = Field(default=0.0, ge=-100.0, le=100.0)


class Task(Document):
    """Which examples: the dataset, how it is split, and how inputs are scaled, by what the training part shows.

    `scaling` of an input x: `zscore`, (x - mean) / deviation; `none`; `unit`, x over the dataset's full range (255 for
    images); `minmax`, (x - least) / (greatest - least); `zca`, whitened (Bell & Sejnowski 1997), `zca_epsilon` times
    the mean variance added to every direction's. `stretch` multiplies the middle input of every example before that.
    """

    dataset: str = "digits"
    split_seed: Annotated[int, Field(ge=0, lt=2**31)] | Literal["seed"] = "seed"
    validation_fraction: float = Field(default=0.2, gt=0.0, lt=1.0)
    test_fraction: float = Field(default=0.2, gt=0.0, lt=1.0)
    train_examples: int | None = Field(default=None, ge=1)
    augmentation: Augmentation | None = None
    shift: Shift | None = None
    scaling: Literal["zscore", "none", "unit", "minmax", "zca"] = "zscore"
    zca_epsilon: float = Field(default=0.01, ge=0.0, le=100.0)
    stretch: float = Field(default=1.0, gt=0.0, le=1e6)

    parameters: dict[str, ParameterValue] = Field(default_factory=dict, validate_default=True)
    """Of a generated dataset; defaults are filled in."""

    stored: StoredDataset | None = None
    """What the service knows of a dataset of somebody's own; it fills this in."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, document: Any) -> Any:
        """`MNIST` and `CIFAR-10` are the house's mnist and cifar10, where nobody has added a dataset of that name."""
        if isinstance(document, Mapping) and isinstance(document.get("dataset"), str) and not document.get("stored"):
            return {**document, "dataset": canonical_word(document["dataset"], list(DATASETS))}
        return document

    @field_validator("parameters")
    @classmethod
    def _complete(cls, value: dict[str, ParameterValue], info: ValidationInfo) -> dict[str, ParameterValue]:
        definition = DATASETS.get(info.data.get("dataset", ""))
        parameters = definition.parameters if definition else {}
        faults = [
            FieldError(key[:80], f"the dataset has no such parameter; {did_you_mean(key[:80], list(parameters))}")
            for key in value
            if key not in parameters
        ]
        complete = {key: parameter.default for key, parameter in parameters.items()}
        for key in value.keys() & parameters.keys():
            try:
                complete[key] = parameters[key].checked(value[key])
            except ValueError as error:
                faults.append(FieldError(key, str(error)))
        if faults:
            raise faults_error(faults)
        return complete

    @model_validator(mode="after")
    def _known(self) -> "Task":
        if self.stored is None and self.dataset not in DATASETS:
            word = self.dataset[:80]
            fault = (
                f"no dataset is called {word!r}; {did_you_mean(word, list(DATASETS))}; `actinium data add` adds yours"
            )
            raise faults_error([FieldError("dataset", fault)])
        return self

    @model_validator(mode="after")
    def _leaves_examples(self) -> "Task":
        if self.available() < 1:
            fractions = f"{self.validation_fraction:g} and {self.test_fraction:g}"
            fault = f"{fractions} (test_fraction) leave no training example; give less than 1 in sum"
            raise faults_error([FieldError("validation_fraction", fault)])
        if self.train_examples is not None and self.train_examples > self.available():
            fault = f"{self.train_examples} is more than the {self.available()} there are"
            raise faults_error([FieldError("train_examples", fault)])
        return self

    @model_validator(mode="after")
    def _augments_images(self) -> "Task":
        _, height, wide = self.definition().shape
        if self.augmentation is not None and min(height, wide) < 2:
            fault = f"{self.dataset} has no images to flip or cut; give null"
            raise faults_error([FieldError("augmentation", fault)])
        return self

    def definition(self) -> DatasetDefinition:
        """The dataset's shape, classes and size."""
        if self.stored is not None:
            return self.stored.definition(self.dataset)
        return DATASETS[self.dataset].of(self.parameters)

    def invalid_scaling(self) -> str | None:
        """Why its inputs cannot be scaled as `scaling` says, or None."""
        dataset = self.definition()
        if self.scaling == "unit" and dataset.full_range is None:
            return f"the inputs of {self.dataset} have no fixed range to be divided by; minmax takes the observed one"
        if dataset.objective == "reconstruction" and (self.scaling == "zca" or self.stretch != 1.0):
            return "target images are scaled as the inputs are, pixel by pixel; give no zca scaling and no stretch"
        if dataset.test_height is not None and (self.scaling == "zca" or self.stretch != 1.0):
            return "test examples of another length have no inputs to pair with; give no zca scaling and no stretch"
        inputs = math.prod(dataset.shape)
        if self.scaling == "zca" and inputs > MAX_WHITENED:
            return (
                f"whitening {inputs} inputs takes their square in memory and their cube in time; {MAX_WHITENED} at most"
            )
        return None

    def as_source(self, dataset: str) -> "Task":
        """This task on another dataset of the table: the whole training part, and a test part that is like it."""
        changes: dict[str, Any] = {"dataset": dataset, "parameters": {}, "stored": None}
        return Task.model_validate(self.model_dump() | changes | {"train_examples": None, "shift": None})

    def drawing_seed(self, seed: int) -> int:
        """The seed that draws the split, and the examples where they are generated, in a trial of `seed`."""
        return seed if self.split_seed == "seed" else self.split_seed

    def counts(self) -> tuple[int, int, int]:
        """Training (before `train_examples`), validation and test examples; they do not depend on the seed.

        Parts that the dataset has of its own stay whole; the fractions are of the other examples.
        """
        dataset = self.definition()
        rest = dataset.examples - dataset.official_validation - dataset.official_test
        test = dataset.official_test or round(rest * self.test_fraction)
        validation = dataset.official_validation or round(rest * self.validation_fraction)
        return dataset.examples - validation - test, validation, test

    def thin_parts(self) -> list[FieldError]:
        """What is wrong with parts of 0 or 1 example, at the fields that say how large they are.

        One example has no deviation, no correlation, no share of variance, and no statistics of a batch.
        """
        faults, dataset = [], self.definition()
        rest = dataset.examples - dataset.official_validation - dataset.official_test
        for part, count, fixed in zip(
            ("validation", "test"), self.counts()[1:], (dataset.official_validation, dataset.official_test), strict=True
        ):
            field = f"{part}_fraction"
            if count < FEWEST and not fixed:
                enough = math.ceil(1e4 * FEWEST / rest) / 1e4
                fault = (
                    f"{getattr(self, field):g} leaves {_examples(count, part)} of {rest:,}, and measurements need "
                    f"{FEWEST}; give {enough:g} or more"
                )
                faults.append(FieldError(field, fault))
        if self.train_count() < FEWEST:
            if self.train_examples is None:
                fault = f"{_examples(self.train_count(), 'training')} left; give smaller fractions"
                faults.append(FieldError("validation_fraction", fault))
            else:
                faults.append(FieldError("train_examples", f"{self.train_examples} is too few; give {FEWEST} or more"))
        return faults

    def available(self) -> int:
        """Training examples that the split leaves."""
        return self.counts()[0]

    def train_count(self) -> int:
        """Training examples used."""
        return self.available() if self.train_examples is None else self.train_examples
