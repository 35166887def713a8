"""Processes of a stack: started with a mark in their environment, found by it, and ended with all their offspring.

The mark also finds processes whose parent died or that started a session of their own. It contains the stack's random
instance id, so that no process of another stack has it.
"""

import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from services.stack.state import ProcessMark

log = logging.getLogger(__name__)

MARK = "ACTINIUM_PART"
"""The variable that holds `INSTANCE/PART`."""
SECRETS = frozenset({"ACTINIUM_TOKEN", "ACTINIUM_ADMIN_TOKEN", "ACTINIUM_VIEWER_TOKEN", "ACTINIUM_DATABASE_URL"})
"""Variables that a part has only if its command sets them; they are not inherited from whoever starts the stack."""
LOG_BYTES = 20_000_000
"""A log larger than this is put aside, in place of the one that was put aside before."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """How a part's process is started."""

    arguments: Sequence[str]
    environment: Mapping[str, str]


def start(command: Command, *, mark: str, log_file: Path, cwd: Path) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own, its output appended to `log_file`."""
    rotate(log_file)
    inherited = {name: value for name, value in os.environ.items() if name not in SECRETS}
    environment = {**inherited, **command.environment, MARK: mark}
    with log_file.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own commands
            command.arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=environment,
            start_new_session=True,
        )


def rotate(log_file: Path) -> None:
    """Put a log aside once it has grown large, also while a process writes to it: copied and then emptied, because the
    process keeps the file that it has open, and appends to whatever its end is. A full disk is no error: what was
    written remains.
    """
    try:
        if log_file.stat().st_size > LOG_BYTES:
            aside = log_file.with_suffix(".log.1")
            shutil.copyfile(log_file, aside)
            aside.chmod(0o600)
            os.truncate(log_file, 0)
    except OSError as error:
        log.debug("%s is not put aside: %s", log_file, error)


def give_way(pid: int, nice: int) -> None:
    """Make a process, and those that it starts from now on, nicer than this one by `nice`.

    Where Linux schedules by session (autogroup), niceness counts only within a session, so the session's is set too.
    """
    niceness = min(19, os.getpriority(os.PRIO_PROCESS, 0) + nice)
    session = Path(f"/proc/{pid}/autogroup")
    try:
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
        if session.exists():
            session.write_text(str(niceness), encoding="ascii")
    except OSError as error:
        log.debug("process %d keeps its priority: %s", pid, error)


def mark_of(pid: int) -> ProcessMark | None:
    """The process of this number now; None when there is none."""
    try:
        return ProcessMark(pid=pid, started=psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def mark_of_self() -> ProcessMark:
    """This process."""
    return ProcessMark(pid=os.getpid(), started=psutil.Process().create_time())


def find(mark: ProcessMark | None) -> psutil.Process | None:
    """The living process that was marked; None when it is gone, also when its number is now a stranger's."""
    if mark is None:
        return None
    try:
        process = psutil.Process(mark.pid)
        same = abs(process.create_time() - mark.started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return None
    return process if same else None


def marked(whose: str) -> list[psutil.Process]:
    """All living processes of an instance (`INSTANCE`), or of one part of it (`INSTANCE/PART`)."""
    found = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(MARK, "")
            mine = mark == whose or mark.startswith(f"{whose.rstrip('/')}/")
            if mine and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # gone, or somebody else's
    return found


def with_offspring(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Processes with all their descendants, each once, this process never."""
    found: dict[int, psutil.Process] = {}
    for process in processes:
        try:
            for member in (process, *process.children(recursive=True)):
                found.setdefault(member.pid, member)
        except psutil.Error:
            continue
    found.pop(os.getpid(), None)
    return list(found.values())


def end(processes: Collection[psutil.Process], *, seconds: float, first: int = signal.SIGTERM) -> None:
    """Ask processes to end with the signal `first`, and kill those that have not after `seconds`."""
    for process in processes:
        _send(process, first)
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        log.info("process %d does not end, and is killed", process.pid)
        _send(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5.0)


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error as error:
        log.debug("process %d is gone: %s", process.pid, error)
