"""Many and heavy requests at once: whoever comes too many is told so within a second, and nobody else notices."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from actinium.job import Role
from services.api import preflight, report
from services.api import studies as study_routes
from services.api.gates import BOUNDS, Work
from services.settings import Settings

GRID: dict[str, Any] = {"name": "crowd", "factors": {"activation": ["tanh", "relu"]}, "seeds": 1}
JSON = {"Content-Type": "application/json"}
PROMPT = 5.0
"""Seconds for what takes milliseconds on a machine that others use too; what went wrong took forty and more."""


@pytest.fixture
def api_settings(database_url: str) -> Settings:
    """Bodies of two megabytes."""
    return Settings(database_url=database_url, max_body_bytes=2_000_000, mlflow_url="http://mlflow")


class Held:
    """Work that begins and then waits until it is told to go on."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.goes_on = threading.Event()

    def wait(self) -> None:
        self.begun.release()
        assert self.goes_on.wait(60)


@pytest.fixture
def held() -> Iterator[Held]:
    """It goes on at the latest with the test's end."""
    work = Held()
    yield work
    work.goes_on.set()


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    """Threads to ask from."""
    with ThreadPoolExecutor(80) as pool:
        yield pool


def healthy(url: str) -> float:
    """Seconds to the answer of a health check."""
    began = time.monotonic()
    assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200
    return time.monotonic() - began


def test_an_object_of_many_keys_takes_no_longer_than_its_length(submitter: httpx.Client, api_url: str) -> None:
    body = "{" + "".join(f'"k{n}": 1, ' for n in range(50_000)) + '"k49999": 2}'
    began = time.monotonic()
    answer = submitter.post("/v1/studies?dry_run=true", content=body, headers=JSON, timeout=120)
    assert answer.status_code == 422 and "'k49999' stands twice" in answer.text
    assert time.monotonic() - began < PROMPT


def test_bodies_are_parsed_beside_the_event_loop(
    submitter: httpx.Client, api_url: str, monkeypatch: pytest.MonkeyPatch, held: Held, crowd: ThreadPoolExecutor
) -> None:
    real = json.loads

    def slow(text: str, **given: Any) -> Any:
        held.wait()
        return real(text, **given)

    monkeypatch.setattr("services.api.body.json.loads", slow)
    asked = crowd.submit(submitter.post, "/v1/studies?dry_run=true", content="{}", headers=JSON, timeout=60)
    assert held.begun.acquire(timeout=30)
    assert healthy(api_url) < PROMPT
    held.goes_on.set()
    assert asked.result().status_code == 422


def test_a_study_is_resolved_without_a_connection(
    submitter: httpx.Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = study_routes.expand

    def watched(*given: Any, **more: Any) -> Any:
        seen.append(engine.pool.checkedout())  # type: ignore[attr-defined]
        return real(*given, **more)

    monkeypatch.setattr(study_routes, "expand", watched)
    monkeypatch.setattr(preflight, "looked_at", lambda configs, settings: [])
    assert submitter.post("/v1/studies?dry_run=true", json=GRID).status_code == 200
    assert seen == [0]


def test_dry_runs_of_sixty_clients_leave_health_and_lists_alone(
    submitter: httpx.Client,
    viewer: httpx.Client,
    api_url: str,
    monkeypatch: pytest.MonkeyPatch,
    held: Held,
    crowd: ThreadPoolExecutor,
) -> None:
    """One of them has its networks looked at; the others are answered without, or told to come again."""

    def look(configs: Any, settings: Settings) -> list[dict[str, Any]]:
        held.wait()
        return []

    monkeypatch.setattr(preflight, "looked_at", look)
    bodies = [{**GRID, "model": {"kind": "mlp", "width": 8 + number}} for number in range(60)]
    ask: Callable[[Any], httpx.Response] = lambda body: httpx.post(  # noqa: E731
        f"{api_url}/v1/studies?dry_run=true", json=body, headers=dict(submitter.headers), timeout=60
    )
    asked = [crowd.submit(ask, body) for body in bodies]
    assert held.begun.acquire(timeout=30)
    assert max(healthy(api_url) for _ in range(5)) < PROMPT
    assert viewer.get("/v1/studies", timeout=PROMPT).status_code == 200
    held.goes_on.set()
    answers = [one.result() for one in asked]
    assert {answer.status_code for answer in answers} <= {200, 429}
    assert all(int(answer.headers["Retry-After"]) <= 5 for answer in answers if answer.status_code == 429)
    looked = [answer.json()["preflight_missing"] for answer in answers if answer.status_code == 200]
    assert set(looked) <= {preflight.BUSY, preflight.LATE} and looked


def test_reports_are_computed_few_at_once_and_each_caller_has_a_share(
    submitter: httpx.Client,
    viewer: httpx.Client,
    admin: httpx.Client,
    api_url: str,
    secrets: dict[Role, str],
    monkeypatch: pytest.MonkeyPatch,
    held: Held,
    crowd: ThreadPoolExecutor,
) -> None:
    """429 to whoever has its share, 503 to whoever finds the service full, both at once and with a time."""
    made = submitter.post("/v1/studies", json=GRID).json()["id"]
    bound = BOUNDS[Work.REPORT]
    real = report._document

    def slow(*given: Any) -> bytes:
        held.wait()
        return real(*given)

    monkeypatch.setattr(report, "_document", slow)

    def ask(http: httpx.Client) -> tuple[httpx.Response, float]:
        began = time.monotonic()
        answer = http.get(f"/v1/studies/{made}/report", timeout=60)
        return answer, time.monotonic() - began

    first = [crowd.submit(ask, viewer) for _ in range(bound.each)]
    assert held.begun.acquire(timeout=30)
    refused, took = ask(viewer)
    assert refused.status_code == 429 and refused.headers["Retry-After"] == "1" and took < PROMPT
    assert "at once are the most for one caller" in refused.json()["detail"]
    first += [crowd.submit(ask, admin) for _ in range(bound.at_once - bound.each)]
    time.sleep(0.2)
    full, took = ask(submitter)
    assert full.status_code == 503 and int(full.headers["Retry-After"]) <= 5 and took < PROMPT
    assert healthy(api_url) < PROMPT and viewer.get("/v1/studies", timeout=PROMPT).status_code == 200
    held.goes_on.set()
    assert [one.result()[0].status_code for one in first] == [200] * bound.at_once
    assert ask(viewer)[0].status_code == 200
