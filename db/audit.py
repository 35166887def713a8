"""The audit: who deleted what, and who made or revoked which token; written with the deed, in its transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from db.documents import check
from db.models import audit
from db.rows import LARGEST_ID, MOST_ITEMS, Page, cursor_id


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """`who` did the `action` to the `subject`, such as `study 7`; `detail` says what it was."""

    id: int
    at: datetime
    who: str
    action: str
    subject: str
    detail: Mapping[str, Any]


def record(conn: Connection, *, now: datetime, who: str, action: str, subject: str, detail: Mapping[str, Any]) -> None:
    """Write what is done in this transaction."""
    check({"who": who, "subject": subject, "detail": dict(detail)})
    conn.execute(insert(audit).values(at=now, who=who, action=action, subject=subject, detail=dict(detail)))


def page(conn: Connection, *, cursor: str | None = None, limit: int = 100) -> Page[AuditEntry]:
    """Entries, newest first."""
    limit = max(1, min(limit, MOST_ITEMS))
    wanted = select(audit).where(audit.c.id < cursor_id(cursor, default=LARGEST_ID)).order_by(audit.c.id.desc())
    rows = conn.execute(wanted.limit(limit + 1)).all()
    items = [AuditEntry(**row._mapping) for row in rows[:limit]]
    return Page(items=items, next_cursor=str(items[-1].id) if len(rows) > limit else None)
