"""kill -9 of a Ray worker, the dispatcher, the sink and MLflow in the middle of a study: nothing is lost or doubled."""

import os
import signal
import time
from collections import Counter
from typing import Any

import psutil
import pytest
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy import text
from stack_fixture import RunningStack

from actinium.trial import TrialConfig
from db.embedded import embedded
from db.engine import make_engine

STUDY: dict[str, Any] = {
    "name": "chaos",
    "project": "tests",
    "model": {"kind": "mlp", "depth": 3, "width": 64},
    "training": {"learning_rate": 0.02, "batch_size": 8},
    # A pack key for each number of epochs: at least five packs, so that the kills fall between results.
    "factors": {"activation": ["relu", "tanh"], "training.epochs": [4, 5, 6, 7, 8]},
    "seeds": 4,
}
TRIALS = 40
PATIENCE_SECONDS = 90.0
RECORD = """
    SELECT trials.id, trials.digest, jobs.attempt, summaries.outcome, summary -> 'metrics' AS metrics,
        (SELECT count(*) FROM frames WHERE trial_id = trials.id) AS frames,
        (SELECT count(*) FROM frames WHERE trial_id = trials.id AND attempt = jobs.attempt) AS of_attempt
    FROM trials
    JOIN jobs ON jobs.trial_id = trials.id
    LEFT JOIN summaries ON summaries.trial_id = trials.id AND summaries.attempt = jobs.attempt
    WHERE trials.study_id = :study
"""


class Monkey:
    """Kills one more victim with each piece of news, as long as something is in training."""

    def __init__(self, running: RunningStack) -> None:
        self._running = running
        # The worker first, while there surely is one. What a dead dispatcher held is due again only after a lease's
        # length: the study outlasts the rest.
        self._plan = ["ray", "dispatcher", "sink", "mlflow"]
        self.killed: list[str] = []

    def __call__(self, event: dict[str, Any]) -> None:
        """Hear of progress."""
        if self._plan and event["counts"]["states"]["leased"] > 0:
            name = self._plan.pop(0)
            for pid in self._victims(name):
                os.kill(pid, signal.SIGKILL)
            self.killed.append(name)

    def _victims(self, name: str) -> list[int]:
        pid: int = self._running.services()[name]["pid"]
        offspring = psutil.Process(pid).children(recursive=True)
        if name == "ray":
            return [next(child.pid for child in offspring if "PackTrainer" in child.cmdline()[0])]
        return [pid, *(child.pid for child in offspring)]


def finished_runs(client: MlflowClient, experiment: str) -> list[Run]:
    """The runs of an experiment, once all that MLflow was told of are FINISHED or patience is at its end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            found = client.get_experiment_by_name(experiment)
            runs = list(client.search_runs([found.experiment_id], max_results=1000)) if found else []
        except MlflowException:  # it is being started again
            runs = []
        done = [run for run in runs if run.info.status == "FINISHED"]
        if (len(done) >= TRIALS and len(done) == len(runs)) or time.monotonic() > deadline:
            assert Counter(run.info.status for run in runs) == {"FINISHED": TRIALS}
            return done
        time.sleep(0.5)


@pytest.mark.chaos
@pytest.mark.filterwarnings(  # connections to a killed MLflow, which its client does not close
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_study_survives_kills_of_everything_that_works_on_it(stack: RunningStack, mlflow_url: str) -> None:
    monkey = Monkey(stack)
    with stack.client() as client:
        study = client.submit(STUDY)
        assert study["trials"] == TRIALS
        ended = client.wait(study["id"], monkey)

    assert monkey.killed == ["ray", "dispatcher", "sink", "mlflow"]
    assert ended["state"] == "finished"
    assert ended["counts"]["states"]["succeeded"] == TRIALS

    engine = make_engine(embedded(stack.home).url, pool_size=1)
    with engine.connect() as conn:
        rows = conn.execute(text(RECORD), {"study": study["id"]}).all()
    engine.dispose()
    assert len(rows) == len({row.id for row in rows}) == TRIALS
    assert all(row.outcome is not None for row in rows), "a trial has no summary of its last attempt"
    assert any(row.attempt > 1 for row in rows), "the kills hit nothing"
    points = len(TrialConfig.model_validate({"training": {"batch_size": 8, "epochs": 4}}).probe_steps())
    assert {(row.frames, row.of_attempt) for row in rows} == {(points, points)}

    mlflow = MlflowClient(mlflow_url)
    runs = finished_runs(mlflow, "tests/chaos")
    by_trial = {int(run.data.tags["actinium.trial_id"]): run for run in runs}
    assert len(by_trial) == TRIALS
    for row in rows:
        run = by_trial[row.id]
        assert run.data.tags["actinium.study_id"] == str(study["id"])
        assert run.data.tags["actinium.attempt"] == str(row.attempt)
        assert run.data.tags["actinium.digest"] == row.digest
        assert run.data.tags["actinium.outcome"] == row.outcome
        assert run.info.run_name == f"{run.data.params['activation']}·none·he·s{run.data.params['seed']}"
        assert run.data.params["training.batch_size"] == "8"
        assert {name: run.data.metrics[name] for name in row.metrics} == pytest.approx(row.metrics)
    history = mlflow.get_metric_history(runs[0].info.run_id, "validation_loss")
    assert len(history) == len({point.step for point in history}) == points

    services = stack.services()
    assert {name: service["state"] for name, service in services.items()} == dict.fromkeys(services, "ready")
    assert all(services[name]["restarts"] >= 1 for name in ("sink", "dispatcher", "mlflow"))
