"""A backup of a stack in the middle of a study, brought into an empty home, goes on as if nothing had happened."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from stack_fixture import RunningStack, stack_environment

from actinium.client import Client
from actinium.home import ClientFile
from services.settings import Settings
from services.stack.backup import backup

STUDY: dict[str, Any] = {
    "name": "backed up",
    "project": "tests",
    "model": {"kind": "cnn"},
    "training": {"learning_rate": 0.02, "batch_size": 32},
    # A pack key for each number of epochs: when the first results are there, the last pack has long to go.
    "factors": {"activation": ["relu", "tanh"], "training.epochs": [1, 2, 40]},
    "seeds": 2,
    "probes": {"filters": {}},
}
TRIALS = 12
PATIENCE_SECONDS = 120.0


def run(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """An `actinium` command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "actinium.cli", *arguments],
        env=stack_environment(home),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture
def home() -> Iterator[Path]:
    """A second home, whose stack is stopped in the end."""
    folder = Path(tempfile.mkdtemp(prefix="act-"))
    yield folder
    run(folder, "down")
    shutil.rmtree(folder, ignore_errors=True)


def finished(client: Client, study: int) -> dict[str, Any]:
    """A study's report at its end, without what tells when and under which number."""
    assert client.wait(study)["counts"]["states"]["succeeded"] == TRIALS
    return {key: value for key, value in client.report(study).items() if key != "revision"}


def close_to(found: Any, wanted: Any, where: str = "report") -> None:
    """Equal, numbers to rounding: the packs of the two stacks need not be as wide."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), where
        for key in wanted:
            close_to(found[key], wanted[key], f"{where}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
            close_to(one, other, f"{where}[{place}]")
    else:
        assert found == (pytest.approx(wanted, rel=1e-4, abs=1e-6) if isinstance(wanted, float) else wanted), where


def runs(url: str, trials: set[str]) -> dict[str, Run]:
    """MLflow's finished runs of the study, by trial, once all are there or patience is at its end."""
    client, found = MlflowClient(url), dict[str, Run]()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while found.keys() != trials and time.monotonic() < deadline:
        time.sleep(0.5)
        try:
            experiment = client.get_experiment_by_name("tests/backed up")
            if experiment is not None:
                these = [experiment.experiment_id]
                listed = client.search_runs(these, "attributes.status = 'FINISHED'", max_results=100)
                found = {run.data.tags["actinium.trial_id"]: run for run in listed}
        except MlflowException:  # it gives way to training, and may be slow
            continue
    return found


@pytest.mark.timeout(900)  # two stacks, of which one is started here
def test_a_study_goes_on_in_an_empty_home(stack: RunningStack, mlflow_url: str, home: Path, tmp_path: Path) -> None:
    file, said = tmp_path / "today.tar", list[str]()

    def back_up(event: dict[str, Any]) -> None:
        states = event["counts"]["states"]
        if states["succeeded"] > 0 and states["leased"] > 0 and not said:
            settings = Settings(home=stack.home, database_url=None, mlflow_url=None)
            backup(settings, str(file), now=datetime.now(UTC), say=said.append)

    with stack.client() as client:
        study = client.submit(STUDY)
        client.wait(study["id"], back_up)
        wanted = finished(client, study["id"])
    assert said and said[0].startswith(f"{file}: ")
    again = run(stack.home, "backup", str(file))
    assert (again.returncode, f"{file} is there already" in again.stderr) == (1, True)
    with tarfile.open(file) as tar:
        assert tar.getnames()[-2:] == ["manifest.json", "manifest.json.sha256"]

    restored = run(home, "restore", str(file))
    assert restored.returncode == 0, restored.stderr
    assert "trials that were in training are queued again" in restored.stdout
    assert said[0].replace(f"{file}: ", "restored: ") in restored.stdout
    assert "rules hold" not in restored.stdout, "it tells of those that do not"

    started = run(home, "up", "--detach")
    address = ClientFile.read(home)
    assert started.returncode == 0 and address is not None and address.mlflow_url is not None, started.stderr
    with Client(url=address.url, token=address.token) as client:
        found = finished(client, study["id"])
        trials = {str(trial["id"]) for trial in client.trials(study["id"]).to_dict("records")}
    close_to(found, wanted)
    of_original, of_restored = runs(mlflow_url, trials), runs(address.mlflow_url, trials)
    assert of_restored.keys() == of_original.keys() == trials
    for trial, one in of_restored.items():
        assert one.data.params == of_original[trial].data.params
        assert one.data.metrics.keys() == of_original[trial].data.metrics.keys()
        artifacts = MlflowClient(address.mlflow_url).list_artifacts(one.info.run_id)
        assert [artifact.path for artifact in artifacts] == ["first_filters.npy"]
