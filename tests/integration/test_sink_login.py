"""MLflow behind a login: nobody gets in without it, and the sink's client does with it."""

import os
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.sink import login
from services.stack.ports import any_free

PASSWORD = "p@ss/w#rd:100%'"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's server as `mlflow server --app-name actinium` starts it."""
    folder, port = tmp_path_factory.mktemp("mlflow"), any_free()
    options = ["--host", "127.0.0.1", "--port", str(port), "--factory", "--log-level", "warning"]
    told = {
        "ACTINIUM_MLFLOW_PASSWORD": PASSWORD,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/store.db",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "ACTINIUM_"))}
    command = [sys.executable, "-m", "uvicorn", "services.sink.login:create_app", *options]
    with subprocess.Popen(command, env=kept | told, cwd=Path(login.__file__).parents[2]) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 120.0
            while not healthy(address):
                assert server.poll() is None and time.monotonic() < deadline
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()


def healthy(address: str) -> bool:
    """Whether it answers, without a secret."""
    try:
        return httpx.get(f"{address}/health", timeout=5.0).status_code == 200
    except httpx.HTTPError:
        return False


EXPERIMENTS = "/api/2.0/mlflow/experiments/search?max_results=5"


@pytest.mark.parametrize(
    "path", ["/", EXPERIMENTS, "/api/2.0/mlflow/runs/delete", "/ajax-api/2.0/mlflow/x", "//health/"]
)
@pytest.mark.parametrize(
    "said",
    [None, "Basic", "Basic !!", "Bearer x", "Basic " + b64encode(b"actinium:wrong").decode(), "Basic YWN0aW5pdW06"],
)
def test_nobody_gets_in_without_the_password(url: str, path: str, said: str | None) -> None:
    headers = {} if said is None else {"Authorization": said}
    answer = httpx.get(url + path, headers=headers)
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_who_says_it_gets_in(url: str) -> None:
    answer = httpx.get(url + EXPERIMENTS, auth=("actinium", PASSWORD), timeout=120.0)  # it makes its store now
    assert answer.status_code == 200 and answer.json()["experiments"][0]["name"] == "Default"


def test_the_sinks_client_says_what_its_environment_tells(url: str) -> None:
    code = (
        "import sys; from services.sink.tracking import Tracking; "
        "print(Tracking(sys.argv[1]).experiment(name='p/x', study_id=5, experiment_id=None))"
    )
    told = {**os.environ, "MLFLOW_TRACKING_USERNAME": "actinium", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    done = subprocess.run([sys.executable, "-c", code, url], env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.strip().isdigit(), done.stderr


def test_without_a_password_nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTINIUM_MLFLOW_PASSWORD", raising=False)
    with pytest.raises(SystemExit, match="ACTINIUM_MLFLOW_PASSWORD is not set"):
        login.create_app()
