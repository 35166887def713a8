"""Tokens: shown once, stored hashed, revoked for good."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, text

from actinium.errors import NotFound
from actinium.job import Role
from db import tokens


def test_a_token_is_known_by_its_secret_and_kept_without_it(connection: Connection, now: datetime) -> None:
    secret = tokens.create(connection, name="ada", role=Role.SUBMITTER, now=now)
    principal = tokens.authenticate(connection, secret, now)
    assert principal is not None
    assert (principal.name, principal.role) == ("ada", Role.SUBMITTER)
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), "nul\0", "half \ud800"):
        assert tokens.authenticate(connection, wrong, now) is None
    stored = connection.execute(text("SELECT tokens::text FROM tokens")).scalar_one()
    assert secret not in stored
    assert secret.encode().hex() not in stored
    assert tokens.create(connection, name="ada", role=Role.SUBMITTER, now=now) != secret


def test_a_revoked_token_is_nobody(connection: Connection, now: datetime) -> None:
    kept = tokens.create(connection, name="kept", role=Role.VIEWER, now=now)
    secret = tokens.create(connection, name="gone", role=Role.ADMIN, now=now)
    principal = tokens.authenticate(connection, secret, now)
    assert principal is not None
    tokens.revoke(connection, principal.id, now)
    tokens.revoke(connection, principal.id, now + timedelta(days=1))
    assert tokens.authenticate(connection, secret, now) is None
    assert tokens.authenticate(connection, kept, now) is not None
    assert [(row.name, row.revoked_at) for row in tokens.ls(connection)] == [("gone", now), ("kept", None)]
    for unknown in (0, -1, 10**6, 2**63):
        with pytest.raises(NotFound, match="actinium token ls"):
            tokens.revoke(connection, unknown, now)


def test_a_token_chosen_elsewhere_is_ensured(connection: Connection, now: datetime) -> None:
    first = tokens.ensure(connection, secret="from .env", name="admin", role=Role.ADMIN, now=now)
    again = tokens.ensure(connection, secret="from .env", name="admin", role=Role.ADMIN, now=now)
    assert first == again == tokens.authenticate(connection, "from .env", now)
    tokens.revoke(connection, first.id, now)
    assert tokens.ensure(connection, secret="from .env", name="admin", role=Role.ADMIN, now=now) == first
    assert tokens.authenticate(connection, "from .env", now) == first
    assert len(tokens.ls(connection)) == 1


def test_last_use_is_kept_to_the_minute(connection: Connection, now: datetime) -> None:
    secret = tokens.create(connection, name="ada", role=Role.VIEWER, now=now)
    seen = []
    for seconds in (0, 59, 60, 61):
        tokens.authenticate(connection, secret, now + timedelta(seconds=seconds))
        last = tokens.ls(connection)[0].last_used_at
        assert last is not None
        seen.append((last - now).total_seconds())
    assert seen == [0, 0, 60, 60]
