"""What the queue costs a trial: lease and complete, with a thousand jobs queued and with a million.

python benchmarks/job_queue.py [REPETITIONS]. Two databases of one durable server, as `actinium up` starts it: one has a
study of a thousand trials, the other ten of a hundred thousand. Packs of 16 take turns between them: leased, heard of,
given their frames (not timed), completed with a summary of 54 metrics; each commit is waited for. `lease + complete` is
timed over the pack and told per trial.
"""

import os
import statistics
import sys
from contextlib import ExitStack

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from ground.crowd import copies
from ground.server import ground, migrated, say_load, seconds, settle
from ground.studies import BATCH_SIZES, MORE_LEARNING_RATES, NOW, OF_NETWORKS, core, series
from sqlalchemy import Engine

from actinium.frame import Frame, Layout, Outcome, TrialSummary
from actinium.job import Lease
from actinium.study import expand, parse_study
from db import frames, queue, studies

WIDTH = 16
LAYOUT = Layout(series=tuple(series(3)))
METRICS = (*LAYOUT.series, *OF_NETWORKS[-4:])
STEPS = ("lease", "heartbeat", "complete", "rescue")


def arrived(pack: list[Lease]) -> list[Frame]:
    """24 frames of each trial."""
    values = np.random.default_rng(0).random((24, len(LAYOUT.series)), dtype=np.float32)
    return [
        Frame(trial_id=one.trial_id, attempt=one.attempt, step=10 * step, time=float(step), values=values[step])
        for one in pack
        for step in range(24)
    ]


def summary() -> TrialSummary:
    """A summary with the metrics of a network of three hidden layers."""
    rng = np.random.default_rng(0)
    return TrialSummary(
        outcome=Outcome.CONVERGED,
        steps=230,
        seconds=1.5,
        probe_seconds=0.1,
        metrics={name: float(rng.random()) for name in METRICS},
        probe_examples=360,
        parameters=43_658,
        pack_width=WIDTH,
        device="cpu",
    )


def once(engine: Engine) -> dict[str, float]:
    """One pack's life: seconds of each step, commits included."""
    taken: dict[str, float] = {}
    pack: list[Lease] = []
    result = summary()

    def lease() -> None:
        with engine.begin() as connection:
            pack.extend(queue.lease(connection, now=NOW, holder="d", lease_seconds=30, width=WIDTH))

    def heartbeat() -> None:
        with engine.begin() as connection:
            queue.heartbeat(connection, now=NOW, attempts=pack, lease_seconds=30)

    def complete() -> None:
        with engine.begin() as connection:
            queue.complete_many(connection, now=NOW, results=[(one, result) for one in pack])

    def rescue() -> None:
        with engine.begin() as connection:
            queue.rescue(connection, now=NOW)

    taken["lease"] = seconds(lease)
    assert len(pack) == WIDTH
    with engine.begin() as connection:
        frames.write(connection, LAYOUT, arrived(pack))
    for name, step in (("heartbeat", heartbeat), ("complete", complete), ("rescue", rescue)):
        taken[name] = seconds(step)
    return taken


def main(repetitions: int) -> None:
    """One line: milliseconds per trial at both depths, and their ratio."""
    few = expand(parse_study({"name": "few", "factors": {"activation": ["relu", "elu", "tanh", "gelu"]}, "seeds": 250}))
    many = core("many", seeds=11, training__learning_rate=MORE_LEARNING_RATES, training__batch_size=BATCH_SIZES)
    times: dict[str, list[dict[str, float]]] = {"1k": [], "1m": []}
    with ground() as server, ExitStack() as opened:
        engines = {depth: opened.enter_context(migrated(server, f"queue_{depth}")) for depth in times}
        with engines["1k"].begin() as connection:
            studies.create(connection, few, owner="ada", now=NOW)

        def create() -> None:
            with engines["1m"].begin() as connection:
                first.append(studies.create(connection, many, owner="ada", now=NOW))

        first: list[studies.StudyId] = []
        creating = seconds(create)
        print(f"a study of {len(many.cells) * 11} trials was written in {creating:.2f} s")
        copies(engines["1m"], first[0], count=9, now=NOW)
        for engine in engines.values():
            settle(engine)
        refilled = len(few.cells) * 250 // WIDTH - 8
        for number in range(repetitions):
            if number % refilled == refilled - 1:
                again = few.spec.model_copy(update={"name": f"few-{number}"})
                with engines["1k"].begin() as connection:
                    studies.create(connection, expand(again), owner="ada", now=NOW)
            for depth, engine in engines.items():
                times[depth].append(once(engine))
    cost = {
        depth: {name: 1e3 / WIDTH * statistics.median(one[name] for one in found) for name in STEPS}
        for depth, found in times.items()
    }
    for name in STEPS:
        print(
            f"{name}: {cost['1k'][name]:.3f} ms a trial with a thousand queued, {cost['1m'][name]:.3f} with a million"
        )
    both = {
        depth: 1e3 / WIDTH * statistics.median(one["lease"] + one["complete"] for one in found)
        for depth, found in times.items()
    }
    ratio = statistics.median(
        (deep["lease"] + deep["complete"]) / (shallow["lease"] + shallow["complete"])
        for shallow, deep in zip(times["1k"], times["1m"], strict=True)
    )
    say_load()
    print(
        f"bench queue ms_per_trial_1k={both['1k']:.3f} ms_per_trial_1m={both['1m']:.3f} ratio={ratio:.2f} "
        f"create_100k={creating:.2f}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
