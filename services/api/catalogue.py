"""The catalogue: every level with parameters, equation, derivative and citation; models, datasets, objectives, metrics.

An activation has its gain and its curve as well: function and derivative at its defaults, ready to be drawn.
"""

from collections.abc import Mapping
from dataclasses import asdict
from inspect import getdoc
from typing import Any

from fastapi import APIRouter

from actinium.datasets.table import DATASETS
from actinium.levels import ACTIVATIONS, INITIALIZATIONS, NORMALIZATIONS, LevelDefinition, Parameter
from actinium.levels.curves import drawing
from actinium.measurements import MEASUREMENTS
from actinium.models import MODELS, ModelKind
from actinium.objectives import OBJECTIVES
from services.api.documents import CatalogueDocument

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get("/catalogue", response_model=CatalogueDocument)
def catalogue() -> dict[str, Any]:
    """What studies can be made of, and what is measured."""
    return {
        "activations": [
            entry | drawing(level) for entry, level in zip(_levels(ACTIVATIONS), ACTIVATIONS.values(), strict=True)
        ],
        "normalizations": _levels(NORMALIZATIONS),
        "initializations": _levels(INITIALIZATIONS),
        "models": [_model(name, kind) for name, kind in MODELS.items()],
        "datasets": [
            {**asdict(dataset), "parameters": _parameters(dataset.parameters)} for dataset in DATASETS.values()
        ],
        "objectives": [asdict(objective) for objective in OBJECTIVES.values()],
        "metrics": [{"name": name, **asdict(entry)} for name, entry in MEASUREMENTS.items()],
    }


def _parameters(parameters: Mapping[str, Parameter]) -> dict[str, dict[str, Any]]:
    return {name: {**asdict(parameter), "accepts": parameter.accepts()} for name, parameter in parameters.items()}


def _model(name: str, kind: type[ModelKind]) -> dict[str, Any]:
    """A kind of network: the first paragraph of what is written of it, and its fields."""
    fields = kind.model_json_schema()["properties"]
    return {
        "name": name,
        "description": " ".join((getdoc(kind) or "").split("\n\n")[0].split()),
        "parameters": {
            field: {"default": schema["default"], "accepts": _accepts(schema)}
            for field, schema in fields.items()
            if field != "kind"
        },
    }


def _accepts(schema: Mapping[str, Any]) -> str:
    """What a field of this JSON schema takes, in the words in which it is said of levels' parameters."""
    if schema["type"] == "boolean":
        return "true or false"
    return Parameter(
        default=schema["default"],
        doc="",
        kind="choice" if "enum" in schema else schema["type"],
        choices=tuple(schema.get("enum", ())),
        low=schema.get("minimum"),
        above=schema.get("exclusiveMinimum"),
        high=schema.get("maximum"),
    ).accepts()


def _levels(table: Mapping[str, LevelDefinition]) -> list[dict[str, Any]]:
    return [
        {
            "name": level.name,
            "aliases": list(level.aliases),
            "presets": {name: dict(parameters) for name, parameters in level.presets.items()},
            "equation": level.equation,
            "derivative": level.derivative,
            "citation": level.citation,
            "note": level.note,
            "parameters": _parameters(level.parameters),
        }
        for level in table.values()
    ]
