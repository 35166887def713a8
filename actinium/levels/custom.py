"""The activation that people write themselves: `{name: expression, expr: "...", parameters: {...}}`."""

import math
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from actinium.definitions import ParameterFault, ParameterValue, did_you_mean
from actinium.levels.expression import FUNCTIONS, VARIABLE, ExpressionError, canonical, parse

MAX_PARAMETERS = 8
LARGEST = 1e6

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}")
_EXAMPLE = '"z * sigmoid(beta * z)"'

Fields: TypeAlias = dict[str, float | bool | str]


def resolve_written(parameters: dict[str, ParameterValue]) -> dict[str, ParameterValue]:
    """The expression in its canonical text, and every parameter with all its fields, by name.

    Raises ParameterFault at `expr` (with the position) or at `parameters.NAME.FIELD`.
    """
    text, given = parameters["expr"], parameters["parameters"]
    if not isinstance(text, str):
        raise ParameterFault("expr", f"missing; give an expression of {VARIABLE} such as {_EXAMPLE}")
    assert isinstance(given, Mapping)
    if len(given) > MAX_PARAMETERS:
        raise ParameterFault("parameters", f"{len(given)} parameters; at most {MAX_PARAMETERS} are accepted")
    own: dict[str, Fields] = {}
    for name in given:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == VARIABLE or name in FUNCTIONS:
            fault = f"{repr(name)[:60]} cannot name a parameter; give a word of letters, digits and _ that is not taken"
            raise ParameterFault("parameters", fault)
    for name in sorted(given):
        own[name] = _fields(name, given[name])
    try:
        return {"expr": canonical(parse(text, list(own))), "parameters": own}
    except ExpressionError as error:
        raise ParameterFault("expr", str(error)) from error


def written_label(level: Mapping[str, Any]) -> str:
    """`z * sigmoid(beta * z) [beta from 1 by channel]`: the expression, and where its parameters are or start."""
    words = [
        f"{name} from {fields['init']:g} by {fields.get('per', 'channel')}"
        if fields.get("learnable")
        else f"{name} = {fields['init']:g}"
        for name, fields in (level.get("parameters") or {}).items()
    ]
    return f"{level['expr']} [{', '.join(words)}]" if words else str(level["expr"])


def _fields(name: str, given: object) -> Fields:
    """A parameter with its defaults: not learnable, per channel."""
    where = f"parameters.{name}"
    if not isinstance(given, Mapping):
        raise ParameterFault(where, f"{repr(given)[:60]} is not accepted; give {{init: 1.0, learnable: true}}")
    fields: Fields = {"learnable": False, "per": "channel"}
    for key, value in given.items():
        match key, value:
            case "init", int() | float() if not isinstance(value, bool) and abs(value) <= LARGEST:
                fields["init"] = float(value)
            case "learnable", bool():
                fields["learnable"] = value
            case "per", "channel" | "layer":
                fields["per"] = value
            case (("init" | "learnable" | "per"), _):
                raise ParameterFault(f"{where}.{key}", f"{repr(value)[:60]} is not accepted; give {_ACCEPTED[key]}")
            case _:
                hint = did_you_mean(str(key)[:60], list(_ACCEPTED))
                raise ParameterFault(f"{where}.{str(key)[:60]}", f"unknown field; {hint}")
    if "init" not in fields:
        raise ParameterFault(f"{where}.init", f"missing; give {_ACCEPTED['init']}")
    assert math.isfinite(float(fields["init"]))
    return {key: fields[key] for key in ("init", "learnable", "per")}


_ACCEPTED = {
    "init": f"a number between -{LARGEST:g} and {LARGEST:g}",
    "learnable": "true or false",
    "per": "channel or layer",
}
