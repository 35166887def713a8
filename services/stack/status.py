"""`status`: each part with its state, process, address, log and restarts."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from services.settings import Settings
from services.stack import processes
from services.stack.state import PartState, PartStatus, StackState, is_running


def status(settings: Settings, *, as_json: bool, say: Callable[[str], object]) -> bool:
    """Print how the home's stack stands; whether there is one."""
    home = settings.home.expanduser().absolute()
    running = home.exists() and is_running(home)
    state = StackState.read(home)
    if as_json:
        say(json.dumps(document(state, running=running, home=str(home)), indent=2))
    elif state is None or not running:
        left = [] if state is None else living(state)
        say(f"no stack is running in {home}; `actinium up` starts one")
        if left:
            say(f"but {', '.join(left)} still run; `actinium down` ends them")
    else:
        say(table(state.parts))
    return running


def living(state: StackState) -> list[str]:
    """The parts whose processes live."""
    return [part.name for part in state.parts if processes.find(part.process) is not None]


def document(state: StackState | None, *, running: bool, home: str) -> dict[str, Any]:
    """What `--json` prints."""
    if state is None:
        return {"running": running, "home": home, "services": []}
    alive = set(living(state))
    return {
        "running": running,
        "ready": running and all(part.state is PartState.READY for part in state.parts),
        "home": home,
        "supervisor": state.supervisor.pid if running else None,
        "url": state.url,
        "dashboard_url": state.dashboard_url,
        "mlflow_url": state.mlflow_url,
        "services": [
            {
                "name": part.name,
                "state": shown(part, running=running),
                "pid": part.process.pid if part.process and part.name in alive else None,
                "address": part.address,
                "log": part.log,
                "restarts": part.restarts,
                "since": part.since.isoformat(),
            }
            for part in state.parts
        ],
    }


def shown(part: PartStatus, *, running: bool) -> str:
    """A part's state; what a supervisor that is gone wrote last is no state any more."""
    return part.state.value if running else PartState.STOPPED.value


def table(parts: Sequence[PartStatus]) -> str:
    """Columns for people."""
    rows = [("SERVICE", "STATE", "PID", "RESTARTS", "ADDRESS", "LOG")]
    for part in parts:
        pid = str(part.process.pid) if part.process else "-"
        rows.append((part.name, part.state.value, pid, str(part.restarts), part.address or "-", part.log))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
