"""What the command line does before it asks anybody: help, children, the doctor."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from actinium.home import PORTS, ClientFile
from actinium.terminal.doctor import CheckResult, examine

HEAVY = ("pandas", "numpy", "httpx", "ray", "torch", "sqlalchemy", "mlflow")


def run(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`actinium ARGUMENTS` in a process of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ACTINIUM_")}
    return subprocess.run(
        [sys.executable, "-m", "actinium.cli", *arguments],
        capture_output=True,
        text=True,
        env={**clean, "ACTINIUM_HOME": str(home), **environment},
        check=False,
        timeout=120,
    )


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    """Every command is listed, and the modules that take long are not loaded for it."""
    shown = run("--help", home=tmp_path)
    assert shown.returncode == 0
    commands = {"up", "down", "status", "doctor", "submit", "ls", "show", "watch", "cancel", "retry"}
    commands |= {"compare", "export", "catalogue", "data", "token"}
    assert all(command in shown.stdout for command in commands)
    check = f"import sys, actinium.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.slow
def test_exit_codes_of_children_are_ours(tmp_path: Path) -> None:
    """`data` runs the datasets' own command; an unknown name is its failure, an unknown command ours."""
    listed = run("data", "ls", "--json", home=tmp_path)
    assert listed.returncode == 0
    assert any(row["name"] == "digits" and row["present"] for row in json.loads(listed.stdout))
    assert run("data", "fetch", "nothing", home=tmp_path).returncode == 1
    assert run("data", "nothing", home=tmp_path).returncode == 2


def test_no_stack_is_one_sentence(tmp_path: Path) -> None:
    """Exit 1, with the mend."""
    said = run("ls", home=tmp_path)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("actinium: no stack is known here; run `actinium up`")
    assert len(said.stderr.splitlines()) == 1


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, CheckResult]:
    """The doctor's results where one port is taken, the client file open to others and nobody answers."""
    for name in list(os.environ):
        if name.startswith("ACTINIUM_"):
            monkeypatch.delenv(name)
    for name in PORTS:
        monkeypatch.setenv(f"ACTINIUM_{name.upper()}_PORT", "0")
    monkeypatch.setenv("ACTINIUM_RAY_PORT", "many")
    ClientFile(url="http://127.0.0.1:1", token="act_x").write(tmp_path).chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("ACTINIUM_MLFLOW_PORT", str(taken.getsockname()[1]))
        return {result.check: result for result in examine(tmp_path)}


def test_the_doctor_finds_what_is_wrong(results: dict[str, CheckResult]) -> None:
    """Each check with verdict and mend."""
    assert {check: result.verdict for check, result in results.items() if check != "disk"} == {
        "python": "ok",
        "packages": "ok",
        "torch": "ok",
        "home": "ok",
        "port api": "ok",
        "port dashboard": "ok",
        "port mlflow": "fail",
        "port ray": "fail",
        "client.json": "warn",
        "api": "warn",
    }
    assert "set ACTINIUM_MLFLOW_PORT" in results["port mlflow"].detail
    assert "'many'" in results["port ray"].detail
    assert "chmod 600" in results["client.json"].detail


def test_a_home_that_cannot_be_used(tmp_path: Path) -> None:
    """A file where the folder should be, and a path too long for sockets."""
    file = tmp_path / "file"
    file.write_text("")
    for home, verdict in ((file / "home", "fail"), (tmp_path / ("x" * 90), "warn")):
        assert next(found for found in examine(home) if found.check == "home").verdict == verdict
