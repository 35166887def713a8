"""What is to be known of a level without computing with it: the forms in which the tables of levels are written."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, TypeAlias

from actinium.names import did_you_mean as did_you_mean

ParameterValue: TypeAlias = float | int | str | dict[str, dict[str, float | bool | str]] | None
"""A number, a word, or (for what people define themselves) named parameters with their fields."""

MAX_TEXT = 500


class ParameterFault(ValueError):
    """What is wrong with a level's parameters taken together; `path` is below the level."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path, self.message = path, message


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A level's parameter: its default and what it accepts (bounds are inclusive unless `above` is given)."""

    default: ParameterValue
    doc: str
    kind: Literal["number", "integer", "choice", "text", "mapping"] = "number"
    low: float | None = None
    high: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    nullable: bool = False

    def accepts(self) -> str:
        """What would be accepted, in words."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind in ("text", "mapping"):
            return f"a text of at most {MAX_TEXT} characters" if self.kind == "text" else "a mapping"
        bounds = [
            f"above {self.above:g}" if self.above is not None else "",
            f"at least {self.low:g}" if self.low is not None else "",
            f"at most {self.high:g}" if self.high is not None else "",
        ]
        words = f"a finite {self.kind} " if self.kind == "number" else "an integer "
        return (words + " and ".join(b for b in bounds if b)).strip() + (", or null" if self.nullable else "")

    def checked(self, value: object) -> ParameterValue:
        """The value in its canonical type; ValueError names what would have been accepted."""
        if value is None and self.nullable:
            return None
        if self.kind == "choice":
            if isinstance(value, str) and value in self.choices:
                return value
        elif self.kind == "text":
            if isinstance(value, str) and len(value) <= MAX_TEXT:
                return value
        elif self.kind == "mapping":
            if isinstance(value, Mapping):
                return dict(value)
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
            whole = float(value).is_integer()
            inside = (
                (self.low is None or value >= self.low)
                and (self.high is None or value <= self.high)
                and (self.above is None or value > self.above)
            )
            if inside and (self.kind == "number" or whole):
                return float(value) if self.kind == "number" else int(value)
        raise ValueError(f"{repr(value)[:80]} is not accepted; give {self.accepts()}")


@dataclass(frozen=True, kw_only=True)
class LevelDefinition:
    """What is to be known of a level: `GET /v1/catalogue` shows it.

    An activation's `formula` is phi(z) in the language of `actinium.levels.expression` over its numeric parameters;
    where the default of one is null, `drawn_at` has the value at which it is drawn. `resolve` brings parameters that
    depend on each other into their canonical form, or raises ParameterFault.

    `ratio`: outputs that an activation gives for each input channel. Where that is 2, `formula` is of the first half of
    the outputs and `second_formula` of the second. `second_moment` is the mean of phi(Z)^2 over the outputs,
    Z ~ N(0, I), where the formulas do not say it, because an output depends on several inputs.
    """

    name: str
    equation: str
    citation: str
    derivative: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    """Further names, those of PyTorch and Keras among them, that stand for the level with its defaults here."""
    presets: Mapping[str, Mapping[str, ParameterValue]] = field(default_factory=dict)
    """Further names, each with the parameters that it stands for."""
    note: str = ""
    formula: str = ""
    second_formula: str = ""
    ratio: Fraction = Fraction(1)
    second_moment: float | None = None
    drawn_at: Mapping[str, float] = field(default_factory=dict)
    resolve: Callable[[dict[str, ParameterValue]], dict[str, ParameterValue]] | None = None


def table(*definitions: LevelDefinition) -> dict[str, LevelDefinition]:
    """Definitions by canonical name, in the order given."""
    return {definition.name: definition for definition in definitions}
