"""Access tokens. Only a SHA-256 of the secret is kept: 256 random bits need no salt and no slow hash."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert

from actinium.errors import NotFound
from actinium.job import Role
from db.documents import check, storable
from db.models import tokens
from db.rows import LARGEST_ID

PREFIX = "act_"
LAST_USED_GRAIN = timedelta(minutes=1)
"""How exactly `last_used_at` is kept, so that not every request is a write."""


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who makes a request: a token that was accepted."""

    id: int
    name: str
    role: Role


@dataclass(frozen=True, kw_only=True)
class TokenRow:
    """What may be shown of a token."""

    id: int
    name: str
    role: Role
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def new_secret() -> str:
    """A secret that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(32)


def create(conn: Connection, *, name: str, role: Role, now: datetime) -> str:
    """A new token's secret. It cannot be shown again."""
    secret = new_secret()
    ensure(conn, secret=secret, name=name, role=role, now=now)
    return secret


def ensure(conn: Connection, *, secret: str, name: str, role: Role, now: datetime) -> Principal:
    """See to it that this secret, chosen by somebody else, is a valid token of this name and role."""
    check({"name": name})
    row = {"name": name, "role": role.value, "digest": _digest(secret), "created_at": now}
    as_wanted = {"name": name, "role": role.value, "revoked_at": None}
    written = insert(tokens).values(row).on_conflict_do_update(index_elements=["digest"], set_=as_wanted)
    token_id = conn.execute(written.returning(tokens.c.id)).scalar_one()
    return Principal(id=token_id, name=name, role=role)


def authenticate(conn: Connection, secret: str, now: datetime) -> Principal | None:
    """Whose secret this is; None when nobody's, or a revoked one."""
    if not storable(secret):
        return None
    digest = _digest(secret)
    row = conn.execute(select(tokens).where(tokens.c.digest == digest, tokens.c.revoked_at.is_(None))).one_or_none()
    if row is None or not hmac.compare_digest(row.digest, digest):
        return None
    if row.last_used_at is None or now - row.last_used_at >= LAST_USED_GRAIN:
        conn.execute(update(tokens).where(tokens.c.id == row.id).values(last_used_at=now))
    return Principal(id=row.id, name=row.name, role=Role(row.role))


def ls(conn: Connection) -> list[TokenRow]:
    """All tokens, the newest first."""
    return [
        TokenRow(
            id=row.id,
            name=row.name,
            role=Role(row.role),
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            revoked_at=row.revoked_at,
        )
        for row in conn.execute(select(tokens).order_by(tokens.c.id.desc()))
    ]


def revoke(conn: Connection, token_id: int, now: datetime) -> None:
    """Make a token useless from now on. NotFound; revoking again changes nothing."""
    known = 0 < token_id <= LARGEST_ID
    revoked = update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None)).values(revoked_at=now)
    if not known or conn.execute(select(tokens.c.id).where(tokens.c.id == token_id)).one_or_none() is None:
        raise NotFound(f"there is no token {token_id}; `actinium token ls` shows those there are")
    conn.execute(revoked)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
