"""The route of dispatchers: which are alive, their slots, and why one leases nothing."""

from collections.abc import Mapping
from datetime import datetime

from fastapi import APIRouter, Request

from db import dispatchers
from services.api.access import Database, Now
from services.api.documents import Answer

router = APIRouter(prefix="/v1", tags=["dispatchers"])


class DispatcherDocument(Answer):
    """A dispatcher that is alive. `busy` of its `slots` train; `avoided`: nodes whose workers keep dying, and until
    when each gets no work; `halted`: why the dispatcher leases nothing now, null where it does; `memory_bytes`: of the
    largest machine or accelerator that its slots compute on, null until it is known.
    """

    holder: str
    started_at: datetime
    seen_at: datetime
    slots: int
    busy: int
    avoided: Mapping[str, datetime]
    halted: str | None
    memory_bytes: int | None


class DispatcherList(Answer):
    """The dispatchers that are alive, in the order of their start."""

    items: list[DispatcherDocument]


@router.get("/dispatchers")
def list_dispatchers(request: Request, engine: Database, at: Now) -> DispatcherList:
    """The dispatchers heard of within a lease's length: their slots, the nodes they avoid, why they wait."""
    silent = request.app.state.settings.lease_seconds
    with engine.begin() as connection:
        found = dispatchers.living(connection, now=at, silent_seconds=silent)
    return DispatcherList(items=[DispatcherDocument.model_validate(standing) for standing in found])
