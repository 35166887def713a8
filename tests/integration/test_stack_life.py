"""The real stack: what it answers, what it writes down, whom it refuses, and that Ctrl-C leaves nothing."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import httpx
import psutil
import pytest
from stack_fixture import RunningStack, stack_environment

from actinium.client import Client
from actinium.home import ClientFile
from services.stack import processes
from services.stack.state import StackState

STACK = [sys.executable, "-m", "services.stack"]


@pytest.fixture
def other_home() -> Iterator[Path]:
    """A second home, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="act-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def run(*arguments: str, home: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A command of the stack, to its end."""
    told = stack_environment(home) | environment
    return subprocess.run([*STACK, *arguments], env=told, capture_output=True, text=True, check=False, timeout=120)


def test_every_service_answers_at_the_address_that_status_shows(stack: RunningStack) -> None:
    services = stack.services()
    assert set(services) == {"postgres", "ray", "api", "dispatcher", "dispatcher-2", "mlflow", "sink", "dashboard"}
    for name in ("api", "mlflow", "dashboard"):
        assert httpx.get(services[name]["address"] + {"api": "/healthz"}.get(name, "/")).status_code == 200
    for service in services.values():
        assert service["state"] == "ready" and psutil.pid_exists(service["pid"])
        assert Path(service["log"]).exists()


def test_the_mirror_gives_way_to_training(stack: RunningStack) -> None:
    niceness = {name: psutil.Process(service["pid"]).nice() for name, service in stack.services().items()}
    assert niceness["mlflow"] == niceness["sink"] > niceness["dispatcher"]


def test_the_client_file_opens_the_door_and_is_closed_to_others(stack: RunningStack) -> None:
    for name in ("client.json", "tokens.json", "stack.json", "run/ray.token"):
        assert stat.S_IMODE((stack.home / name).stat().st_mode) == 0o600, name
    with stack.client() as client:
        assert {token["name"] for token in client.tokens()} >= {"admin", "dashboard"}
    anonymous = httpx.get(f"{stack.address.url}/v1/studies")
    assert anonymous.status_code == 401


def test_nothing_listens_but_on_loopback(stack: RunningStack) -> None:
    state = StackState.read(stack.home)
    assert state is not None
    heard = [
        (process.name(), connection.laddr.ip)
        for process in processes.marked(f"{state.instance}/")
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert heard
    assert {ip for _, ip in heard} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}, heard


def test_ray_lets_nobody_in_without_its_token(stack: RunningStack) -> None:
    """Who may use a cluster may run anything on it."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address"]
    command.append(stack.services()["ray"]["address"])
    own = stack.home / "run" / "ray.token"
    ends = {}
    for name, asked in (
        ("its own", {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(own)}),
        ("none", {"RAY_AUTH_MODE": "disabled"}),
        ("another", {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * len(own.read_text())}),
    ):
        told = stack_environment(stack.home) | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"} | asked
        ends[name] = subprocess.run(command, env=told, capture_output=True, text=True, check=False, timeout=120)
    assert {name: end.returncode for name, end in ends.items()} == {"its own": 0, "none": 1, "another": 1}
    assert all("InvalidAuthToken" in ends[name].stdout + ends[name].stderr for name in ("none", "another"))


def test_a_second_stack_is_refused_with_the_address_of_the_first(stack: RunningStack) -> None:
    for arguments in (("up",), ("up", "--detach")):
        refused = run(*arguments, home=stack.home)
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"actinium: a stack is running already at {stack.address.url} (process ")
        assert refused.stderr.count("\n") == 1
    assert (stack.home / "client.json").exists()


def test_a_taken_port_and_an_unwritable_home_are_sentences(other_home: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        for arguments in (("up",), ("up", "--detach")):
            refused = run(*arguments, home=other_home, ACTINIUM_API_PORT=str(port))
            assert refused.returncode == 1
            said = refused.stderr.splitlines()[-1]
            assert said.startswith(f"actinium: port {port} (the API) is taken; set ACTINIUM_API_PORT to another one")
            assert "Traceback" not in refused.stderr
    refused = run("up", "--detach", home=Path("/proc/nowhere"))
    assert refused.returncode == 1
    assert refused.stderr.startswith("actinium: /proc/nowhere is not writable")


def test_without_a_stack_status_and_down_say_so(other_home: Path) -> None:
    shown, stopped = run("status", home=other_home), run("down", home=other_home)
    assert (shown.returncode, stopped.returncode) == (1, 0)
    assert shown.stdout == f"no stack is running in {other_home}; `actinium up` starts one\n"
    assert stopped.stdout == f"no stack is running in {other_home}\n"


def test_an_interrupted_start_leaves_nothing(other_home: Path) -> None:
    with subprocess.Popen(
        [*STACK, "up"], env=stack_environment(other_home), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert "is ready after" in first
        state = StackState.read(other_home)
        assert state is not None and processes.marked(f"{state.instance}/")
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=120) == 0
    assert processes.marked(f"{state.instance}/") == []
    assert not any(
        str(other_home) in " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    )
    assert not (other_home / "client.json").exists()


LONG = {
    "name": "long",
    "model": {"kind": "mlp", "depth": 2, "width": 32},
    "training": {"epochs": 20_000, "batch_size": 64},
    "probes": {"schedule": {"points": 4}},
    "seeds": 4,
}
"""Longer than any test waits."""


def test_down_and_up_in_the_middle_of_a_long_study_goes_on_with_it(other_home: Path) -> None:
    """The study fills both slots for as long as the test takes, also those of the dispatcher that comes up."""

    def counts() -> dict[str, int]:
        address = ClientFile.read(other_home)
        assert address is not None
        with Client(url=address.url, token=address.token) as client:
            return dict(client.study("long")["counts"]["states"])

    first = run("up", "--detach", home=other_home)
    assert first.returncode == 0, first.stdout + first.stderr
    try:
        address = ClientFile.read(other_home)
        assert address is not None
        with Client(url=address.url, token=address.token) as client:
            client.submit(LONG)
        until(lambda: counts()["leased"] == 4 and len(list((other_home / "checkpoints").glob("*"))) >= 2)
        assert run("down", home=other_home).returncode == 0
        again = run("up", "--detach", home=other_home)
        assert again.returncode == 0 and "LATE" not in again.stdout, again.stdout + again.stderr
        until(lambda: counts()["leased"] == 4)
        address = ClientFile.read(other_home)
        assert address is not None
        with Client(url=address.url, token=address.token) as client:
            trials = client.trials("long")["id"].tolist()
            last = [client.trial_events(trial)[-1] for trial in trials]
        assert {(event["cause"], event["reason"]) for event in last} == {("lease", "from a checkpoint")}
    finally:
        assert run("down", home=other_home).returncode == 0


def until(done: Callable[[], bool]) -> None:
    """Wait, a minute at most."""
    for _ in range(300):
        if done():
            return
        Event().wait(0.2)
    raise AssertionError("it does not come to that")
