"""Health checks of parts. Each takes SECONDS at most and raises nothing."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

SECONDS = 2.0
NO_ROOM = b'"detail": "no room'
LONGEST = 10_000
PULSE_SECONDS = 90.0
"""A part that has not said for so long that it works does not: longer than a round on a machine that is overloaded, or
than the replacement of an actor. docker-compose.yml looks at the same files, by the minute.
"""

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


def pulse(path: Path) -> Check:
    """The part's ready file is there (it is removed before each start), and was touched within PULSE_SECONDS."""

    def check() -> bool:
        try:
            return time.time() - path.stat().st_mtime < PULSE_SECONDS
        except OSError:
            return False

    return check
