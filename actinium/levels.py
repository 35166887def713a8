"""The levels of a study: activations, normalizations, initializations and datasets.

One visible table a kind. An entry carries what people and programs need to know of a level without computing
with it: parameters with defaults and bounds, equation, derivative, citation. The tensors are in `workers`, under
the same names.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_serializer, model_validator
from pydantic_core import CoreSchema, PydanticCustomError

from actinium.activations import ACTIVATIONS as ACTIVATIONS
from actinium.datasets import DATASETS as DATASETS
from actinium.datasets import DatasetDefinition as DatasetDefinition
from actinium.definitions import LevelDefinition as LevelDefinition
from actinium.definitions import Parameter as Parameter
from actinium.definitions import ParameterFault as ParameterFault
from actinium.definitions import ParameterValue as ParameterValue
from actinium.definitions import did_you_mean as did_you_mean
from actinium.definitions import table as table
from actinium.initializations import INITIALIZATIONS as INITIALIZATIONS
from actinium.normalizations import NORMALIZATIONS as NORMALIZATIONS
from actinium.written import written_label


class Level(BaseModel):
    """One level of a factor with all its parameters. A bare name is the level with its defaults.

    As JSON: `{"name": NAME, PARAMETER: VALUE, ...}`, defaults included. Subclasses bind the table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    definitions: ClassVar[dict[str, LevelDefinition]]
    noun: ClassVar[str]

    name: str
    parameters: dict[str, Any]
    """By name, each as its `Parameter.checked` gives it, or the definition's `resolve`."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, value: Any) -> Any:
        if isinstance(value, Level):
            return {"name": value.name, "parameters": dict(value.parameters)}
        given: dict[str, Any]
        if isinstance(value, str):
            given = {"name": value}
        elif isinstance(value, Mapping) and isinstance(value.get("name"), str):
            given = dict(value)
        else:
            message = f"{repr(value)[:80]} is no {cls.noun}; give a name, or {{name: NAME, PARAMETER: VALUE}}"
            raise PydanticCustomError("level", "{message}", {"message": message})
        word = given.pop("name")
        name = cls.canonical_name(word)
        definition = cls.definitions[name]
        if set(given) == {"parameters"} and isinstance(given["parameters"], Mapping):
            given = dict(given["parameters"])
        parameters = {key: parameter.default for key, parameter in definition.parameters.items()}
        parameters.update(definition.presets.get(word, {}))
        for key, raw in given.items():
            if key not in definition.parameters:
                known = list(definition.parameters)
                hint = did_you_mean(str(key), known) if known else "it has none"
                message = f"{name} has no parameter {str(key)[:80]!r}; {hint}"
                raise PydanticCustomError("level", "{message}", {"message": message, "path": str(key)[:80]})
            try:
                parameters[key] = definition.parameters[key].checked(raw)
            except ValueError as error:
                raise PydanticCustomError("level", "{message}", {"message": str(error), "path": key}) from error
        if definition.resolve:
            try:
                parameters = definition.resolve(parameters)
            except ParameterFault as fault:
                context = {"message": fault.message, "path": fault.path}
                raise PydanticCustomError("level", "{message}", context) from fault
        return {"name": name, "parameters": parameters}

    @classmethod
    def canonical_name(cls, name: str) -> str:
        """The table's name for a name or alias; a pydantic error that says what is near otherwise."""
        for definition in cls.definitions.values():
            if name == definition.name or name in definition.aliases or name in definition.presets:
                return definition.name
        message = f"no {cls.noun} is called {name[:80]!r}; {did_you_mean(name[:80], list(cls.definitions))}"
        raise PydanticCustomError("level", "{message}", {"message": message})

    @model_serializer
    def _flat(self) -> dict[str, ParameterValue]:
        return {"name": self.name, **self.parameters}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A name, or a name with parameters: what people write, not how it is held."""
        words = [word for level in cls.definitions.values() for word in (level.name, *level.aliases, *level.presets)]
        name = {"type": "string", "enum": words}
        mapping = {"type": "object", "properties": {"name": name}, "required": ["name"]}
        return {"description": cls.__doc__, "anyOf": [name, mapping]}

    def number(self, parameter: str) -> float:
        """A numeric parameter's value."""
        value = self.parameters[parameter]
        assert isinstance(value, int | float), f"{self.name}.{parameter} is not a number"
        return value

    def compact(self) -> str | dict[str, ParameterValue]:
        """The shortest document that means this level: a bare name, or the name and what differs from defaults."""
        defaults = self.definitions[self.name].parameters
        changed = {key: value for key, value in self.parameters.items() if value != defaults[key].default}
        return {"name": self.name, **changed} if changed else self.name

    def label(self) -> str:
        """For people and plots: `leaky_relu`, `leaky_relu(negative_slope=0.2)`, or `z * sigmoid(z)`."""
        return compact_label(self.compact())

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @classmethod
    def of(cls, value: object) -> Self:
        """The level that a bare name or a mapping means."""
        return cls.model_validate(value)


class Activation(Level):
    """A nonlinearity phi(z), elementwise or of pairs of channels."""

    definitions = ACTIVATIONS
    noun = "activation"

    @property
    def ratio(self) -> Fraction:
        """Channels that it makes of one."""
        return self.definitions[self.name].ratio


class Normalization(Level):
    """A normalization layer."""

    definitions = NORMALIZATIONS
    noun = "normalization"


class Initialization(Level):
    """A rule for the weights at step 0; biases start at zero, but where the level says otherwise."""

    definitions = INITIALIZATIONS
    noun = "initialization"


LEVEL_KINDS: dict[str, type[Level]] = {
    "activation": Activation,
    "normalization": Normalization,
    "initialization": Initialization,
}


def compact_label(value: object) -> str:
    """A factor's value (as `Level.compact` or a scalar) as one short word."""
    if isinstance(value, Mapping):
        if value.get("name") == "expression" and isinstance(value.get("expr"), str):
            return written_label(value)
        inner = ", ".join(f"{key}={compact_label(item)}" for key, item in value.items() if key != "name")
        return f"{value.get('name', '')}({inner})" if inner else str(value.get("name"))
    return f"{value:g}" if isinstance(value, float) else str(value)


BATCH_NORMALIZATIONS = ("batch", "batch_renorm", "noisy_batch")
"""Those with statistics over the batch in training, and running ones in eval mode."""


def stands_before(level: Normalization) -> bool:
    """Whether this level normalizes what the activation receives."""
    return level.name != "none" and level.parameters["position"] == "pre"


def stands_after(level: Normalization) -> bool:
    """Whether this level normalizes what the activation gives."""
    return level.name != "none" and level.parameters["position"] == "post"


def learns_scale(level: Normalization) -> bool:
    """Whether gamma is trained."""
    return level.parameters.get("affine") in ("both", "scale")


def learns_shift(level: Normalization) -> bool:
    """Whether beta is trained."""
    return level.parameters.get("affine") in ("both", "shift")


def cancels_bias(level: Normalization) -> bool:
    """Whether a constant added to a channel beforehand has no effect, so that the layer carries no bias (SCIENCE B).

    The mean over a channel takes the constant away again, with or without a beta of its own; the mean over several
    channels does not, nor a running mean that stands still, nor a normalization behind the activation.
    """
    over_channels = level.name in (*BATCH_NORMALIZATIONS, "instance")
    return over_channels and stands_before(level) and level.parameters.get("frozen_after") is None


def default_groups(channels: int) -> int:
    """GroupNorm's G when none is given (SCIENCE A2): the largest divisor up to 32 that leaves C/G >= 4, else 1."""
    fitting = [g for g in range(1, min(32, channels) + 1) if channels % g == 0 and channels // g >= 4]
    return max(fitting, default=1)


def groups_for(normalization: Normalization, channels: int) -> int:
    """GroupNorm's G for a layer of `channels`."""
    groups = normalization.parameters["groups"]
    return default_groups(channels) if groups is None else int(groups)


def invalid_combination(normalization: Normalization, *, channels: int, positions: int, batch_size: int) -> str | None:
    """Why this normalization cannot stand on a layer of `channels` x `positions` (SCIENCE A2), or None.

    These designs are listed and not run; they are not failures.
    """
    name = normalization.name
    if name == "instance" and positions == 1:
        return "instance normalization on a fully connected layer has one element a statistic"
    if name in BATCH_NORMALIZATIONS:
        size = normalization.parameters.get("ghost_batch_size") or batch_size
        if batch_size % int(size):
            return f"ghosts of {size} examples do not divide a batch of {batch_size}"
        if int(size) * positions == 1:
            return "batch normalization in training mode with one element a statistic (m = 1)"
    if name == "group":
        groups = groups_for(normalization, channels)
        if channels % groups:
            return f"{groups} groups do not divide {channels} channels"
        if channels // groups * positions == 1:
            return f"group normalization with one element a group ({groups} groups of {channels} channels)"
    if name == "layer" and channels * positions == 1:
        return "layer normalization with one element a statistic"
    return None


def invalid_start(
    initialization: Initialization, *, kernels: bool, branches: int, activated_branches: bool, normalized: bool
) -> str | None:
    """Why this initialization cannot stand on a network with `kernels` (convolutions) or without, with `branches`
    residual branches that end in an activation or not, `normalized` or not; or None.
    """
    if initialization.name == "delta_orthogonal" and not kernels:
        return "delta-orthogonal weights need kernels; of fully connected layers they are the orthogonal ones"
    if initialization.name == "fixup":
        if not branches:
            return "fixup scales residual branches, and this network has none"
        if activated_branches:
            return (
                "fixup needs residual_activation after_add: a branch of zeros that ends in a rectifier learns nothing"
            )
        if normalized:
            return "fixup takes the place of normalization; give normalization none"
    return None
