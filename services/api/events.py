"""A study's progress as server-sent events. No database connection is held between two looks."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from actinium.errors import Unauthenticated
from actinium.job import StudyId, StudyState
from db import studies, tokens
from services.api.access import Caller, Database, now
from services.api.answers import counts_document
from services.api.references import StudyReference, settings_of

router = APIRouter(prefix="/v1", tags=["studies"])
ENDED = (StudyState.FINISHED, StudyState.CANCELLED)
KEEP_ALIVE_SECONDS = 15.0
"""After so long without news a comment is sent, so that nobody takes the connection for dead."""
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get(
    "/studies/{study}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(request: Request, engine: Database, caller: Caller, study: StudyReference) -> StreamingResponse:
    """`progress` events with state, counts, progress and revision whenever they change. The stream ends with a
    `finished` event, or without one when the token is revoked or expires.
    """
    target = await run_in_threadpool(_resolve, engine, study)
    pause = settings_of(request).event_seconds
    return StreamingResponse(_stream(engine, target, caller.id, pause), media_type="text/event-stream", headers=HEADERS)


async def _stream(engine: Engine, target: StudyId, token_id: int, pause: float) -> AsyncIterator[str]:
    last: dict[str, Any] | None = None
    quiet = 0.0
    while True:
        try:
            news: dict[str, Any] | None = await run_in_threadpool(_look, engine, target, token_id)
        except OperationalError:  # the database restarts: the stream outlives it
            news = last
        except Unauthenticated:
            return
        if news is not None and news != last:
            yield _event("progress", news)
            last, quiet = news, 0.0
        else:
            quiet += pause
        if news is not None and news["state"] in ENDED:
            yield _event("finished", news)
            return
        if quiet >= KEEP_ALIVE_SECONDS:
            yield ": still here\n\n"
            quiet = 0.0
        await asyncio.sleep(pause)


def _resolve(engine: Engine, reference: str) -> StudyId:
    with engine.begin() as connection:
        return studies.find(connection, reference)


def _look(engine: Engine, target: StudyId, token_id: int) -> dict[str, Any]:
    with engine.begin() as connection:
        tokens.check_opens(connection, token_id, now())
        row = studies.get(connection, target)
    return {
        "study_id": row.id,
        "state": row.state.value,
        "revision": row.revision,
        "progress": row.progress,
        "counts": counts_document(row.counts).model_dump(mode="json"),
    }


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\nid: {data['revision']}\ndata: {json.dumps(data)}\n\n"
