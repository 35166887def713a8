"""Routes of single trials: what they are, and what they measured."""

import io
import json
import math
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query, Request, Response

from db import artifacts, events, frames, trials
from services.api import arrow
from services.api.access import Database
from services.api.answers import trial_document
from services.api.documents import ArtifactDocument, EventDocument, FramesDocument, TrialDocument, TrialHistory
from services.api.references import TrialReference, settings_of, trial_id

router = APIRouter(prefix="/v1", tags=["trials"])


@router.get("/trials/{trial}", response_model=TrialDocument, responses=arrow.ANSWERS)
def show(request: Request, engine: Database, trial: TrialReference) -> TrialDocument | Response:
    """A trial with summary, error and links; or an Arrow stream of one row."""
    with engine.begin() as connection:
        row = trials.trial(connection, trial_id(trial))
    document = trial_document(row, settings_of(request))
    if arrow.wanted(request):
        return arrow.streamed(arrow.one_trial(row, mlflow=document.links["mlflow"]))
    return document


@router.get("/trials/{trial}/events")
def past(engine: Database, trial: TrialReference) -> TrialHistory:
    """Every change of a trial's state since it was queued."""
    with engine.begin() as connection:
        row = trials.trial(connection, trial_id(trial))
        happened = events.of_trial(connection, row.id)
    return TrialHistory(trial_id=row.id, events=[EventDocument.model_validate(event) for event in happened])


@router.get("/trials/{trial}/frames", response_model=FramesDocument, responses=arrow.ANSWERS)
def trial_frames(request: Request, engine: Database, trial: TrialReference) -> Response:
    """What the trial's current attempt measured, a row a step; NaN and infinities as strings, or an Arrow stream."""
    with engine.begin() as connection:
        row = trials.trial(connection, trial_id(trial))
        found = frames.read(connection, row.id)
    attempt = found.attempt if len(found.steps) else row.attempt
    if arrow.wanted(request):
        return arrow.streamed(arrow.frames_table(found, attempt=attempt))
    document = {
        "trial_id": row.id,
        "attempt": attempt,
        "series": list(found.layout.series),
        "steps": found.steps.tolist(),
        "times": [spelled(time) for time in found.times.tolist()],
        "values": [[spelled(value) for value in line] for line in found.values.tolist()],
    }
    return Response(json.dumps(document, allow_nan=False), media_type="application/json")


class ArtifactFormat(StrEnum):
    """What an artifact is given as."""

    NPY = "npy"
    JSON = "json"


FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("/trials/{trial}/artifacts/{name}", response_model=ArtifactDocument, responses=FILE)
def artifact(
    engine: Database,
    trial: TrialReference,
    name: Annotated[str, Path(max_length=100, pattern=r"^[a-z0-9_]+$")],
    file_format: Annotated[ArtifactFormat, Query(alias="format")] = ArtifactFormat.NPY,
) -> Response:
    """An array that the trial left at its end: an `.npy` file, or `{name, shape, values}` with values in one row."""
    with engine.begin() as connection:
        row = trials.trial(connection, trial_id(trial))
        content = artifacts.read(connection, row.reused_from or row.id, name)
    if file_format is ArtifactFormat.NPY:
        headers = {"Content-Disposition": f'attachment; filename="{name}-{row.id}.npy"'}
        return Response(content, media_type="application/octet-stream", headers=headers)
    array = np.load(io.BytesIO(content), allow_pickle=False)
    values = [spelled(value) for value in array.ravel().tolist()]
    document = {"name": name, "shape": list(array.shape), "values": values}
    return Response(json.dumps(document, allow_nan=False), media_type="application/json")


def spelled(value: float) -> Any:
    """A number for JSON: NaN and infinities become the words that Python's `float` reads."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
