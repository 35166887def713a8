"""Health checks of parts. Each takes SECONDS at most and raises nothing."""

import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

SECONDS = 2.0
NO_ROOM = b'"detail": "no room'
LONGEST = 10_000

Check: TypeAlias = Callable[[], bool]


def http(url: str) -> Check:
    """GET gives a status below 400."""

    def check() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - our own addresses
                return bool(answer.status < 400)
        except (OSError, ValueError):
            return False

    return check


def service(url: str) -> Check:
    """GET gives a status below 400; or 503 because of a full disk, where restarting the service would not help."""

    def check() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - our own addresses
                return bool(answer.status < 400)
        except urllib.error.HTTPError as error:
            with error:
                return error.code == 503 and NO_ROOM in error.read(LONGEST)
        except (OSError, ValueError):
            return False

    return check


def tcp(host: str, port: int) -> Check:
    """Something listens at the address."""

    def check() -> bool:
        try:
            with socket.create_connection((host, port), timeout=SECONDS):
                return True
        except OSError:
            return False

    return check


def file(path: Path) -> Check:
    """The part has written its ready file (it is removed before each start)."""
    return path.exists
