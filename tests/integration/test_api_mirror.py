"""Asking for a study to be mirrored anew; what doctor says; and status and doctor of a service that runs elsewhere."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, text

from actinium.client import Client
from actinium.home import ClientFile
from actinium.job import Role
from actinium.terminal import doctor
from db import dispatchers, mirror
from db.dispatchers import Standing
from services.settings import Settings
from services.stack.status import status

SMALL = {"name": "small", "factors": {"activation": ["relu", "elu"]}, "seeds": 2}


def told(engine: Engine) -> set[tuple[int, int, str | None]]:
    """How far the mirror is with each trial: its attempt, its step, and its end."""
    with engine.begin() as conn:
        rows = conn.execute(text("SELECT attempt, step, closed FROM mirrored_trials"))
        return {(row.attempt, row.step, row.closed) for row in rows}


@pytest.fixture
def mirrored(engine: Engine, submitter: httpx.Client, train: Callable[..., object]) -> int:
    """A study that the mirror has told of to its end, and one of which two trials are queued."""
    study = int(submitter.post("/v1/studies", json=SMALL).json()["id"])
    train()
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO mirrored_trials (trial_id, run_id, attempt, step, closed) "
                "SELECT trial_id, 'r' || trial_id, 1, 100, 'succeeded' FROM jobs"
            )
        )
        conn.execute(text("INSERT INTO mirrored_studies (study_id, experiment_id) SELECT id, '7' FROM studies"))
        conn.execute(text("DELETE FROM outbox"))
    return study


@pytest.mark.parametrize(("everything", "expected"), [("false", (1, -1, None)), ("true", (-1, -1, None))])
def test_a_study_is_put_in_the_outbox_again(
    engine: Engine, submitter: httpx.Client, mirrored: int, everything: str, expected: tuple[int, int, str | None]
) -> None:
    answer = submitter.post(f"/v1/studies/{mirrored}/mirror", params={"all": everything})
    assert answer.status_code == 200 and answer.json() == {"id": mirrored, "name": "small", "trials": 4}
    assert told(engine) == {expected}
    with engine.begin() as conn:
        kinds = conn.execute(text("SELECT kind, count(*) FROM outbox GROUP BY kind ORDER BY kind")).all()
    assert [tuple(row) for row in kinds] == [("study", 1), ("trial", 4)]


def test_only_the_owner_and_admins_may_ask(mirrored: int, viewer: httpx.Client, admin: httpx.Client) -> None:
    assert viewer.post(f"/v1/studies/{mirrored}/mirror").status_code == 403
    assert admin.post(f"/v1/studies/{mirrored}/mirror").status_code == 200


def test_doctor_says_what_is_missing_in_mlflow_and_what_puts_it_back(
    engine: Engine, api_url: str, secrets: dict[Role, str], mirrored: int, client: Client, tmp_path: Path
) -> None:
    ClientFile(url=api_url, token=secrets[Role.VIEWER], dashboard_url=None, mlflow_url=None).write(tmp_path)
    (fine,) = doctor._mirror(tmp_path)
    assert fine.verdict == "ok"
    with engine.begin() as conn:
        at = conn.execute(text("SELECT now()")).scalar_one()
        mirror.record(conn, mirrored, experiment=None, deleted_runs=3, seen_at=at)  # type: ignore[arg-type]
    (found,) = doctor._mirror(tmp_path)
    assert found.verdict == "warn"
    assert found.detail == (
        f"study {mirrored} (small): 3 runs were deleted there; `actinium mirror {mirrored}` puts back what is missing"
    )
    assert [one["deleted_runs"] for one in client.mirror_missing()] == [3]
    assert client.mirror("small")["trials"] == 4 and client.mirror_missing() == []


def test_status_and_doctor_tell_of_the_service_at_actinium_url(
    engine: Engine, api_url: str, secrets: dict[Role, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with docker-compose.yml, where no home has a stack."""
    monkeypatch.setenv("ACTINIUM_URL", api_url)
    monkeypatch.setenv("ACTINIUM_TOKEN", secrets[Role.VIEWER])
    said: list[str] = []
    settings = Settings(home=tmp_path)
    assert status(settings, as_json=False, say=said.append)
    assert said[0] == f"{api_url} answers, and knows the token" and "NO DISPATCHER IS ALIVE: nothing is trained" in said
    found = {result.check: result for result in doctor.examine(tmp_path)}
    assert found["api"].verdict == "ok" and found["mlflow"].verdict == "ok" and "disk" not in found
    assert found["dispatchers"].detail == "nothing is trained: no dispatcher is alive"
    at = datetime.now(UTC)
    with engine.begin() as conn:
        standing = Standing(holder="d", started_at=at, seen_at=at, slots=2, busy=1)
        dispatchers.report(conn, standing, silent_seconds=30.0)
    assert status(settings, as_json=True, say=said.append)
    assert json.loads(said[-1])["dispatchers"][0]["busy"] == 1
    found = {result.check: result for result in doctor.examine(tmp_path)}
    assert found["dispatchers"].detail == "1 with 2 slots, 1 of which train"
    monkeypatch.setenv("ACTINIUM_TOKEN", "act_wrong")
    assert not status(settings, as_json=False, say=said.append)
