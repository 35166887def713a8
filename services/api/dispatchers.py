"""Who works on the queue, and how they stand."""

from collections.abc import Mapping
from datetime import datetime

from fastapi import APIRouter, Request

from db import dispatchers
from services.api.access import Database, Now
from services.api.documents import Answer

router = APIRouter(prefix="/v1", tags=["dispatchers"])


class Dispatcher(Answer):
    """One of those that live. `avoided`: nodes that lose their workers, each until when it gets no work. `halted`: why
    nothing is leased at present; null: it is.
    """

    holder: str
    started_at: datetime
    seen_at: datetime
    slots: int
    busy: int
    avoided: Mapping[str, datetime]
    halted: str | None


class Dispatchers(Answer):
    """Those that live, the one that began first in front."""

    items: list[Dispatcher]


@router.get("/dispatchers")
def list_dispatchers(request: Request, engine: Database, at: Now) -> Dispatchers:
    """The dispatchers heard of within a lease's length: their slots, the nodes they avoid, why they wait."""
    silent = request.app.state.settings.lease_seconds
    with engine.begin() as connection:
        found = dispatchers.living(connection, now=at, silent_seconds=silent)
    return Dispatchers(items=[Dispatcher.model_validate(standing) for standing in found])
