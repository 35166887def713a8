"""What must stay secret stands in no log, no command line and no file that others can read, whatever was asked."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url
from stack_fixture import RunningStack, stack_environment

from actinium.errors import InvalidInput
from db.engine import EmbeddedServer, make_engine
from services.stack import ports, processes
from services.stack.state import StackState

WRONG = "act_" + "mistyped" * 5
PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def secrets(stack: RunningStack) -> dict[str, str]:
    """Every secret of the stack, after right and wrong requests of each kind at every door that speaks HTTP."""
    kept = json.loads((stack.home / "tokens.json").read_text())
    environment = stack_environment(stack.home) | {"ACTINIUM_TOKEN": kept["admin"], "ACTINIUM_URL": stack.address.url}
    made = subprocess.run(
        [sys.executable, "-m", "actinium.cli", "token", "create", "logged", "--json"],
        env=environment,
        capture_output=True,
        check=True,
    )
    secrets = {**kept, "ray": (stack.home / "run" / "ray.token").read_text(), "made": json.loads(made.stdout)["token"]}
    for secret in (*secrets.values(), WRONG):
        headers = {"Authorization": f"Bearer {secret}", "Cookie": f"token={secret}"}
        for path in ("/v1/studies", "/v1/nothing", "/v1/studies?limit=x"):
            httpx.get(f"{stack.address.url}{path}", headers=headers)
        for address in (stack.address.mlflow_url, stack.address.dashboard_url):
            httpx.get(f"{address}/health", headers=headers)
        httpx.post(f"{stack.address.url}/v1/tokens", headers=headers, json={"token": secret})
        httpx.get(f"{stack.address.url}/v1/studies/{secret}", params={"q": secret}, headers=headers)
    for secret in (kept["admin"], WRONG):
        failed = [sys.executable, "-m", "actinium.cli", "show", "nothing"]
        told = subprocess.run(failed, env=environment | {"ACTINIUM_TOKEN": secret}, capture_output=True, check=False)
        assert told.returncode == 1 and secret.encode() not in told.stdout + told.stderr
    return secrets | {"wrong": WRONG}


def files(folder: Path) -> Iterator[Path]:
    """All files below, by their own paths; sockets and links to files elsewhere are none."""
    for parent, _, names in os.walk(folder, followlinks=False):
        for name in names:
            path = Path(parent) / name
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def test_no_secret_stands_in_a_log(stack: RunningStack, secrets: dict[str, str]) -> None:
    """The services', Ray's, PostgreSQL's."""
    logs = [*files(stack.home / "logs"), *files((stack.home / "logs" / "ray").resolve())]
    logs.append(stack.home / "postgres" / "server.log")
    names = {path.name for path in logs}
    assert {"api.log", "dispatcher.log", "sink.log", "mlflow.log", "dashboard.log", "ray.log", "stack.log"} <= names
    assert "raylet.out" in names
    assert b"/v1/studies 401" in (stack.home / "logs" / "api.log").read_bytes()
    for path in logs:
        content = path.read_bytes()
        assert not [name for name, secret in secrets.items() if secret.encode() in content], path
        assert not re.search(rb"(?i)authorization: *bearer", content), path


def test_no_secret_stands_on_a_command_line_or_in_what_status_says(
    stack: RunningStack, secrets: dict[str, str]
) -> None:
    state = StackState.read(stack.home)
    assert state is not None
    for process in [*processes.marked(f"{state.instance}/"), psutil.Process(state.supervisor.pid)]:
        words = " ".join(process.cmdline())
        assert not [name for name, secret in secrets.items() if secret in words], words
    for options in ([], ["--json"]):
        shown = subprocess.run(
            [sys.executable, "-m", "services.stack", "status", *options],
            env=stack_environment(stack.home),
            capture_output=True,
            check=True,
        )
        assert not [name for name, secret in secrets.items() if secret.encode() in shown.stdout + shown.stderr]


def test_files_with_secrets_are_closed_to_others(stack: RunningStack, secrets: dict[str, str]) -> None:
    """In the whole home, the database's own folder among it, which keeps tokens as hashes."""
    holding: dict[str, int] = {}
    for path in files(stack.home):
        content = path.read_bytes()
        if any(secret.encode() in content for secret in secrets.values()):
            holding[str(path.relative_to(stack.home))] = stat.S_IMODE(path.stat().st_mode)
    assert holding == dict.fromkeys(("client.json", "tokens.json", "run/ray.token"), 0o600)


def test_those_who_train_hold_no_token_of_the_service_and_no_database(
    stack: RunningStack, secrets: dict[str, str]
) -> None:
    state = StackState.read(stack.home)
    assert state is not None
    trainers = processes.marked(f"{state.instance}/ray")
    assert trainers
    for process in trainers:
        environment = process.environ()
        assert "ACTINIUM_DATABASE_URL" not in environment
        assert not [name for name in ("admin", "viewer", "made") if secrets[name] in environment.values()]


def test_an_address_that_cannot_be_read_is_not_shown() -> None:
    """What a password holds may look like a port."""
    for address in (
        f"postgresql://u:p@ss:{PASSWORD}@h/db",
        f"postgresql://u:{PASSWORD}@h:{PASSWORD}/db",
        f"mysql://u:{PASSWORD}@h/db",
        f"u:{PASSWORD}@h/db",
    ):
        with pytest.raises(InvalidInput) as refused:
            make_engine(address)
        assert PASSWORD not in str(refused.value)
        assert refused.value.__cause__ is None


def test_a_service_says_nothing_of_its_database_password(postgres: EmbeddedServer, database_url: str) -> None:
    """Requests that are answered, a fault with its traceback, and the database gone under the API."""
    name = make_url(database_url).database
    address = make_url(database_url).set(username="postgres", password=PASSWORD).render_as_string(hide_password=False)
    port = ports.any_free()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ACTINIUM_")}
    environment |= {"ACTINIUM_DATABASE_URL": address, "ACTINIUM_API_PORT": str(port), "ACTINIUM_ADMIN_TOKEN": WRONG}
    command = [sys.executable, "-m", "services.api"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        try:
            for line in process.stderr:
                said.append(line)
                if "running on" in line:
                    break
            headers = {"Authorization": f"Bearer {WRONG}"}
            url = f"http://127.0.0.1:{port}/v1/studies"
            assert httpx.get(url, headers=headers).status_code == 200
            with closing(psycopg.connect(host=str(postgres.sockets), user="postgres", dbname=name)) as admin:
                admin.execute("ALTER TABLE studies RENAME TO elsewhere")
                admin.commit()
            assert httpx.get(url, headers=headers).status_code == 500
            with closing(psycopg.connect(host=str(postgres.sockets), user="postgres", autocommit=True)) as admin:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(name))))
                admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(str(name))))
            assert httpx.get(url, headers=headers).status_code >= 500
            assert PASSWORD not in " ".join(psutil.Process(process.pid).cmdline())
        finally:
            process.terminate()
            said.append(process.stderr.read())
    text = "".join(said)
    assert "Traceback" in text
    assert PASSWORD not in text and WRONG not in text
