"""Two dispatchers on one stack: one is killed, then every service is restarted under load; nothing is lost."""

import os
import signal
import time
from contextlib import suppress
from typing import Any

import psutil
import pytest
from sqlalchemy import text
from stack_fixture import RunningStack

from actinium.client import Client
from actinium.errors import Unavailable
from db.embedded import embedded
from db.engine import make_engine
from services.stack.state import PartState, PartStatus, StackState

SEEDS = 10
STUDY: dict[str, Any] = {
    "name": "rolling",
    "project": "tests",
    "task": {"train_examples": 256},
    "model": {"kind": "mlp", "depth": 2, "width": 16},
    "probes": {"schedule": {"points": 6}},
    "factors": {"activation": ["relu", "tanh"], "training.epochs": list(range(60, 70))},
    "seeds": SEEDS,
}
CELLS = 20
QUEUED_LEAST = 60
"""The study is extended as long as services are restarted: all of it happens under load, however slow the machine."""
ROLLED = (("dispatcher-2", "sink"), ("api",), ("ray",), ("mlflow", "dashboard"))
"""What is restarted together; each group once the one before answers again."""
PATIENCE_SECONDS = 280.0


class Operator:
    """Kills a dispatcher as soon as both train; then restarts service after service, each when the last is back."""

    def __init__(self, running: RunningStack, client: Client, study: int) -> None:
        self._running, self._client, self._study = running, client, study
        self._left = list(ROLLED)
        self._awaited: tuple[str, ...] = ("dispatcher",)
        self.shared: list[int] = []
        """How many slots each dispatcher had, when both trained."""
        self.seeds = SEEDS

    def round(self) -> bool:
        """One look, and perhaps one deed; False once everything was done."""
        if self._client.study(self._study)["counts"]["states"]["queued"] < QUEUED_LEAST:
            self.seeds += SEEDS
            self._client.extend(self._study, seeds=self.seeds)
        if not self.shared:
            standing = self._client.dispatchers()
            if len(standing) == 2 and all(one["busy"] for one in standing):
                self.shared = [one["slots"] for one in standing]
                os.kill(self._pid("dispatcher"), signal.SIGKILL)
        elif all(self._part(name).state is PartState.READY and self._part(name).restarts for name in self._awaited):
            self._awaited = self._left.pop(0)
            for name in self._awaited:
                psutil.Process(self._pid(name)).terminate()
        return bool(self._left)

    def standing(self) -> str:
        """Where it stands, for whoever finds it stuck."""
        return f"shared {self.shared}, seeds {self.seeds}, awaited {[self._part(name) for name in self._awaited]}"

    def all_ready(self) -> bool:
        """Whether every service answers again."""
        state = StackState.read(self._running.home)
        return state is not None and all(part.state is PartState.READY for part in state.parts)

    def _part(self, name: str) -> PartStatus:
        state = StackState.read(self._running.home)
        assert state is not None
        return next(part for part in state.parts if part.name == name)

    def _pid(self, name: str) -> int:
        process = self._part(name).process
        assert process is not None
        return process.pid


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_a_study_survives_a_killed_dispatcher_and_a_rolling_restart(stack: RunningStack) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    with stack.client() as client:
        study = client.submit(STUDY)["id"]
        operator = Operator(stack, client, study)
        left = True
        while left:
            assert time.monotonic() < deadline, operator.standing()
            with suppress(Unavailable):  # the API is being restarted
                left = operator.round()
            time.sleep(0.3)
        ended = client.wait(study)
    assert operator.shared == [1, 1], "they share the two cores"
    trials = CELLS * operator.seeds
    assert ended["state"] == "finished" and ended["counts"]["states"]["succeeded"] == trials >= 200

    engine = make_engine(embedded(stack.home).url, pool_size=1)
    with engine.connect() as conn:
        rows = conn.execute(
            text(
                "SELECT jobs.attempt, trial_failures, (SELECT count(*) FROM frames WHERE trial_id = jobs.trial_id "
                "AND frames.attempt <> jobs.attempt) AS stale FROM jobs JOIN summaries USING (trial_id) "
                "WHERE jobs.study_id = :study"
            ),
            {"study": study},
        ).all()
    engine.dispose()
    assert len(rows) == trials
    assert any(row.attempt > 1 for row in rows), "nothing was hit"
    assert {(row.trial_failures, row.stale) for row in rows} == {(0, 0)}

    deadline = time.monotonic() + PATIENCE_SECONDS
    while not operator.all_ready():  # for whoever uses the stack next
        assert time.monotonic() < deadline, operator.standing()
        time.sleep(0.3)
