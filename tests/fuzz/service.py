"""An API to be fuzzed: studies in every state, people of every kind, limits that are soon reached."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fake_dispatcher
import httpx
import numpy as np
from served import served
from sqlalchemy import Engine

from actinium.job import Role
from db import tokens
from services.api.access import Requirement
from services.api.app import create_app
from services.settings import Settings

NOBODY = ("without", "malformed", "basic", "wrong", "revoked", "expired")
"""Those who are nobody to the service, by what they send."""
PEOPLE = {"viewer": Role.VIEWER, "submitter": Role.SUBMITTER, "other": Role.SUBMITTER, "admin": Role.ADMIN}
"""Those who are somebody. The furnished studies are `submitter`'s."""
STUDY: dict[str, Any] = {"seeds": 2, "factors": {"activation": ["relu", "tanh"], "training.batch_size": [8, 64]}}
LIMITS: dict[str, Any] = {
    "max_body_bytes": 100_000,
    "max_trials": 200,
    "max_dataset_bytes": 100_000,
    "max_dataset_array_bytes": 200_000,
    "event_seconds": 0.02,
    "failed_attempts_per_minute": 0,
    "preflight_networks": 1,
    "preflight_seconds": 0.1,
}


@dataclass(frozen=True, kw_only=True)
class Service:
    """The API's address and document, what each kind of caller sends, and what there is to name."""

    url: str
    document: dict[str, Any]
    headers: dict[str, dict[str, str]]
    studies: list[str]
    trials: list[str]
    tokens: list[str]
    train: Callable[[], object]
    """Trains what is next."""


@contextmanager
def furnished(engine: Engine, database_url: str) -> Iterator[Service]:
    """The API on an empty database, with studies in every state, and a dataset."""
    now = datetime.now(UTC)
    with engine.begin() as connection:
        secrets = {who: tokens.create(connection, name=who, role=role, now=now) for who, role in PEOPLE.items()}
        gone = tokens.create(connection, name="gone", role=Role.ADMIN, now=now)
        past = tokens.create(connection, name="past", role=Role.ADMIN, now=now, expires_at=now)
        for row in tokens.ls(connection):
            if row.name == "gone":
                tokens.revoke(connection, row.id, now=now)
    app = create_app(Settings(database_url=database_url, **LIMITS), engine=engine)
    with served(app) as url:
        bearer = {who: {"Authorization": f"Bearer {secret}"} for who, secret in secrets.items()}
        with httpx.Client(base_url=url, headers=bearer["submitter"], timeout=60) as http:
            names = [_study(http, engine, kind) for kind in ("finished", "failed", "cancelled", "paused", "waiting")]
            _dataset(http)
            ids = [str(http.get(f"/v1/studies/{name}").json()["id"]) for name in names]
            trials = [str(item["id"]) for item in http.get("/v1/studies/finished/trials").json()["items"]]
        with httpx.Client(base_url=url, headers=bearer["admin"]) as http:
            made = [http.post("/v1/tokens", json={"name": f"t{n}", "role": "viewer"}).json() for n in range(3)]
        headers = {
            "without": {},
            "malformed": {"Authorization": "Bearer"},
            "basic": {"Authorization": "Basic YTpi"},
            "wrong": {"Authorization": "Bearer act_wrong"},
            "revoked": {"Authorization": f"Bearer {gone}"},
            "expired": {"Authorization": f"Bearer {past}"},
            **bearer,
        }
        yield Service(
            url=url,
            document=app.openapi(),
            headers=headers,
            studies=[*names, *ids],
            trials=trials,
            tokens=[str(token["id"]) for token in made],
            train=lambda: fake_dispatcher.train(engine, packs=1),
        )


def forbidden(rule: Requirement, who: str) -> int | None:
    """What a caller is answered whom the table of access shuts out, whatever else they send; None where it does not."""
    if rule.role is None:
        return None
    if who in NOBODY:
        return 401
    return None if PEOPLE[who].includes(rule.role) else 403


def npz(examples: int = 20) -> bytes:
    """A small dataset's file."""
    file = io.BytesIO()
    inputs = np.random.default_rng(0).normal(size=(examples, 1, 4, 4)).astype(np.float32)
    np.savez(file, inputs=inputs, labels=np.arange(examples) % 2)
    return file.getvalue()


def _study(http: httpx.Client, engine: Engine, kind: str) -> str:
    http.post("/v1/studies", json={**STUDY, "name": kind, "tags": {"kind": kind}}).raise_for_status()
    match kind:
        case "finished":
            fake_dispatcher.train(engine)
        case "failed":
            for _ in range(3):  # a pack of one is tried twice
                fake_dispatcher.train(engine, fail="ValueError: no")
        case "cancelled":
            http.post(f"/v1/studies/{kind}/cancel").raise_for_status()
        case "paused":
            http.post(f"/v1/studies/{kind}/pause").raise_for_status()
    return kind


def _dataset(http: httpx.Client) -> None:
    media = {"Content-Type": "application/octet-stream"}
    http.post("/v1/datasets", params={"name": "mine"}, content=npz(), headers=media).raise_for_status()
