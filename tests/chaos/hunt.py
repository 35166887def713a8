"""A study twice: with the monkey about, and undisturbed; then what the two have to show."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.account import Account, reckon, untold
from chaos.monkey import Monkey
from chaos.victims import Quarry
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from stack_fixture import RunningStack

from actinium.errors import ActiniumError
from db.embedded import embedded
from db.engine import DATABASE_AWAY, make_engine
from db.integrity import Violation, examine

PROJECT = "chaos"
ROUND_SECONDS = 0.1
FROZEN_LEASES = 1.6
"""How long a victim is stopped, in leases: beyond the lease, and the rescue after it."""
READY_SECONDS = 120.0
"""How long the stack may take after the last blow until all of it answers."""

Say = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a hunt ended."""

    events: int
    study: int
    account: Account
    findings: Sequence[Violation]
    """Where the database does not agree with itself."""
    journal: Path
    """Every blow, a JSON document a line."""

    def is_clean(self) -> bool:
        """Whether all is as if nothing had happened."""
        return self.account.is_clean() and not self.findings


@dataclass(kw_only=True)
class Watcher:
    """A client that waits for a study, as a person would."""

    running: RunningStack
    study: int
    done: float = 0.0
    ended: dict[str, Any] | None = None
    error: ActiniumError | None = None

    def run(self) -> None:
        """Until the study has ended."""
        try:
            with self.running.client() as client:
                self.ended = client.wait(self.study, self._hear)
        except ActiniumError as error:
            self.error = error

    def _hear(self, news: dict[str, Any]) -> None:
        states = news["counts"]["states"]
        self.done = states["succeeded"] / max(1, sum(states.values()))


def spec(name: str, shape: dict[str, Any]) -> dict[str, Any]:
    """The study of a hunt under a name."""
    return {"name": name, "project": PROJECT, **shape}


def undisturbed(running: RunningStack, shape: dict[str, Any]) -> int:
    """Run the study in peace; its id."""
    with running.client() as client:
        study = client.submit(spec("undisturbed", shape))
        ended = client.wait(study["id"])
    assert ended["counts"]["states"]["succeeded"] == study["trials"], ended["counts"]
    return int(study["id"])


def hunt(
    running: RunningStack,
    shape: dict[str, Any],
    *,
    mlflow: MlflowClient,
    lease_seconds: float,
    events: int,
    seconds: float,
    seed: int,
    mirror_seconds: float,
    say: Say,
    rare: bool = False,
) -> Result:
    """The study under `events` blows spread over at most `seconds`, then in peace; the account of the first.

    `mirror_seconds`: how long MLflow may take to catch up when nothing trains any more. `rare`: MLflow's database is
    lost and the stack restarted too, and in the end the study is mirrored anew, as a person would ask for.
    """
    quarry = Quarry(home=running.home)
    journal = running.home / "logs" / "chaos.jsonl"
    with running.client() as client:
        study = int(client.submit(spec("chaos", shape))["id"])
    watcher = Watcher(running=running, study=study)
    watching = threading.Thread(target=watcher.run, name="watcher", daemon=True)
    monkey = Monkey(
        quarry=quarry,
        journal=journal,
        seed=seed,
        events=events,
        seconds=seconds,
        freeze_seconds=FROZEN_LEASES * lease_seconds,
        rare=rare,
    )
    began = time.monotonic()
    watching.start()
    try:
        while watching.is_alive() or (monkey.struck < events and watcher.error is None):
            struck = monkey.struck
            monkey.run_once(now=time.monotonic() - began, done=watcher.done)
            if monkey.struck != struck and monkey.struck % 20 == 0:
                say(f"{monkey.struck} events, {watcher.done:.0%} after {time.monotonic() - began:.0f} s")
            time.sleep(ROUND_SECONDS)
    finally:
        monkey.let_go(now=time.monotonic() - began)
    watching.join()
    hunted = time.monotonic() - began
    if watcher.error is not None:
        raise watcher.error
    say(f"the study has ended after {hunted:.0f} s and {monkey.struck} events")
    wait_ready(running)
    if rare:
        with running.client() as client:
            client.mirror(study)
    expected = undisturbed(running, shape)  # while MLflow catches up
    say("the undisturbed study has ended")
    engine = make_engine(embedded(running.home).url, pool_size=1)
    try:
        mirrored = _until(lambda: untold(engine, study) == 0, seconds=mirror_seconds)
        say(f"MLflow has caught up {mirrored:.0f} s later")
        account = reckon(engine, mlflow, study=study, undisturbed=expected, experiment=f"{PROJECT}/chaos")
        findings = examine(engine)
    finally:
        engine.dispose()
    return Result(events=monkey.struck, study=study, account=account, findings=findings, journal=journal)


def wait_ready(running: RunningStack) -> None:
    """Until every part of the stack answers again."""
    _until(lambda: all(service["state"] == "ready" for service in running.services().values()), seconds=READY_SECONDS)


def _until(reached: Callable[[], bool], *, seconds: float) -> float:
    """How long it took until `reached`, which may fail meanwhile; after `seconds` no more is waited."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            if reached():
                break
        except (*DATABASE_AWAY, MlflowException):
            pass
        time.sleep(0.5)
    return time.monotonic() - began
