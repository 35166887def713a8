"""A seeded monkey strikes everything that works on a study: nothing is lost, doubled, or other than in peace."""

import json
import math

import pytest
from chaos.account import runs_by_trial
from chaos.hunt import hunt
from mlflow.tracking import MlflowClient
from sqlalchemy import text
from stack_fixture import LEASE_SECONDS, RunningStack

from db.embedded import embedded
from db.engine import make_engine

TRIALS = 50
EVENTS = 20
SEED = 5
SECONDS = 60.0
"""At which the last event comes at the latest."""
SHAPE = {
    "model": {"kind": "mlp", "depth": 2},
    "training": {"learning_rate": 0.05, "batch_size": 16},
    "factors": {
        "activation": ["relu", "tanh"],
        "model.width": [16, 20, 24, 28, 32],
        "training.epochs": [3, 4, 5, 6, 7],
    },
    "seeds": 1,
    "probes": {"schedule": {"points": 5}},
}
RECORD = """
    SELECT trials.id, trials.digest, jobs.attempt, summaries.outcome
    FROM trials
    JOIN jobs ON jobs.trial_id = trials.id
    JOIN summaries ON summaries.trial_id = trials.id
    WHERE trials.study_id = :study
"""


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings(  # connections to a killed MLflow, which its client does not close
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_study_survives_blows_at_everything_that_works_on_it(stack: RunningStack, mlflow_url: str) -> None:
    mlflow = MlflowClient(mlflow_url)
    result = hunt(
        stack,
        SHAPE,
        mlflow=mlflow,
        lease_seconds=LEASE_SECONDS,
        events=EVENTS,
        seconds=SECONDS,
        seed=SEED,
        mirror_seconds=240.0,
        say=print,
    )
    assert result.is_clean(), result
    assert result.account.trials == TRIALS and result.account.retried > 0
    assert result.events == EVENTS

    notes = [json.loads(line) for line in result.journal.read_text().splitlines()]
    assert [note["event"] for note in notes if "event" in note] == list(range(1, EVENTS + 1))
    struck = {note["victim"] for note in notes if "event" in note}
    assert {"worker", "dispatcher", "sink", "mlflow", "api", "postgres"} <= struck

    engine = make_engine(embedded(stack.home).url, pool_size=1)
    with engine.connect() as conn:
        rows = conn.execute(text(RECORD), {"study": result.study}).all()
    engine.dispose()
    shown = runs_by_trial(mlflow, "chaos/chaos")
    assert len(rows) == len(shown) == TRIALS
    for row in rows:
        (run,) = shown[row.id]
        assert run.data.tags["actinium.study_id"] == str(result.study)
        assert run.data.tags["actinium.digest"] == row.digest
        assert run.info.run_name == f"{run.data.params['activation']}·none·he·s{run.data.params['seed']}"
        assert run.data.params["training.batch_size"] == "16"
    history = mlflow.get_metric_history(run.info.run_id, "evaluation_loss")
    with stack.client() as client:
        told = client.frames(int(run.data.tags["actinium.trial_id"]))
    points = zip(told["step"], told["evaluation_loss"], strict=True)
    due = [(step, value) for step, value in points if not math.isnan(value)]
    assert [(point.step, point.value) for point in sorted(history, key=lambda point: point.step)] == due
    assert len(due) > 1

    services = stack.services()
    assert {name: service["state"] for name, service in services.items()} == dict.fromkeys(services, "ready")
