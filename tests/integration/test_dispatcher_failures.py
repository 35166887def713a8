"""Failures as they really come: exceptions in a real Ray actor, through the dispatcher, into a real database."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import ray
from sqlalchemy import Engine, text

from actinium.definitions import LevelDefinition
from actinium.job import StudyId, StudyState
from actinium.levels import ACTIVATIONS
from actinium.study import expand, parse_study
from db import studies
from services.dispatcher import nodes, ray_fleet
from services.dispatcher.dispatcher import Dispatcher
from services.dispatcher.ledger import Ledger
from services.dispatcher.ray_fleet import RayFleet
from services.dispatcher.widths import planned_width
from workers.actor import PackTrainer

PATIENCE = 400
"""Rounds of a tenth of a second at most."""
SMALL: dict[str, Any] = {
    "name": "small",
    "task": {"train_examples": 64},
    "model": {"kind": "mlp", "depth": 1, "width": 4},
    "training": {"epochs": 1, "batch_size": 32},
    "probes": {"schedule": {"points": 2}},
}
ADDED = {
    name: LevelDefinition(name=name, equation="z", derivative="1", citation="nobody", parameters={}, formula="z")
    for name in ("unlucky", "hungry", "starving", "deadly")
}
"""Levels that no file names: one raises; one asks for memory that is not there as soon as three lanes use it; one
always does; and one kills its process as a fault in native code does.
"""


def poisoned() -> Any:
    """The actor's class in a process where the levels above are in the tables."""
    added = ADDED

    class Poisoned(PackTrainer):
        def __init__(self, data_root: str | None = None, **saving: Any) -> None:
            import torch

            from actinium.levels import ACTIVATIONS
            from workers.activations import ACTIVATION_FUNCTIONS, ActivationFunction

            def unlucky(z: Any, level: Any, learned: Any) -> Any:
                raise ValueError("no such luck")

            def hungry(z: Any, level: Any, learned: Any) -> Any:
                if z.dim() == 3 and z.shape[0] > 2:
                    torch.empty(2**50)
                return z.clone()

            def starving(z: Any, level: Any, learned: Any) -> Any:
                torch.empty(2**50)

            def deadly(z: Any, level: Any, learned: Any) -> Any:
                os.kill(os.getpid(), signal.SIGSEGV)

            super().__init__(data_root, **saving)
            ACTIVATIONS.update(added)
            for name, forward in (
                ("unlucky", unlucky),
                ("hungry", hungry),
                ("starving", starving),
                ("deadly", deadly),
            ):
                ACTIVATION_FUNCTIONS[name] = ActivationFunction(
                    forward=forward, derivative=lambda z, level, learned: torch.ones_like(z), steepest=lambda *_: 1.0
                )

    return ray.remote(Poisoned)


@pytest.fixture
def dispatcher(cluster: None, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatcher]:
    """A dispatcher with one slot, whose actors know the levels that were added; there are no datasets."""
    for name, definition in ADDED.items():
        monkeypatch.setitem(ACTIVATIONS, name, definition)
    monkeypatch.setattr(ray_fleet, "PackActor", poisoned())
    fleet = RayFleet(data_root=str(tmp_path / "nowhere"), most=1)
    yield Dispatcher(
        engine=engine, fleet=fleet, ledger=Ledger(), width=planned_width, holder="here", lease_seconds=300.0
    )
    for slot in fleet._slots.values():
        ray.kill(slot.actor)


@pytest.fixture
def finish(engine: Engine, dispatcher: Dispatcher) -> Callable[..., StudyId]:
    """Submits a study and dispatches until it has ended."""

    def run(**fields: Any) -> StudyId:
        design = expand(parse_study({**SMALL, **fields}))
        with engine.begin() as conn:
            study = studies.create(conn, design, owner="ann", now=datetime.now(UTC))
        for _ in range(2 * PATIENCE):
            dispatcher.run_once(now=datetime.now(UTC), wait=0.1)
            with engine.begin() as conn:
                if studies.get(conn, study).state is StudyState.FINISHED:
                    return study
        raise AssertionError(f"study {study} does not end")

    return run


def rows(engine: Engine, query: str) -> list[Any]:
    """What a query gives."""
    with engine.begin() as conn:
        return list(conn.execute(text(query)).all())


JOBS = """
    SELECT config -> 'activation' ->> 'name' AS activation, jobs.* FROM jobs
    JOIN trials ON trials.id = jobs.trial_id
    JOIN cells ON cells.study_id = trials.study_id AND cells.index = trials.cell_index
    ORDER BY trials.id
"""


def test_a_lane_that_raises_fails_alone_with_its_traceback(finish: Callable[..., StudyId], engine: Engine) -> None:
    finish(factors={"activation": ["relu", "tanh", "unlucky"]}, seeds=3)
    jobs = rows(engine, JOBS)
    bad = [job for job in jobs if job.activation == "unlucky"]
    good = [job for job in jobs if job.activation != "unlucky"]
    assert {(job.state, job.trial_failures, job.width_limit) for job in bad} == {("failed", 2, 1)}
    assert all("Traceback" in job.error and job.error.endswith("ValueError: no such luck\n") for job in bad)
    assert {(job.state, job.trial_failures, job.infrastructure_failures) for job in good} == {("succeeded", 0, 0)}
    assert rows(engine, "SELECT DISTINCT outcome IS NOT NULL FROM summaries") == [(True,)]
    causes = rows(engine, "SELECT DISTINCT cause, reason FROM trial_events WHERE cause = 'trial_failure'")
    assert causes == [("trial_failure", "ValueError: no such luck")]


def test_memory_that_is_not_there_halves_the_pack_and_is_remembered(
    finish: Callable[..., StudyId], engine: Engine
) -> None:
    finish(factors={"activation": ["hungry"]}, seeds=7)
    assert rows(engine, "SELECT DISTINCT state, trial_failures, infrastructure_failures FROM jobs") == [
        ("succeeded", 0, 0)
    ]
    assert rows(engine, "SELECT DISTINCT cause FROM trial_events WHERE cause LIKE '%memory%'") == [("out_of_memory",)]
    lacking = rows(engine, "SELECT width FROM pack_widths WHERE out_of_memory_at IS NOT NULL ORDER BY width")
    assert [width for (width,) in lacking] == [4, 7]
    finish(name="next", factors={"activation": ["hungry"]}, seeds=6)
    assert rows(engine, "SELECT count(*) FROM trial_events WHERE cause = 'out_of_memory'") == [(7 + 4,)]


def test_a_cell_that_ran_out_of_memory_alone_twice_is_stopped_and_the_others_finish(
    finish: Callable[..., StudyId], engine: Engine
) -> None:
    finish(factors={"activation": ["starving", "relu"]}, seeds=6)
    jobs = rows(engine, JOBS)
    stopped = [job for job in jobs if job.activation == "starving"]
    assert {job.state for job in jobs if job.activation == "relu"} == {"succeeded"}
    assert {job.state for job in stopped} == {"failed"} and sum(job.memory_failures for job in stopped) == 2
    for part in ("stopped: 2 times a trial of this cell ran out of memory alone", "MiB for the weights", "retry"):
        assert all(part in job.error for job in stopped)


def test_a_trial_that_kills_its_process_fails_alone_after_three_lives(
    finish: Callable[..., StudyId], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.queue.BACKOFF_FIRST", 0.0)
    finish(factors={"activation": ["relu", "tanh", "deadly"]}, seeds=2)
    jobs = rows(engine, JOBS)
    bad = [job for job in jobs if job.activation == "deadly"]
    assert {(job.state, job.crashes, job.attempt) for job in bad} == {("failed", 3, 3)}
    assert all("the process that trained the pack died" in job.error for job in bad)
    assert {job.state for job in jobs if job.activation != "deadly"} == {"succeeded"}
    alone = "SELECT count(*) FROM trial_events WHERE state = 'failed' AND cause = 'infrastructure_failure'"
    assert rows(engine, alone) == [(2,)]


def test_a_dataset_that_is_not_there_fails_its_trials_at_once_and_says_what_to_do(
    finish: Callable[..., StudyId], engine: Engine, tmp_path: Path
) -> None:
    finish(task={"dataset": "mnist", "train_examples": 64}, seeds=5)
    jobs = rows(engine, JOBS)
    assert {(job.state, job.attempt, job.failure_class) for job in jobs} == {("failed", 1, "trial")}
    (said,) = {job.error for job in jobs}
    for part in ("actinium data fetch mnist", "ACTINIUM_DATA", str(tmp_path / "nowhere"), "no such folder"):
        assert part in said
    assert rows(engine, "SELECT DISTINCT reason FROM trial_events WHERE cause = 'trial_failure'") == [(said,)]


@pytest.fixture
def bad_node(cluster: None) -> Iterator[str]:
    """A second node of the cluster, in whose processes BAD_NODE is set; its id."""
    before = {node["NodeID"] for node in ray.nodes()}
    command = ["-m", "ray.scripts.scripts", "start", f"--address={ray.get_runtime_context().gcs_address}", "--block"]
    options = ["--num-cpus=1", "--disable-usage-stats", "--object-store-memory=80000000"]
    process = subprocess.Popen(
        [sys.executable, *command, *options],
        env={**os.environ, "BAD_NODE": "1", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"},  # Ray's leave for two nodes
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        joined: set[str] = set()
        while not joined and process.poll() is None:
            joined = {node["NodeID"] for node in ray.nodes()} - before
        (node,) = joined
        yield node
    finally:
        process.terminate()
        process.wait(30)


def test_a_node_that_loses_its_actors_gets_no_more_work(
    bad_node: str, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying(PackTrainer):
        def train(self, documents: Any, dataset: Any = None, checkpoint: Any = None) -> Any:
            if "BAD_NODE" in os.environ:
                os._exit(1)
            yield from super().train(documents, dataset, checkpoint)

    monkeypatch.setattr(ray_fleet, "PackActor", ray.remote(Dying))
    fleet = RayFleet(data_root=str(tmp_path), most=2)
    dispatcher = Dispatcher(
        engine=engine, fleet=fleet, ledger=Ledger(), width=lambda *_: 1, holder="here", lease_seconds=300.0
    )
    monkeypatch.setattr(nodes, "FAILURES", 1)  # a second actor there would take seconds to become warm
    try:
        for _ in range(PATIENCE):
            dispatcher.run_once(now=datetime.now(UTC), wait=0.1)
            if len(fleet.idle()) == 2:
                break
        assert fleet.size() == 2
        with engine.begin() as conn:
            study = studies.create(
                conn, expand(parse_study({**SMALL, "seeds": 12})), owner="ann", now=datetime.now(UTC)
            )
        for _ in range(PATIENCE):
            dispatcher.run_once(now=datetime.now(UTC), wait=0.1)
            with engine.begin() as conn:
                if studies.get(conn, study).state is StudyState.FINISHED:
                    break
        assert list(fleet.avoided()) == [bad_node] and fleet.size() == 1
        assert rows(engine, "SELECT DISTINCT state FROM jobs") == [("succeeded",)]
        assert rows(engine, "SELECT count(*) FROM trial_events WHERE cause = 'infrastructure_failure'") == [(1,)]
    finally:
        for slot in fleet._slots.values():
            ray.kill(slot.actor)
