"""One level of a factor: a name with all its parameters, and the kinds of level that a study has."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_serializer, model_validator
from pydantic_core import CoreSchema, PydanticCustomError

from actinium.definitions import LevelDefinition, ParameterFault, ParameterValue, did_you_mean
from actinium.levels.activations import ACTIVATIONS
from actinium.levels.custom import written_label
from actinium.levels.elsewhere import UNLIKE, WRITTEN
from actinium.levels.initializations import INITIALIZATIONS
from actinium.levels.normalizations import NORMALIZATIONS
from actinium.names import matching


class Level(BaseModel):
    """One level of a factor with all its parameters. A bare name is the level with its defaults.

    As JSON: `{"name": NAME, PARAMETER: VALUE, ...}`, defaults included. Subclasses bind the table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    definitions: ClassVar[dict[str, LevelDefinition]]
    noun: ClassVar[str]
    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Names that PyTorch or Keras have for what is no level here, each with what to write."""

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
        parameters.update(definition.presets.get(matching(word, definition.presets) or "", {}))
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
        """The table's name for a name or alias, however it is written; a pydantic error that says what is near
        otherwise.
        """
        if name in cls.definitions:
            return name
        aliases = {word: d.name for d in cls.definitions.values() for word in (*d.aliases, *d.presets)}
        if found := matching(name, [*cls.definitions, *aliases]):
            return aliases.get(found, found)
        known = list(cls.definitions)
        foreign = matching(name, cls.elsewhere)
        hint = cls.elsewhere[foreign] if foreign else did_you_mean(name[:80], known, parts=False, aliases=aliases)
        message = f"no {cls.noun} is called {name[:80]!r}; {hint}"
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
    elsewhere = WRITTEN

    @property
    def ratio(self) -> Fraction:
        """Output channels for each input channel: 2 or 1/2 where it doubles or halves them, else 1."""
        return self.definitions[self.name].ratio


class Normalization(Level):
    """A normalization layer."""

    definitions = NORMALIZATIONS
    noun = "normalization"


class Initialization(Level):
    """A rule for the weights at step 0; biases start at zero, but where the level says otherwise."""

    definitions = INITIALIZATIONS
    noun = "initialization"
    elsewhere = UNLIKE


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
