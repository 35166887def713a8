"""Path and query parameters that several routes share: studies by id or name, trials by id, search words, cursors."""

from typing import Annotated

from fastapi import Path, Query, Request

from actinium.errors import NotFound
from actinium.job import TrialId
from db.rows import LARGEST_ID
from services.settings import Settings

StudyReference = Annotated[str, Path(description="A study's id, or its name if that is unique.")]
DatasetReference = Annotated[str, Path(max_length=200, description="The name of a dataset that was added.")]
TrialReference = Annotated[str, Path(description="A trial's id.")]
Words = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
Cursor = Annotated[str | None, Query(max_length=200, description="The `next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items a page.")]


def trial_id(reference: str) -> TrialId:
    """The trial's id; NotFound where it can be none."""
    if not (reference.isascii() and reference.isdigit() and len(reference) < 20 and int(reference) <= LARGEST_ID):
        raise NotFound(f"there is no trial {reference[:80]!r}")
    return TrialId(int(reference))


def settings_of(request: Request) -> Settings:
    """The app's settings."""
    settings: Settings = request.app.state.settings
    return settings
