"""The route of the audit, for admins."""

from fastapi import APIRouter

from db import audit
from services.api.access import Database
from services.api.documents import AuditDocument, AuditList
from services.api.references import Cursor, Limit

router = APIRouter(prefix="/v1", tags=["audit"])


@router.get("/audit")
def ls(engine: Database, cursor: Cursor = None, limit: Limit = 100) -> AuditList:
    """Who deleted what, and who made or revoked which token, newest first."""
    with engine.begin() as connection:
        page = audit.page(connection, cursor=cursor, limit=limit)
    return AuditList(items=[AuditDocument.model_validate(entry) for entry in page.items], next_cursor=page.next_cursor)
