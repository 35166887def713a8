"""No two transactions wait for each other in a ring: each pair of transitions is run against each other, statement by
statement, with pauses that a seed draws; and whoever loses a deadlock all the same is tried again.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from actinium.errors import ActiniumError
from actinium.extension import parse_extension
from actinium.frame import Frame, Layout, TrialSummary
from actinium.job import Attempt, FailureClass
from actinium.study import Design
from db import deletion, frames, mirror, models, outbox, queue, studies
from db.engine import retry_deadlocks
from db.extension import extend

Act = Callable[[Connection], object]
LAYOUT = Layout(series=("validation_loss",))
PAUSE = 0.004
"""The longest pause before a statement: PostgreSQL looks for rings after DEADLOCK_TIMEOUT."""
DEADLOCK_TIMEOUT = "20ms"
ROUNDS = 1


class Life:
    """A study of eight trials that are all in training, and everything that may happen to it at once."""

    def __init__(self, engine: Engine, design: Design, summary: TrialSummary, now: datetime) -> None:
        self.engine, self.design, self.summary, self.now = engine, design, summary, now
        with engine.begin() as conn:
            self.study = studies.create(conn, design, owner="ada", now=now)
            held = queue.lease(conn, now=now, holder="d", lease_seconds=30, width=64)
            self.attempts = [Attempt(trial_id=lease.trial_id, attempt=lease.attempt) for lease in held]
            experiment = {"study_id": self.study, "experiment_id": "1"}
            conn.execute(models.mirrored_studies.insert(), [experiment])
            mirrored = [{"trial_id": one.trial_id, "run_id": "r", "attempt": 1, "step": -1} for one in self.attempts]
            conn.execute(models.mirrored_trials.insert(), mirrored)
            outbox.announce(conn, kind="trial", subjects=[one.trial_id for one in self.attempts])
            outbox.announce(conn, kind="study", subjects=[self.study])

    def transitions(self) -> dict[str, Act]:
        """What programs and people do, each in its transaction, to half of the trials or all of them."""
        early, late = self.attempts[:5], self.attempts[3:]
        return {
            "save": lambda conn: self.save(conn, early[::-1], late[-1:]),
            "save others": lambda conn: self.save(conn, late[::-1], early[:1]),
            "end without frames": lambda conn: self.end(conn, late[:1], early[:2]),
            "heartbeat": lambda conn: queue.heartbeat(conn, now=self.now, attempts=self.attempts, lease_seconds=9),
            "rescue": lambda conn: queue.rescue(conn, now=self.now + timedelta(hours=1)),
            "release": lambda conn: queue.release(conn, now=self.now, attempts=self.attempts[::-1]),
            "checkpoint": lambda conn: queue.checkpointed(conn, attempts=self.attempts[::-1], step=3, name="c"),
            "cancel": lambda conn: studies.cancel(conn, self.study, self.now, who="ada"),
            "pause": lambda conn: studies.pause(conn, self.study, self.now, who="ada"),
            "retry": lambda conn: studies.retry(conn, self.study, self.now, who="ada"),
            "patch": lambda conn: studies.patch(conn, self.study, now=self.now, name=f"n{random.random()}"[:20]),
            "extend": lambda conn: extend(
                conn, self.study, parse_extension({"seeds": 9}), owner="ada", now=self.now, max_trials=999
            ),
            "lease": lambda conn: queue.lease(conn, now=self.now, holder="e", lease_seconds=30, width=9),
            "mirror": self.mirror,
            "mirror anew": lambda conn: mirror.mirror_anew(conn, self.study, whole=True),
            "delete": lambda conn: deletion.delete_study(conn, self.study, who="ada", now=self.now),
        }

    def save(self, conn: Connection, written: list[Attempt], failed: list[Attempt]) -> None:
        """As a dispatcher's recorder does: frames, results, failures."""
        left = queue.Aftermath()
        values = np.zeros(1, np.float32)
        news = [Frame(trial_id=a.trial_id, attempt=a.attempt, step=0, time=0.0, values=values) for a in written]
        frames.write(conn, LAYOUT, news, ending=[*written[:2], *failed])
        queue.complete_many(
            conn, now=self.now, results=[(attempt, self.summary) for attempt in written[:2]], aftermath=left
        )
        self.fail(conn, failed, left)
        left.settle(conn, now=self.now)

    def end(self, conn: Connection, finished: list[Attempt], failed: list[Attempt]) -> None:
        left = queue.Aftermath()
        queue.hold(conn, [*finished, *failed])
        queue.complete_many(conn, now=self.now, results=[(one, self.summary) for one in finished], aftermath=left)
        self.fail(conn, failed, left)
        left.settle(conn, now=self.now)

    def fail(self, conn: Connection, failed: list[Attempt], left: queue.Aftermath) -> None:
        klass = FailureClass.TRIAL
        queue.fail(conn, now=self.now, attempts=failed, failure_class=klass, error="no", final=True, aftermath=left)

    def mirror(self, conn: Connection) -> None:
        """As the sink does between two of its transactions: progress of one trial, and what it puts off."""
        news = outbox.pending(conn, now=self.now, limit=9)
        outbox.defer(conn, now=self.now, news=news, seconds=0.0)


@contextmanager
def paused(engine: Engine, seed: int) -> Iterator[threading.local]:
    """Before each statement of a thread that is `racing` a pause that the seed draws, and rings are looked for soon."""
    draws, lock, here = random.Random(seed), threading.Lock(), threading.local()

    def pause(conn: Any, cursor: Any, *given: Any) -> None:
        if getattr(here, "racing", False):
            with lock:
                seconds = draws.random() * PAUSE
            time.sleep(seconds)

    def soon(driver: Any, *given: Any) -> None:
        driver.execute(f"SET deadlock_timeout = '{DEADLOCK_TIMEOUT}'")

    event.listen(engine, "before_cursor_execute", pause)
    event.listen(engine, "checkout", soon)
    try:
        yield here
    finally:
        event.remove(engine, "before_cursor_execute", pause)
        event.remove(engine, "checkout", soon)


def outcome(engine: Engine, act: Act) -> str:
    """What became of a transaction; what the house refuses (nothing open, not found) is an answer like another."""
    try:
        with engine.begin() as conn:
            act(conn)
    except ActiniumError:
        return "refused"
    except DBAPIError as error:
        return type(error.orig).__name__
    return "done"


def test_no_pair_of_transitions_meets_in_a_ring(
    engine: Engine, design: Callable[..., Design], summary: Callable[..., TrialSummary], now: datetime
) -> None:
    """Sixteen of them, each against each and itself."""
    found: dict[str, int] = {}
    with paused(engine, seed=7) as here, ThreadPoolExecutor(2) as pool:

        def race(act: Act) -> str:
            here.racing = True
            return outcome(engine, act)

        names = list(Life(engine, design(name="first", seeds=4), summary(), now).transitions())
        for number, pair in enumerate([*combinations_with_replacement(names, 2)] * ROUNDS):
            close_all(engine)
            life = Life(engine, design(name=f"s{number}", seeds=4), summary(), now)
            for ended in pool.map(race, [life.transitions()[name] for name in pair]):
                if ended not in ("done", "refused"):
                    key = f"{pair[0]} against {pair[1]}: {ended}"
                    found[key] = found.get(key, 0) + 1
    assert found == {}


def close_all(engine: Engine) -> None:
    """No transition finds anything of the lives before."""
    with engine.begin() as conn:
        conn.execute(text("UPDATE studies SET cancelled_at = now(), paused_at = NULL WHERE cancelled_at IS NULL"))
        conn.execute(text("DELETE FROM outbox"))
        closed = "state = 'cancelled', lease_expires_at = NULL, checkpoint = ''"
        conn.execute(text(f"UPDATE jobs SET {closed} WHERE state IN ('queued', 'leased')"))


def test_whoever_loses_a_deadlock_is_tried_again(engine: Engine, now: datetime) -> None:
    """Two transactions that lock two rows in both orders, which no transaction of the house does."""
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE ring (id int PRIMARY KEY, n int NOT NULL)"))
        conn.execute(text("INSERT INTO ring VALUES (1, 0), (2, 0)"))
    meeting, tries = threading.Barrier(2), [0, 0]

    def locking(first: int, second: int) -> None:
        tries[first - 1] += 1
        with engine.begin() as conn:
            conn.execute(text(f"SET LOCAL deadlock_timeout = '{DEADLOCK_TIMEOUT}'"))
            conn.execute(text("UPDATE ring SET n = n + 1 WHERE id = :id"), {"id": first})
            if tries[first - 1] == 1:
                meeting.wait(30)
            conn.execute(text("UPDATE ring SET n = n + 1 WHERE id = :id"), {"id": second})

    again = retry_deadlocks(locking)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda order: again(*order), [(1, 2), (2, 1)]))
    assert sorted(tries) == [1, 2], "one of them lost, and was tried again"
    with engine.begin() as conn:
        assert [row.n for row in conn.execute(text("SELECT n FROM ring ORDER BY id"))] == [2, 2]


def test_other_errors_are_not_tried_again(engine: Engine) -> None:
    tries = []

    @retry_deadlocks
    def failing() -> None:
        tries.append(1)
        with engine.begin() as conn:
            conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(OperationalError):
        failing()
    assert tries == [1]
