"""The catalogue: every level with parameters, equation, derivative and citation; every dataset and objective.

An activation has its gain and its curve as well: function and derivative at its defaults, ready to be drawn.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from actinium.datasets.table import DATASETS
from actinium.levels import ACTIVATIONS, INITIALIZATIONS, NORMALIZATIONS, LevelDefinition, Parameter
from actinium.levels.curves import drawing
from actinium.objectives import OBJECTIVES

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get("/catalogue")
def catalogue() -> dict[str, Any]:
    """What studies can be made of."""
    return {
        "activations": [
            entry | drawing(level) for entry, level in zip(_levels(ACTIVATIONS), ACTIVATIONS.values(), strict=True)
        ],
        "normalizations": _levels(NORMALIZATIONS),
        "initializations": _levels(INITIALIZATIONS),
        "datasets": [
            {**asdict(dataset), "parameters": _parameters(dataset.parameters)} for dataset in DATASETS.values()
        ],
        "objectives": [asdict(objective) for objective in OBJECTIVES.values()],
    }


def _parameters(parameters: Mapping[str, Parameter]) -> dict[str, dict[str, Any]]:
    return {name: {**asdict(parameter), "accepts": parameter.accepts()} for name, parameter in parameters.items()}


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
