"""The embedded server: its life, its death, and what comes after."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from actinium.errors import StackError
from db.embedded import EmbeddedServer, Readiness, embedded
from services.settings import Settings
from services.stack.plan import make_plan
from services.stack.runners import DatabaseRunner

PATIENCE = 1000


@pytest.fixture
def home() -> Iterator[Path]:
    """A short folder: pytest's own would be too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="act-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddedServer]:
    started = embedded(home)
    yield started
    embedded(home).stop()


def connect(server: EmbeddedServer, database: str = "actinium") -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(host=str(server.sockets), user="postgres", dbname=database, autocommit=True)


def test_a_second_start_attaches(server: EmbeddedServer, home: Path) -> None:
    assert embedded(home) == server
    assert server.running()
    assert server.url == f"postgresql+psycopg://postgres@/actinium?host={home}/postgres/socket"
    with connect(server, "mlflow") as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_what_was_committed_survives_kill_9(server: EmbeddedServer, home: Path) -> None:
    with connect(server) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    os.kill(server.pid, signal.SIGKILL)
    again = embedded(home)
    assert again.pid != server.pid
    assert not server.running()
    with connect(again) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)


def test_a_server_that_does_not_come_to_its_end_counts_as_dead_and_is_stopped_at_once(
    server: EmbeddedServer, home: Path
) -> None:
    ports = {"api_port": 0, "dashboard_port": 0, "mlflow_port": 0, "ray_port": 0}
    alone = {"ray_address": "127.0.0.1:1", "mlflow_url": "http://127.0.0.1:1", "database_url": None}
    plan = make_plan(Settings.model_validate({"home": home, **ports, **alone}), home=home)
    runner = DatabaseRunner()
    runner.start(plan)
    assert server.readiness() is Readiness.READY and runner.ready(plan)
    with connect(server) as client:
        client.execute("CREATE TABLE kept AS SELECT 1 AS one")
        os.kill(server.pid, signal.SIGTERM)  # asked so, it waits for its clients to leave, and lets nobody in
        for _ in range(PATIENCE):
            if server.readiness() is Readiness.LEAVING:
                break
        for _ in range(DatabaseRunner.LEAVING_CHECKS):
            assert runner.alive()
            assert not runner.ready(plan)
        assert not runner.alive()
        runner.stop(plan)
        assert not server.running()
        runner.start(plan)
        assert runner.alive() and runner.ready(plan)
    with connect(server) as again:
        assert again.execute("SELECT one FROM kept").fetchone() == (1,)


def test_a_strangers_process_number_is_not_taken_for_the_server(home: Path) -> None:
    """After a reboot the number in the pid file may belong to anybody; nobody is attached to, nor killed."""
    server = embedded(home)
    pid_file = server.data / "postmaster.pid"
    left = pid_file.read_text()
    server.stop()
    server.stop()
    pid_file.write_text(left.replace(str(server.pid), str(os.getpid()), 1))
    assert not server.running()
    again = embedded(home)
    try:
        assert again.pid != os.getpid()
        assert again.running()
    finally:
        again.stop()
    assert psutil.pid_exists(os.getpid())


def test_a_cluster_that_was_half_made_is_made_anew(home: Path) -> None:
    half = home / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    server = embedded(home, durable=False)
    server.stop()
    assert not half.exists()


def test_a_home_too_long_for_a_socket_has_it_elsewhere(home: Path) -> None:
    server = embedded(home / ("long" * 25) / "with 'a quote", durable=False)
    try:
        with connect(server) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert len(str(server.sockets)) < 60
        assert server.sockets.stat().st_mode & 0o077 == 0
    finally:
        server.stop()


def test_a_home_that_cannot_be_is_said_in_a_sentence(home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(StackError, match="choose another ACTINIUM_HOME"):
        embedded(home / "file")
