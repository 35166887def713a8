"""Where the state of a local stack lives, and the file by which clients find it."""

import json
import os
from pathlib import Path

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from actinium.errors import StackError

PORTS = {"api": 8321, "dashboard": 8322, "mlflow": 8323, "ray": 8324}
"""The local stack's ports; ACTINIUM_API_PORT and so on change them."""


LOCAL = ".actinium"
"""The folder in which `make demo` and `make up` keep the state of a checkout's own stack."""


def default_home() -> Path:
    """`$ACTINIUM_HOME`; else the nearest `.actinium` in the working directory or a folder above it, so that commands in
    a checkout find the stack that `make` started there; else the platform's user data folder.

    A `.actinium` that belongs to somebody else is passed over: it could name a service of theirs.
    """
    given = os.environ.get("ACTINIUM_HOME")
    if given:
        return Path(given).expanduser()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if _is_own_folder(folder / LOCAL):
            return folder / LOCAL
    return platformdirs.user_data_path("actinium", appauthor=False)


def _is_own_folder(path: Path) -> bool:
    try:
        return path.is_dir() and path.stat().st_uid == os.getuid()
    except OSError:
        return False


class ClientFile(BaseModel):
    """`$ACTINIUM_HOME/client.json`, written (mode 0600) when the stack starts: addresses and the admin token."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    url: str
    token: str
    dashboard_url: str | None = None
    mlflow_url: str | None = None

    @staticmethod
    def path(home: Path) -> Path:
        """Where the file stands."""
        return home / "client.json"

    @classmethod
    def read(cls, home: Path) -> "ClientFile | None":
        """The file's content; None where there is none. StackError where it is not what a stack writes."""
        path = cls.path(home)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StackError(f"{path} cannot be read ({error.__class__.__name__}); check its owner and mode") from error
        try:
            return cls.model_validate(json.loads(text))
        except (ValueError, ValidationError) as error:
            raise StackError(f"{path} is not a client file; remove it and run `actinium up` again") from error

    def write(self, home: Path) -> Path:
        """Writes the file atomically, readable by its owner only; gives its path."""
        path = self.path(home)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.model_dump_json(indent=2) + "\n")
        draft.replace(path)
        return path
