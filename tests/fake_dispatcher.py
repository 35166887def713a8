"""A dispatcher that trains nothing: it leases packs, writes made-up frames, and completes or fails them."""

from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Engine

from actinium.frame import Frame, Layout, Outcome, TrialSummary
from actinium.job import FailureClass, Lease
from db import frames, queue

LAYOUT = Layout(series=("train_loss", "validation_loss", "dead_unit_rate"))


def train(engine: Engine, *, packs: int = 1000, complete: bool = True, fail: str | None = None) -> list[Lease]:
    """Leases packs, writes three frames a trial, and completes or fails them. A trial's validation loss is 1, 0.5, 0.1
    plus a hundredth of its seed.
    """
    taken: list[Lease] = []
    now = datetime.now(UTC)  # the API's clock: what was submitted is due at once
    for _ in range(packs):
        with engine.begin() as connection:
            pack = queue.lease(connection, now=now, holder="fake", lease_seconds=60, width=64)
            if not pack:
                break
            taken += pack
            frames.write(connection, LAYOUT, [frame for lease in pack for frame in _frames(lease)])
            if fail is not None:
                for lease in pack:
                    queue.fail(connection, now=now, attempts=[lease], failure_class=FailureClass.TRIAL, error=fail)
            elif complete:
                queue.complete_many(connection, now=now, results=[(lease, _summary(lease)) for lease in pack])
    return taken


def _frames(lease: Lease) -> list[Frame]:
    last = lease.config.steps()
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
        for position, (step, row) in enumerate(zip((0, last // 2, last), rows, strict=True))
    ]


def _summary(lease: Lease) -> TrialSummary:
    metrics = {
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
