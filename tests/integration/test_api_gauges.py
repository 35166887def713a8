"""What /metrics tells an operator: how long things wait, who works, how much room there is."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from sqlalchemy import Engine

from actinium.frame import TrialSummary
from actinium.study import Design
from db import dispatchers, queue, studies
from db.dispatchers import Standing
from db.gauges import Gauges, gauges

LEASE_SECONDS = 30.0


def read(engine: Engine, now: datetime) -> Gauges:
    """The gauges at a moment."""
    with engine.begin() as conn:
        return gauges(conn, now=now, lease_seconds=LEASE_SECONDS)


def test_ages_and_counts_follow_the_queue_and_the_mirror(
    engine: Engine, design: Callable[..., Design], summary: Callable[..., TrialSummary], now: datetime
) -> None:
    calm = Gauges(
        oldest_due=0, oldest_lease=0, expiring=0, expired=0, paused_studies=0, unmirrored=0, oldest_unmirrored=0
    )
    assert read(engine, now) == calm
    with engine.begin() as conn:
        study = studies.create(conn, design(), owner="ann", now=now)
    later = now + timedelta(seconds=40)
    assert read(engine, later).oldest_due == 40 and read(engine, later).unmirrored == 1
    with engine.begin() as conn:
        pack = queue.lease(conn, now=later, holder="here", lease_seconds=LEASE_SECONDS, width=4)
    seen = read(engine, later + timedelta(seconds=10))
    assert (seen.oldest_due, seen.oldest_lease, seen.expiring, seen.expired) == (0, 10, 0, 0)
    seen = read(engine, later + timedelta(seconds=21))
    assert (seen.expiring, seen.expired) == (4, 0)
    seen = read(engine, later + timedelta(seconds=31))
    assert (seen.expiring, seen.expired) == (0, 4)
    with engine.begin() as conn:
        queue.complete(conn, now=later, attempt=pack[0], summary=summary())
        queue.release(conn, now=later, attempts=pack[1:])
    assert read(engine, later + timedelta(seconds=5)).oldest_unmirrored == 5
    with engine.begin() as conn:
        studies.pause(conn, study, later)
    seen = read(engine, later + timedelta(seconds=60))
    assert (seen.oldest_due, seen.paused_studies) == (0, 1), "what is paused does not wait"


def test_metrics_tell_of_dispatchers_and_the_disk(engine: Engine, api_url: str) -> None:
    at = datetime.now(UTC)
    standings = [
        Standing(holder="a", started_at=at, seen_at=at, slots=4, busy=3, avoided={"n1": "soon", "n2": "later"}),
        Standing(holder="b", started_at=at, seen_at=at, slots=3, busy=0, avoided={"n1": "soon"}, halted="no room"),
    ]
    with engine.begin() as conn:
        for standing in standings:
            dispatchers.report(conn, standing, silent_seconds=LEASE_SECONDS)
    lines = httpx.get(f"{api_url}/metrics").text.splitlines()
    told = dict(line.rsplit(" ", 1) for line in lines if line.startswith("actinium_") and "{" not in line)
    assert told["actinium_dispatchers"] == "2.0" and told["actinium_dispatchers_halted"] == "1.0"
    assert told["actinium_slots"] == "7.0" and told["actinium_slots_busy"] == "3.0"
    assert told["actinium_nodes_avoided"] == "2.0"


@pytest.mark.parametrize("there", [True, False])
def test_the_disk_is_told_of_where_it_is_here(there: bool, api_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def usage(folder: object) -> object:
        if not there:
            raise FileNotFoundError(str(folder))
        return type("Usage", (), {"free": 12345})

    monkeypatch.setattr("services.api.gauges.shutil.disk_usage", usage)
    text = httpx.get(f"{api_url}/metrics").text
    assert ("actinium_disk_free_bytes 12345.0" in text) is there


def test_what_the_alarms_are_about_is_there(api_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules in the documentation name gauges that exist, and the table there names all of them."""
    page = Path(__file__).parents[2].joinpath("docs", "reliability.md").read_text(encoding="utf-8")
    named = set(re.findall(r"actinium_[a-z_]+", page))
    monkeypatch.setattr("services.api.gauges.shutil.disk_usage", lambda folder: type("Usage", (), {"free": 1}))
    httpx.get(f"{api_url}/healthz")  # one request, so that requests are counted
    text = httpx.get(f"{api_url}/metrics").text
    told = set(re.findall(r"^# HELP (actinium_[a-z_]+)", text, re.MULTILINE))
    assert named <= told
    assert {name for name in told if "request" not in name} <= named


def test_work_that_waits_while_nothing_is_trained_rings_within_two_minutes() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "reliability.md").read_text(encoding="utf-8")
    (block,) = [part for part in page.split("```") if part.startswith("yaml\ngroups:")]
    (group,) = yaml.safe_load(block.removeprefix("yaml\n"))["groups"]
    rule = next(rule for rule in group["rules"] if rule["alert"] == "ActiniumIdleWithWorkDue")
    found = re.fullmatch(r"actinium_oldest_due_seconds > (\d+) and actinium_slots_busy == 0", rule["expr"])
    assert found is not None and rule["for"] == "1m"
    assert int(found[1]) + 60 + 15 + 15 <= 120, "with the intervals of scraping and of rules"
