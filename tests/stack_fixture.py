"""The whole stack for the few tests that need everything: started at its first use, once a session."""

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actinium.client import Client
from actinium.home import ClientFile
from services.sink.__main__ import CLIENT_SETTINGS

LEASE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class RunningStack:
    """A stack of real processes in a temporary home."""

    home: Path
    address: ClientFile

    def client(self) -> Client:
        """A client with the admin's token."""
        return Client(url=self.address.url, token=self.address.token)

    def services(self) -> dict[str, dict[str, Any]]:
        """Each service as `status --json` shows it, by name."""
        shown = subprocess.run(
            [sys.executable, "-m", "services.stack", "status", "--json"],
            env=stack_environment(self.home),
            capture_output=True,
            check=True,
        )
        return {service["name"]: service for service in json.loads(shown.stdout)["services"]}


def stack_environment(home: Path) -> dict[str, str]:
    """A stack of its own: any free ports, two dispatchers with short leases, checkpoints of packs of a second, nothing
    from the environment of whoever runs the tests.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ACTINIUM_", "RAY_", "MLFLOW_"))}
    ports = {f"ACTINIUM_{part}_PORT": "0" for part in ("API", "DASHBOARD", "MLFLOW", "RAY")}
    return {
        **kept,
        **ports,
        "ACTINIUM_HOME": str(home),
        "ACTINIUM_LEASE_SECONDS": str(LEASE_SECONDS),
        "ACTINIUM_DISPATCHERS": "2",
        "ACTINIUM_CHECKPOINT_SECONDS": "0.5",
    }


@contextmanager
def started(home: Path, *, dispatchers: int = 2) -> Iterator[RunningStack]:
    """A stack in `home`, stopped at the end."""
    command = [sys.executable, "-m", "services.stack"]
    environment = stack_environment(home) | {"ACTINIUM_DISPATCHERS": str(dispatchers)}
    try:
        up = subprocess.run([*command, "up", "--detach"], env=environment, capture_output=True, text=True, check=False)
        address = ClientFile.read(home)
        assert up.returncode == 0 and address is not None, up.stdout + up.stderr
        yield RunningStack(home=home, address=address)
    finally:
        subprocess.run([*command, "down"], env=environment, capture_output=True, check=False)


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The whole stack, started at its first use and stopped with the session."""
    home = Path(tempfile.mkdtemp(prefix="act-"))
    try:
        with started(home) as running:
            yield running
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def mlflow_url(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The stack's MLflow for MLflow's own client, with the sink's settings. Sessions that it keeps open are closed."""
    from mlflow.utils import request_utils  # takes a second to import, and few tests need it

    for name, value in CLIENT_SETTINGS.items():
        monkeypatch.setenv(name, value)
    assert stack.address.mlflow_url is not None
    yield stack.address.mlflow_url
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        request_utils._cached_get_request_session.cache_clear()
        gc.collect()
