"""What is decided before any part is started: addresses, tokens, folders."""

import getpass
import hashlib
import json
import os
import secrets
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from actinium.errors import StackError
from services.settings import Settings
from services.stack.ports import LOOPBACK, any_free, choose
from services.stack.state import write_private

RAY_SOCKET_ROOM = 105 - len("/s/session_2026-01-01_00-00-00_000000_1000000/sockets/plasma_store.1")
"""Bytes left for Ray's folder: the path of a unix socket has an end."""


@dataclass(frozen=True, kw_only=True)
class StackPlan:
    """Addresses, tokens and folders of a stack. `own_*`: whether the stack starts that part itself, or uses one that
    the settings name.
    """

    instance: str
    home: Path
    data: Path
    settings: Settings
    url: str
    dashboard_url: str
    mlflow_url: str
    ray_address: str
    own_database: bool
    own_ray: bool
    own_mlflow: bool
    ray_client_port: int
    ray_folder: Path
    ray_token: Path
    admin_token: str
    viewer_token: str
    database_url: str | None = None
    mlflow_store: str | None = None

    def with_database(self, *, database_url: str, mlflow_store: str) -> "StackPlan":
        """The plan once the database answers."""
        return replace(self, database_url=database_url, mlflow_store=mlflow_store)


def make_plan(settings: Settings, *, home: Path) -> StackPlan:
    """Choose ports and tokens; StackError in a sentence when a port is taken."""
    taken: list[int] = []

    def port(wanted: int, whose: str, variable: str, host: str = LOOPBACK) -> int:
        taken.append(choose(wanted, whose=whose, variable=variable, avoid=taken, host=host))
        return taken[-1]

    own_ray, own_mlflow = settings.ray_address is None, settings.mlflow_url is None
    api = port(settings.api_port, "the API", "ACTINIUM_API_PORT", settings.api_host)
    dashboard = port(settings.dashboard_port, "the dashboard", "ACTINIUM_DASHBOARD_PORT")
    mlflow = port(settings.mlflow_port, "MLflow", "ACTINIUM_MLFLOW_PORT") if own_mlflow else 0
    ray = port(settings.ray_port, "Ray", "ACTINIUM_RAY_PORT") if own_ray else 0
    resolved = settings.model_copy(
        update={"home": home, "api_port": api, "dashboard_port": dashboard, "mlflow_port": mlflow, "ray_port": ray}
    )
    kept = _tokens(home, settings)
    reachable = LOOPBACK if settings.api_host in ("", "0.0.0.0") else settings.api_host  # noqa: S104 - only compared
    return StackPlan(
        instance=secrets.token_hex(12),
        home=home,
        data=resolved.data_root().expanduser().absolute(),
        settings=resolved,
        url=f"http://{reachable}:{api}",
        dashboard_url=resolved.dashboard_link(),
        mlflow_url=settings.mlflow_url or f"http://{LOOPBACK}:{mlflow}",
        ray_address=settings.ray_address or f"{LOOPBACK}:{ray}",
        own_database=settings.database_url is None,
        own_ray=own_ray,
        own_mlflow=own_mlflow,
        ray_client_port=any_free(avoid=taken),
        ray_folder=_ray_folder(home),
        ray_token=home / "run" / "ray.token",
        admin_token=kept["admin"],
        viewer_token=kept["viewer"],
        database_url=settings.database_url,
        mlflow_store=beside(settings.database_url),
    )


def _tokens(home: Path, settings: Settings) -> dict[str, str]:
    """The admin's and the dashboard's tokens: those of the settings, those of the last time, or new ones."""
    path = home / "tokens.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        kept = {}
    except (OSError, ValueError) as error:
        raise StackError(f"{path} cannot be read ({error}); remove it, and new tokens are made") from error
    tokens = {
        "admin": settings.admin_token or kept.get("admin") or f"act_{secrets.token_urlsafe(32)}",
        "viewer": settings.viewer_token or kept.get("viewer") or f"act_{secrets.token_urlsafe(32)}",
    }
    if tokens != kept:
        write_private(path, json.dumps(tokens, indent=2) + "\n")
    return tokens


def _ray_folder(home: Path) -> Path:
    """Ray's temporary folder: in the home, or in the system's where the home's path is too long for a socket.

    Ray opens it to everybody, so that it lies in a folder that is closed.
    """
    near = home / "ray"
    if len(os.fsencode(near)) <= RAY_SOCKET_ROOM:
        return near / "s"
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"actinium-ray-{getpass.getuser()}-{name}" / "s"


def beside(database_url: str | None) -> str | None:
    """MLflow's database: `mlflow` on the same server."""
    if database_url is None:
        return None
    split = urlsplit(database_url)
    return split._replace(scheme="postgresql+psycopg", path="/mlflow").geturl()


def python(*arguments: str) -> list[str]:
    """A command of this interpreter. `-P` keeps the working folder out of the import path."""
    return [sys.executable, "-P", *arguments]
