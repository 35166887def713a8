"""Ends the processes that a killed supervisor has left running."""

import signal
from pathlib import Path

import psutil

from actinium.home import ClientFile
from services.stack import processes
from services.stack.parts import DATABASE
from services.stack.state import PartState, StackState

END_SECONDS = 5.0
DATABASE_SECONDS = 60.0


def clear(home: Path) -> int:
    """End every process of the stack that was written down last; how many there were. Call it under the home's lock.

    A process is ours when it has the instance's mark in its environment, or the number and the start time that were
    written down. The database is stopped last and in its own way: SIGINT disconnects its clients.
    """
    state = StackState.read(home)
    if state is None:
        return 0
    recorded = {part.name: processes.find(part.process) for part in state.parts}
    database = recorded.pop(DATABASE, None)
    found = [process for process in recorded.values() if process is not None]
    family = processes.with_offspring([*found, *processes.marked(f"{state.instance}/")])
    if database is not None:
        servers = {server.pid for server in processes.with_offspring([database])}
        family = [process for process in family if process.pid not in servers]
    processes.end(family, seconds=END_SECONDS)
    if database is not None:
        processes.end([database], seconds=DATABASE_SECONDS, first=signal.SIGINT)
    ClientFile.path(home).unlink(missing_ok=True)
    stopped = [part.model_copy(update={"state": PartState.STOPPED, "process": None}) for part in state.parts]
    state.model_copy(update={"parts": tuple(stopped)}).write(home)
    return len(family) + (database is not None)


def supervisor(home: Path) -> psutil.Process | None:
    """The process that holds the home's lock, as it wrote itself down."""
    state = StackState.read(home)
    return None if state is None else processes.find(state.supervisor)
