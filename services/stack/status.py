"""`status`: each part with its state, process, address, log and restarts; and how wide packs are measured to pay."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from actinium.client import Client
from actinium.errors import ActiniumError
from actinium.home import ClientFile
from services.disk_space import disk_shortage
from services.settings import Settings
from services.stack import processes
from services.stack.state import PartState, PartStatus, StackState, is_running

SECONDS = 2.0
"""How long the API may take to tell of packs."""
MOST_WIDTHS = 60


def status(settings: Settings, *, as_json: bool, say: Callable[[str], object]) -> bool:
    """Print how the home's stack stands, or else the service at ACTINIUM_URL; whether there is one."""
    home = settings.home.expanduser().absolute()
    running = home.exists() and is_running(home)
    elsewhere = os.environ.get("ACTINIUM_URL")
    if elsewhere and not running:
        return status_elsewhere(elsewhere, as_json=as_json, say=say)
    state = StackState.read(home)
    measured = measured_widths(home) if running else []
    workers = dispatchers(home) if running else []
    why = disk_shortage(home, least=settings.min_free_bytes) if running else None
    if as_json:
        shown = document(state, running=running, home=str(home)) | {
            "no_room": why,
            "dispatchers": workers,
            "pack_widths": measured,
        }
        say(json.dumps(shown, indent=2))
    elif state is None or not running:
        left = [] if state is None else living(state)
        say(f"no stack is running in {home}; `actinium up` starts one")
        if left:
            say(f"but {', '.join(left)} still run; `actinium down` ends them")
    else:
        if why is not None:
            say(f"NO ROOM: {why}")
            say("")
        say(table(state.parts))
        if workers:
            say("")
            say(dispatchers_table(workers))
        if measured:
            say("")
            say(widths_table(measured))
    return running


def status_elsewhere(url: str, *, as_json: bool, say: Callable[[str], object]) -> bool:
    """Print how a service stands that was started in another way (docker-compose.yml), as its API tells; whether it
    answers the token. Its processes, logs and restarts are its supervisor's to show.
    """
    try:
        with Client(url, timeout=SECONDS, sleep=lambda _: None) as client:
            workers, measured = client.dispatchers(), client.pack_widths(limit=MOST_WIDTHS)
            missing = client.mirror_missing()
    except ActiniumError as error:
        say(json.dumps({"url": url, "running": False, "error": str(error)}) if as_json else f"{url}: {error}")
        return False
    if as_json:
        found = {"dispatchers": workers, "pack_widths": measured, "mirror_missing": missing}
        say(json.dumps({"url": url, "running": True, **found}, indent=2))
        return True
    say(f"{url} answers, and knows the token")
    say("")
    say(dispatchers_table(workers) if workers else "NO DISPATCHER IS ALIVE: nothing is trained")
    if missing:
        say("")
        say(f"MLflow lacks what it was told of {len(missing)} studies; `actinium doctor` names them")
    if measured:
        say("")
        say(widths_table(measured))
    return True


def measured_widths(home: Path) -> list[dict[str, Any]]:
    """What the API tells of packs; nothing while it does not answer."""
    return asked(home, lambda client: client.pack_widths(limit=MOST_WIDTHS))


def dispatchers(home: Path) -> list[dict[str, Any]]:
    """What the API tells of dispatchers; nothing while it does not answer."""
    return asked(home, Client.dispatchers)


def asked(home: Path, question: Callable[[Client], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The API's answer; empty while there is none."""
    try:
        file = ClientFile.read(home)
        if file is None:
            return []
        with Client(file.url, file.token, timeout=SECONDS, sleep=lambda _: None) as client:
            return question(client)
    except ActiniumError:
        return []


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
    return columns(rows)


def dispatchers_table(found: Sequence[Mapping[str, Any]]) -> str:
    """A line a dispatcher: its slots, the nodes that it avoids, and why it leases nothing."""
    rows = [("DISPATCHER", "SLOTS", "BUSY", "AVOIDED NODES", "LEASES")]
    for one in found:
        avoided = ", ".join(f"{node[:12]} until {until[11:19]}" for node, until in one["avoided"].items())
        leases = "yes" if one["halted"] is None else f"no: {one['halted']}"
        rows.append((one["holder"], str(one["slots"]), str(one["busy"]), avoided or "-", leases))
    return columns(rows)


def widths_table(measured: Sequence[Mapping[str, Any]]) -> str:
    """A line a pack key and device, those measured last first: microseconds of a step per lane, by width."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in measured:
        found.setdefault((row["pack_key"], row["device"]), []).append(row)
    rows = [("PACK", "DEVICE", "MICROSECONDS OF A STEP PER LANE, BY LANES")]
    for (pack_key, device), widths in found.items():
        cells = [f"{row['width']}: {time_of(row)}" for row in sorted(widths, key=lambda row: int(row["width"]))]
        rows.append((pack_key, device, "  ".join(cells)))
    return columns(rows)


def time_of(row: Mapping[str, Any]) -> str:
    """A width's time, or why it has none."""
    seconds = row["seconds_per_lane_step"]
    return f"{1e6 * seconds:.0f}" if seconds is not None else "no memory"


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Words under each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
