"""Access tokens. Only a SHA-256 of the secret is kept: 256 random bits need no salt and no slow hash."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from actinium.errors import Conflict, NotFound, Unauthenticated
from actinium.job import Role
from db.documents import check, storable
from db.models import tokens
from db.rows import LARGEST_ID

PREFIX = "act_"
LAST_USED_GRAIN = timedelta(minutes=1)
"""`last_used_at` is written at most this often, so that not every request is a write."""


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
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


def new_secret() -> str:
    """A secret that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(32)


def create(conn: Connection, *, name: str, role: Role, now: datetime, expires_at: datetime | None = None) -> str:
    """A new token's secret. It cannot be shown again."""
    secret = new_secret()
    ensure(conn, secret=secret, name=name, role=role, now=now, expires_at=expires_at)
    return secret


def ensure(
    conn: Connection,
    *,
    secret: str,
    name: str,
    role: Role,
    now: datetime,
    expires_at: datetime | None = None,
    service: bool = False,
) -> Principal:
    """Make this secret a valid token of this name and role: insert it, or change the token that it is already.

    `service`: it belongs to the installation, not to a person, and no identity provider's name means it.
    """
    check({"name": name})
    as_wanted = {"name": name, "role": role.value, "revoked_at": None, "expires_at": expires_at, "service": service}
    row = as_wanted | {"digest": _digest(secret), "created_at": now}
    written = insert(tokens).values(row).on_conflict_do_update(index_elements=["digest"], set_=as_wanted)
    token_id = conn.execute(written.returning(tokens.c.id)).scalar_one()
    return Principal(id=token_id, name=name, role=role)


def authenticate(conn: Connection, secret: str, now: datetime) -> Principal:
    """Whose secret this is. Unauthenticated says whether it is nobody's, revoked or expired."""
    digest = _digest(secret) if storable(secret) else b""
    row = conn.execute(select(tokens).where(tokens.c.digest == digest)).one_or_none()
    if row is None or not hmac.compare_digest(row.digest, digest):
        raise Unauthenticated("the token is not known; ask an admin for one")
    if row.revoked_at is not None:
        raise Unauthenticated(f"the token {row.name!r} was revoked; ask an admin for another one")
    if row.expires_at is not None and now >= row.expires_at:
        when = row.expires_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
        raise Unauthenticated(f"the token {row.name!r} expired on {when}; ask an admin for another one")
    _used(conn, row, now)
    return Principal(id=row.id, name=row.name, role=Role(row.role))


def check_opens(conn: Connection, token_id: int, now: datetime) -> None:
    """For long-lived streams: Unauthenticated once the token is revoked or expired."""
    if conn.execute(select(tokens.c.id).where(tokens.c.id == token_id, _opens(now))).one_or_none() is None:
        raise Unauthenticated("the token was revoked or is over; ask an admin for another one")


def named(conn: Connection, name: str, now: datetime) -> Principal:
    """Somebody whom an identity provider has named, with the strongest role of the valid tokens of this name. Tokens of
    services do not count: else whoever calls themselves `admin` at the provider would be one. Unauthenticated where
    there is none.
    """
    own = tokens.c.service.is_(False)
    opening = select(tokens).where(tokens.c.name == name, own, _opens(now)).order_by(tokens.c.id)
    rows = conn.execute(opening).all() if storable(name) else []
    strongest = max(rows, key=lambda row: list(Role).index(Role(row.role)), default=None)
    if strongest is None:
        raise Unauthenticated(
            f"no token opens for {name[:120]!r}; ask an admin for one: `actinium token create {name[:120]}`"
        )
    _used(conn, strongest, now)
    return Principal(id=strongest.id, name=strongest.name, role=Role(strongest.role))


def ls(conn: Connection) -> list[TokenRow]:
    """All tokens, the newest first."""
    return [_shown(row) for row in conn.execute(select(tokens).order_by(tokens.c.id.desc()))]


def get(conn: Connection, token_id: int) -> TokenRow:
    """One token. NotFound."""
    known = 0 < token_id <= LARGEST_ID
    row = conn.execute(select(tokens).where(tokens.c.id == token_id)).one_or_none() if known else None
    if row is None:
        raise NotFound(f"there is no token {token_id}; `actinium token ls` shows those there are")
    return _shown(row)


def namesakes(conn: Connection, token_id: int, now: datetime) -> int:
    """How many other valid tokens have the same name, and so own the same studies."""
    same_name = select(tokens.c.name).where(tokens.c.id == token_id).scalar_subquery()
    others = select(func.count()).where(tokens.c.name == same_name, tokens.c.id != token_id, _opens(now))
    return conn.execute(others).scalar_one()


def revoke(conn: Connection, token_id: int, now: datetime) -> None:
    """Revoke a token. NotFound; Conflict: it is the last valid admin token. Revoking again changes nothing."""
    target = get(conn, token_id)
    if target.role is Role.ADMIN:
        # Locked in one order, so that two admins who revoke each other take turns, and the second is refused.
        admins = select(tokens.c.id).where(tokens.c.role == Role.ADMIN.value, _opens(now)).order_by(tokens.c.id)
        if list(conn.execute(admins.with_for_update()).scalars()) == [token_id]:
            raise Conflict(
                f"token {token_id} ({target.name!r}) is the last that opens as admin, and nobody could make another;"
                " make one first: `actinium token create NAME --role admin`"
            )
    conn.execute(update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None)).values(revoked_at=now))


def _used(conn: Connection, row: Row[Any], now: datetime) -> None:
    if row.last_used_at is None or now - row.last_used_at >= LAST_USED_GRAIN:
        conn.execute(update(tokens).where(tokens.c.id == row.id).values(last_used_at=now))


def _opens(now: datetime) -> ColumnElement[bool]:
    return tokens.c.revoked_at.is_(None) & (tokens.c.expires_at.is_(None) | (tokens.c.expires_at > now))


def _shown(row: Row[Any]) -> TokenRow:
    return TokenRow(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
