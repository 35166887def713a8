"""Tokens: shown once, stored hashed, revoked for good, over at their time; the last admin's stays."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from actinium.errors import Conflict, NotFound, Unauthenticated
from actinium.job import Role
from db import tokens

WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def test_a_token_is_known_by_its_secret_and_kept_without_it(connection: Connection, now: datetime) -> None:
    secret = tokens.create(connection, name="ada", role=Role.SUBMITTER, now=now)
    principal = tokens.authenticate(connection, secret, now)
    assert (principal.name, principal.role) == ("ada", Role.SUBMITTER)
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), "nul\0", "half \ud800"):
        with pytest.raises(Unauthenticated, match="is not known"):
            tokens.authenticate(connection, wrong, now)
    stored = connection.execute(text("SELECT tokens::text FROM tokens")).scalar_one()
    assert secret not in stored
    assert secret.encode().hex() not in stored
    assert tokens.create(connection, name="ada", role=Role.SUBMITTER, now=now) != secret


def test_a_revoked_token_is_nobody(connection: Connection, now: datetime) -> None:
    kept = tokens.create(connection, name="kept", role=Role.ADMIN, now=now)
    secret = tokens.create(connection, name="gone", role=Role.ADMIN, now=now)
    principal = tokens.authenticate(connection, secret, now)
    tokens.revoke(connection, principal.id, now)
    tokens.revoke(connection, principal.id, now + timedelta(days=1))
    with pytest.raises(Unauthenticated, match="'gone' was revoked"):
        tokens.authenticate(connection, secret, now)
    assert tokens.authenticate(connection, kept, now).name == "kept"
    assert [(row.name, row.revoked_at) for row in tokens.ls(connection)] == [("gone", now), ("kept", None)]
    for unknown in (0, -1, 10**6, 2**63):
        with pytest.raises(NotFound, match="actinium token ls"):
            tokens.revoke(connection, unknown, now)


def test_a_token_chosen_elsewhere_is_ensured(connection: Connection, now: datetime) -> None:
    first = tokens.ensure(connection, secret="from .env", name="admin", role=Role.ADMIN, now=now)
    again = tokens.ensure(connection, secret="from .env", name="admin", role=Role.ADMIN, now=now)
    assert first == again == tokens.authenticate(connection, "from .env", now)
    tokens.create(connection, name="another", role=Role.ADMIN, now=now)
    tokens.revoke(connection, first.id, now)
    assert tokens.ensure(connection, secret="from .env", name="admin", role=Role.ADMIN, now=now) == first
    assert tokens.authenticate(connection, "from .env", now) == first
    assert len(tokens.ls(connection)) == 2


def test_last_use_is_kept_to_the_minute(connection: Connection, now: datetime) -> None:
    secret = tokens.create(connection, name="ada", role=Role.VIEWER, now=now)
    seen = []
    for seconds in (0, 59, 60, 61):
        tokens.authenticate(connection, secret, now + timedelta(seconds=seconds))
        last = tokens.ls(connection)[0].last_used_at
        assert last is not None
        seen.append((last - now).total_seconds())
    assert seen == [0, 0, 60, 60]


def test_a_token_ends_at_its_time(connection: Connection, now: datetime) -> None:
    end = now + timedelta(days=30)
    secret = tokens.create(connection, name="ada", role=Role.VIEWER, now=now, expires_at=end)
    assert tokens.authenticate(connection, secret, end - timedelta(microseconds=1)).name == "ada"
    for later in (end, end + timedelta(days=400)):
        with pytest.raises(Unauthenticated, match="'ada' expired on 2026-03-31 12:00 UTC"):
            tokens.authenticate(connection, secret, later)
    (row,) = tokens.ls(connection)
    assert (row.expires_at, row.last_used_at) == (end, end - timedelta(microseconds=1))


def test_the_last_that_opens_as_admin_is_not_revoked(connection: Connection, now: datetime) -> None:
    """Neither viewers nor what was revoked or is over count; what is over may be revoked."""
    spare = tokens.create(connection, name="spare", role=Role.ADMIN, now=now)
    over = tokens.create(connection, name="over", role=Role.ADMIN, now=now, expires_at=now + timedelta(days=1))
    tokens.create(connection, name="ann", role=Role.VIEWER, now=now)
    last = tokens.authenticate(connection, tokens.create(connection, name="last", role=Role.ADMIN, now=now), now)
    first, second = (tokens.authenticate(connection, secret, now).id for secret in (spare, over))
    later = now + timedelta(days=1)
    tokens.revoke(connection, first, now)
    with pytest.raises(Conflict, match=r"'last'. is the last that opens as admin.*actinium token create"):
        tokens.revoke(connection, last.id, later)
    tokens.revoke(connection, second, later)
    tokens.revoke(connection, first, later)
    assert [row.revoked_at for row in tokens.ls(connection) if row.role is Role.ADMIN] == [None, later, now]


def test_two_admins_who_revoke_each_other_take_turns(engine: Engine, now: datetime) -> None:
    """One of them stays, however their transactions fall."""
    with engine.begin() as connection:
        made = [tokens.create(connection, name=name, role=Role.ADMIN, now=now) for name in ("a", "b")]
        ids = [tokens.authenticate(connection, secret, now).id for secret in made]
    refused: list[int] = []

    def second() -> None:
        try:
            with engine.begin() as connection:
                tokens.revoke(connection, ids[1], now)
        except Conflict:
            refused.append(ids[1])

    with engine.begin() as connection:
        tokens.revoke(connection, ids[0], now)
        other = threading.Thread(target=second)
        other.start()
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as watching:
            while other.is_alive() and not watching.execute(WAITING).scalar_one():
                pass
    other.join(30)
    assert refused == [ids[1]]


def test_namesakes_are_others_of_the_name_that_open_something(connection: Connection, now: datetime) -> None:
    tokens.create(connection, name="ada", role=Role.VIEWER, now=now, expires_at=now + timedelta(days=1))
    first = tokens.ensure(connection, secret="one", name="ada", role=Role.VIEWER, now=now)
    tokens.create(connection, name="Ada", role=Role.VIEWER, now=now)
    assert tokens.namesakes(connection, first.id, now) == 1
    assert tokens.namesakes(connection, first.id, now + timedelta(days=1)) == 0
    assert tokens.get(connection, first.id).created_at.tzinfo == UTC
