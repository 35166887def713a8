"""`down`: leaves nothing running, whether the supervisor lives, hangs or was killed."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from actinium.errors import StackError
from services.settings import Settings
from services.stack import leftovers, processes
from services.stack.state import is_running, locked

STOP_SECONDS = 120.0
"""How long a supervisor may take to stop everything in order."""


def down(settings: Settings, *, say: Callable[[str], object]) -> None:
    """Stop the home's stack; nothing to do is no error."""
    home = settings.home.expanduser().absolute()
    was_running = home.exists() and is_running(home)
    if was_running:
        stop_supervisor(home)
    if not (home / "stack.json").exists():
        say(f"no stack is running in {home}")
        return
    with locked(home):
        cleared = leftovers.clear(home)
    if was_running:
        say("the stack is down")
    elif cleared:
        say(f"the stack was gone already; ended {cleared} processes that it had left")
    else:
        say(f"no stack is running in {home}")


def stop_supervisor(home: Path) -> None:
    """Ask the supervisor to end, and wait until it has; kill it when it does not."""
    process = leftovers.supervisor(home)
    if process is None:
        raise StackError(
            f"somebody holds {home / 'stack.lock'}, and it is no supervisor that wrote itself down; try again"
        )
    try:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=STOP_SECONDS)
    except psutil.TimeoutExpired:
        processes.end([process], seconds=0.0, first=signal.SIGKILL)
    except psutil.NoSuchProcess:
        pass
    deadline = time.monotonic() + 5.0
    while is_running(home) and time.monotonic() < deadline:
        time.sleep(0.05)
