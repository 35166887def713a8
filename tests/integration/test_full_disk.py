"""A full disk: nothing is begun, what was measured waits in memory, the doors say why, and afterwards all is there."""

import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest
from fake_fleet import FakeFleet, FakePack
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from starlette.requests import Request

from actinium.frame import LaneFinished, Layout, PackFrames, TrialSummary
from actinium.study import Design
from db import dispatchers, studies
from db.dispatchers import Standing
from db.engine import embedded, make_engine, migrate
from services.api.problem import on_database_error
from services.disk_space import disk_shortage
from services.dispatcher import dispatcher as dispatching
from services.dispatcher.dispatcher import Dispatcher
from services.dispatcher.fleet import PackItem
from services.dispatcher.ledger import Ledger
from services.dispatcher.roster import Roster
from services.settings import Settings
from services.stack import checks

STEPS = 60
VALUES = 4000
"""Of a frame: sixteen kilobytes that do not compress."""
DISK = "160m"


def wordy(summary: TrialSummary) -> FakeFleet:
    """One slot, whose packs say much."""

    def trainer(pack: FakePack) -> Iterator[PackItem]:
        lanes, draws = range(len(pack.configs)), np.random.default_rng(0)
        yield Layout(series=tuple(f"value_{number}" for number in range(VALUES)))
        for step in range(STEPS):
            values = draws.normal(size=(len(lanes), VALUES)).astype(np.float32)
            yield PackFrames(lanes=tuple(lanes), step=step, time=0.0, values=values)
        yield from (LaneFinished(lane=lane, summary=summary) for lane in lanes)

    return FakeFleet(slots=1, trainer=trainer)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own; where this user may not mount one, the test is skipped."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False) if os.geteuid() == 0 else None
    if mounted is None or mounted.returncode:
        pytest.skip("a disk of its own can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """A file that leaves no room."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
        os.posix_fallocate(file.fileno(), 0, free)
    return filler


def test_a_database_whose_disk_is_full_loses_nothing(
    small_disk: Path,
    design: Callable[..., Design],
    summary: Callable[..., TrialSummary],
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = embedded(small_disk)
    engine = make_engine(server.url, pool_size=2)
    try:
        migrate(engine)
        fleet, ledger = wordy(summary(steps=STEPS)), Ledger()
        roster = Roster(holder="here", started_at=now)
        dispatcher = Dispatcher(
            engine=engine,
            fleet=fleet,
            ledger=ledger,
            width=lambda *_: 2,
            holder="here",
            lease_seconds=60.0,
            roster=roster,
        )
        monkeypatch.setattr(dispatching, "UNSAVED_BYTES_MOST", 20 * 2 * VALUES * 4)
        with engine.begin() as conn:
            study = studies.create(conn, design(), owner="ann", now=now)

        def rounds(count: int) -> None:
            nonlocal now
            for _ in range(count):
                now += timedelta(seconds=1)
                dispatcher.run_once(now=now, wait=0.0)

        rounds(4)
        filler = fill(small_disk)
        rounds(80)
        assert len(fleet.begun) == 1 and len(fleet.told) <= 30, "the pack waits once its news take too much memory"
        assert "disk is full" in str(roster.standing(now=now).halted)
        filler.unlink()
        server = embedded(small_disk)  # the server may have ended, for want of room for its log
        for _ in range(20):
            rounds(20)
            with engine.begin() as conn:
                if studies.get(conn, study).state == "finished":
                    break
        assert roster.standing(now=now).halted is None
        with engine.begin() as conn:
            jobs = conn.execute(text("SELECT state, attempt, trial_failures + infrastructure_failures FROM jobs")).all()
            frames = conn.execute(text("SELECT count(*), count(DISTINCT step) FROM frames GROUP BY trial_id")).all()
        assert jobs == [("succeeded", 1, 0)] * 4
        assert frames == [(STEPS, STEPS)] * 4
    finally:
        engine.dispose()
        server.stop()


def test_room_is_what_the_disk_has(small_disk: Path) -> None:
    assert disk_shortage(small_disk, least=100 * 2**20) is None
    filler = fill(small_disk)
    said = disk_shortage(small_disk, least=100 * 2**20)
    assert said is not None and "the disk of ACTINIUM_HOME has 0 MB left, less than 100" in said
    filler.unlink()
    assert disk_shortage(small_disk, least=100 * 2**20) is None
    assert disk_shortage(small_disk / "nowhere", least=2**60) is None


def test_nothing_is_begun_without_room_and_everything_after(
    engine: Engine, design: Callable[..., Design], summary: Callable[..., TrialSummary], now: datetime
) -> None:
    fleet, roster, room = wordy(summary(steps=STEPS)), Roster(holder="here", started_at=now), ["no room"]
    dispatcher = Dispatcher(
        engine=engine,
        fleet=fleet,
        ledger=Ledger(),
        width=lambda *_: 2,
        holder="here",
        lease_seconds=60.0,
        roster=roster,
        room=lambda: room[0] if room else None,
    )
    with engine.begin() as conn:
        studies.create(conn, design(), owner="ann", now=now)
    for second in range(1, 10):
        dispatcher.run_once(now=now + timedelta(seconds=second), wait=0.0)
    assert len(fleet.begun) == 0 and roster.standing(now=now).halted == "no room"
    room.clear()
    for second in range(10, 20):
        dispatcher.run_once(now=now + timedelta(seconds=second), wait=0.0)
    room.append("no room")
    for second in range(20, 150):
        dispatcher.run_once(now=now + timedelta(seconds=second), wait=0.0)
    assert len(fleet.begun) == 1, "what trains goes on to its end, and nothing follows"
    with engine.begin() as conn:
        assert conn.execute(text("SELECT state, count(*) FROM jobs GROUP BY 1 ORDER BY 1")).all() == [
            ("queued", 2),
            ("succeeded", 2),
        ]


@pytest.mark.parametrize("whose", ["the service's own disk", "a dispatcher's"])
def test_the_service_says_that_it_is_not_ready_and_why(
    whose: str, engine: Engine, api_settings: Settings, api_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ready: Any = httpx.get(f"{api_url}/readyz")
    assert ready.status_code == 200
    if whose == "a dispatcher's":
        at = datetime.now(UTC)
        with engine.begin() as conn:
            standing = Standing(holder="here", started_at=at, seen_at=at, halted="the disk of /data has 3 MB left")
            dispatchers.report(conn, standing, silent_seconds=30.0)
    else:
        monkeypatch.setattr(
            "services.api.health.disk_shortage", lambda folder, least: "the disk of /data has 3 MB left"
        )
    full = httpx.get(f"{api_url}/readyz")
    assert full.status_code == 503 and full.headers["Retry-After"]
    assert full.json()["detail"] == "no room: the disk of /data has 3 MB left"
    assert checks.service(f"{api_url}/readyz")(), "to start it anew would not help"
    assert not checks.http(f"{api_url}/readyz")()
    assert not checks.service(f"{api_url}/v1/nowhere")() and not checks.service("http://127.0.0.1:1/")()


def test_a_request_that_finds_the_disk_full_is_told_so() -> None:
    full = OperationalError("INSERT", {}, psycopg.errors.DiskFull("could not extend file"))
    request = Request({"type": "http", "method": "POST", "path": "/v1/studies", "headers": [], "request_id": "1"})
    answer = on_database_error(request, full)
    assert answer.status_code == 503 and b"the disk of the database is full" in answer.body
