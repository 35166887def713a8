"""The words of a path and query: studies by id or name, trials by id, and text that a database can look for."""

from typing import Annotated

from fastapi import Path, Query, Request
from sqlalchemy import Connection

from actinium.errors import NotFound
from actinium.job import StudyId, TrialId
from db import studies
from db.rows import LARGEST_ID
from services.settings import Settings

StudyReference = Annotated[str, Path(description="A study's id, or its name if that is unique.")]
TrialReference = Annotated[str, Path(description="A trial's id.")]
Words = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
Cursor = Annotated[str | None, Query(max_length=200, description="The `next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items a page.")]
NAME_LIMIT = 120


def study_id(connection: Connection, reference: str) -> StudyId:
    """The study that an id or name means; NotFound, or Conflict where a name is in several projects."""
    if not reference.isascii() or not reference.isprintable() or len(reference) > NAME_LIMIT:
        raise NotFound(f"there is no study {reference[:80]!r}")
    if reference.isdigit() and int(reference) > LARGEST_ID:
        raise NotFound(f"there is no study {reference[:80]}")
    return studies.find(connection, reference)


def trial_id(reference: str) -> TrialId:
    """The trial's id; NotFound where it can be none."""
    if not (reference.isascii() and reference.isdigit() and len(reference) < 20 and int(reference) <= LARGEST_ID):
        raise NotFound(f"there is no trial {reference[:80]!r}")
    return TrialId(int(reference))


def settings_of(request: Request) -> Settings:
    """The app's settings."""
    settings: Settings = request.app.state.settings
    return settings
