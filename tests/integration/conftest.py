"""The real API on a real database, and a hand that trains: leases, writes frames, completes."""

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from sqlalchemy import Engine, text

from actinium.client import Client
from actinium.frame import Frame, Layout, Outcome, TrialSummary
from actinium.job import FailureClass, Lease, Role
from db import frames, queue, tokens
from services.api.app import create_app
from services.settings import Settings

Train = Callable[..., list[Lease]]


class Announced(uvicorn.Server):
    """A server that says when it listens, so that nobody has to poll."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, and says so."""
        await super().startup(sockets)
        self.listening.set()


@pytest.fixture
def api_settings(database_url: str) -> Settings:
    """Small limits, and news soon."""
    return Settings(
        database_url=database_url, max_body_bytes=20_000, max_trials=500, event_seconds=0.02, mlflow_url="http://mlflow"
    )


@pytest.fixture
def api_url(api_settings: Settings, engine: Engine) -> Iterator[str]:
    """The address of a running API."""
    app = create_app(api_settings, engine=engine)
    server = Announced(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
    # IPPROTO_TCP by name: asyncio switches Nagle's delay off for such sockets only, 40 ms a request.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        assert server.listening.wait(30)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(30)


@pytest.fixture
def secrets(engine: Engine, now: datetime) -> dict[Role, str]:
    """A token of each role, by the names ann the viewer, sam the submitter, ada the admin."""
    names = {Role.VIEWER: "ann", Role.SUBMITTER: "sam", Role.ADMIN: "ada"}
    with engine.begin() as connection:
        return {role: tokens.create(connection, name=name, role=role, now=now) for role, name in names.items()}


@pytest.fixture
def viewer(api_url: str, secrets: dict[Role, str]) -> Iterator[httpx.Client]:
    """Requests as ann, who may look."""
    with httpx.Client(base_url=api_url, headers={"Authorization": f"Bearer {secrets[Role.VIEWER]}"}) as http:
        yield http


@pytest.fixture
def submitter(api_url: str, secrets: dict[Role, str]) -> Iterator[httpx.Client]:
    """Requests as sam, who may submit."""
    with httpx.Client(base_url=api_url, headers={"Authorization": f"Bearer {secrets[Role.SUBMITTER]}"}) as http:
        yield http


@pytest.fixture
def admin(api_url: str, secrets: dict[Role, str]) -> Iterator[httpx.Client]:
    """Requests as ada, who may do all."""
    with httpx.Client(base_url=api_url, headers={"Authorization": f"Bearer {secrets[Role.ADMIN]}"}) as http:
        yield http


@pytest.fixture
def client(api_url: str, secrets: dict[Role, str]) -> Iterator[Client]:
    """The Python client as ada; it never really pauses between attempts."""
    with Client(api_url, secrets[Role.ADMIN], sleep=lambda _: None) as given:
        yield given


@pytest.fixture
def row_counts(engine: Engine) -> Callable[[], dict[str, int]]:
    """How many rows each table that a request could write to has."""

    def count() -> dict[str, int]:
        tables = ("studies", "cells", "trials", "jobs", "outbox", "tokens", "frames", "summaries")
        with engine.begin() as connection:
            return {name: connection.execute(text(f"select count(*) from {name}")).scalar_one() for name in tables}

    return count


@pytest.fixture
def train(engine: Engine) -> Train:
    """Takes part of the dispatcher: `train(packs=None, complete=True, fail=None)` leases packs, writes three frames a
    trial, and completes or fails them. A trial's validation loss is 1, 0.5, 0.1 plus a hundredth of its seed.
    """
    layout = Layout(series=("train_loss", "validation_loss", "dead_unit_rate"))

    def steps_of(lease: Lease) -> list[int]:
        last = lease.config.steps()
        return [0, last // 2, last]

    def frames_of(lease: Lease) -> list[Frame]:
        losses = [value + 0.01 * lease.config.seed for value in (1.0, 0.5, 0.1)]
        rows = [(float("nan"), losses[0], 0.0), (losses[1], losses[1], 0.1), (float("inf"), losses[2], 0.2)]
        return [
            Frame(
                trial_id=lease.trial_id,
                attempt=lease.attempt,
                step=step,
                time=float(position),
                values=np.array(row, dtype=np.float32),
            )
            for position, (step, row) in enumerate(zip(steps_of(lease), rows, strict=True))
        ]

    def summary_of(lease: Lease) -> TrialSummary:
        metrics: dict[str, Any] = {
            "validation_loss": 0.1 + 0.01 * lease.config.seed,
            "dead_unit_rate": 0.2,
            "dead_unit_rate/layer_01": 0.2,
            "test_error": 0.05 + 0.001 * lease.config.seed,
        }
        return TrialSummary(
            outcome=Outcome.CONVERGED,
            steps=lease.config.steps(),
            seconds=1.5,
            probe_seconds=0.1,
            metrics=metrics,
            probe_examples=1079,
            parameters=100,
            pack_width=4,
            device="cpu",
        )

    def hand(*, packs: int = 1000, complete: bool = True, fail: str | None = None) -> list[Lease]:
        taken: list[Lease] = []
        now = datetime.now(UTC)  # the API's clock: what was submitted is due at once
        for _ in range(packs):
            with engine.begin() as connection:
                pack = queue.lease(connection, now=now, holder="hand", lease_seconds=60, width=64)
                if not pack:
                    break
                taken += pack
                frames.write(connection, layout, [frame for lease in pack for frame in frames_of(lease)])
                if fail is not None:
                    for lease in pack:
                        queue.fail(connection, now=now, attempts=[lease], failure_class=FailureClass.TRIAL, error=fail)
                elif complete:
                    queue.complete_many(connection, now=now, results=[(lease, summary_of(lease)) for lease in pack])
        return taken

    return hand
