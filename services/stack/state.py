"""The state file of a stack, `$ACTINIUM_HOME/stack.json`, and the lock by which a home has one stack at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, ValidationError

from actinium.errors import StackError


class PartState(StrEnum):
    """Where a part of the stack stands."""

    WAITING = "waiting"  # for the parts before it, or for its next try
    STARTING = "starting"
    READY = "ready"
    UNRESPONSIVE = "unresponsive"  # its process lives, and does not answer
    STOPPED = "stopped"


class ProcessMark(BaseModel):
    """A process, told apart from a later one of the same number by when it was started (seconds since 1970)."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float


class PartStatus(BaseModel):
    """One part as `status` shows it."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: PartState
    process: ProcessMark | None
    address: str | None
    log: str
    restarts: int
    since: datetime


class StackState(BaseModel):
    """The whole stack. `instance`, a random id, is in the environment of every process that the stack started."""

    model_config = ConfigDict(frozen=True)

    instance: str
    supervisor: ProcessMark
    home: str
    url: str
    dashboard_url: str
    mlflow_url: str
    parts: tuple[PartStatus, ...] = ()

    @staticmethod
    def path(home: Path) -> Path:
        """Where the file stands."""
        return home / "stack.json"

    @classmethod
    def read(cls, home: Path) -> "StackState | None":
        """What was written last; None when nothing was, or nothing that can be read."""
        try:
            return cls.model_validate_json(cls.path(home).read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            return None

    def write(self, home: Path) -> None:
        """Replace the file at once, so that no reader sees half of it."""
        write_private(self.path(home), self.model_dump_json(indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def prepare_home(home: Path) -> None:
    """Make the home and its folders, closed to others: logs and databases are nobody else's. StackError in a sentence
    when that cannot be.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.stat().st_uid == os.getuid():
            # PostgreSQL does not run as root: its own user must pass through root's home, and may not read it.
            home.chmod(0o711 if os.getuid() == 0 else 0o700)
        for folder in (home, home / "logs", home / "run"):
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".probe.{os.getpid()}"
            probe.touch()
            probe.unlink()
    except OSError as error:
        raise StackError(
            f"{home} is not writable ({error.strerror}); set ACTINIUM_HOME to a folder where you can write"
        ) from error


def try_lock(home: Path) -> IO[str] | None:
    """The home's lock, held until the file is closed or the process dies; None when another stack holds it."""
    file = (home / "stack.lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the home's lock; StackError with the address of the stack that holds it already."""
    file = try_lock(home)
    if file is None:
        state = StackState.read(home)
        where = f" at {state.url} (process {state.supervisor.pid})" if state else ""
        raise StackError(f"a stack is running already{where}; `actinium down` stops it")
    with file:
        yield


def is_running(home: Path) -> bool:
    """Whether a supervisor holds the home's lock."""
    if not (home / "stack.lock").exists():
        return False
    file = try_lock(home)
    if file is not None:
        file.close()
    return file is None
