"""Who works on the queue, as the API, the client and `status` tell it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from sqlalchemy import Engine

from actinium.client import Client
from actinium.home import ClientFile
from actinium.job import Role
from db import dispatchers
from db.dispatchers import Standing
from services.stack.status import dispatchers as of_home
from services.stack.status import dispatchers_table


def test_who_lives_is_listed_and_shown(
    engine: Engine, viewer: httpx.Client, client: Client, secrets: dict[Role, str], tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    until = "2026-03-01T12:05:00+00:00"
    standings = [
        Standing(holder="late", started_at=now, seen_at=now, slots=1, halted="no room"),
        Standing(
            holder="early", started_at=now - timedelta(hours=1), seen_at=now, slots=2, busy=1, avoided={"n": until}
        ),
        Standing(holder="gone", started_at=now, seen_at=now - timedelta(minutes=5)),
    ]
    with engine.begin() as conn:
        for standing in standings:
            heard = dispatchers.report(conn, standing, silent_seconds=30)
    assert "gone" in heard
    items = viewer.get("/v1/dispatchers").json()["items"]
    assert [(one["holder"], one["slots"], one["busy"], one["halted"]) for one in items] == [
        ("early", 2, 1, None),
        ("late", 1, 0, "no room"),
    ]
    assert client.dispatchers() == items
    ClientFile(url=client.url, token=secrets[Role.VIEWER]).write(tmp_path)
    assert of_home(tmp_path) == items
    assert dispatchers_table(items).splitlines() == [
        "DISPATCHER  SLOTS  BUSY  AVOIDED NODES     LEASES",
        "early       2      1     n until 12:05:00  yes",
        "late        1      0     -                 no: no room",
    ]


def test_who_is_silent_for_long_or_leaves_is_forgotten(engine: Engine, now: datetime) -> None:
    with engine.begin() as conn:
        for name, hours in (("old", 0), ("new", 2), ("newer", 2)):
            at = now + timedelta(hours=hours)
            heard = dispatchers.report(conn, Standing(holder=name, started_at=now, seen_at=at), silent_seconds=30)
        assert heard == ["new", "newer"]
        dispatchers.leave(conn, "new")
        later = dispatchers.living(conn, now=now, silent_seconds=10**6)
        assert [one.holder for one in later] == ["newer"]
