"""Under which names a service may be asked for: none that a stranger's page could have led to this machine.

A page of `evil.example` may let its name mean 127.0.0.1 once it is open, and then talk to whatever listens there as if
it were its own (DNS rebinding). The request's Host header still says `evil.example`. Addresses and names without a dot
cannot be made to mean something else by a stranger; other names are known when they are this machine's or were named.
"""

import ipaddress
import os
import re
import socket
from functools import cache

VARIABLE = "ACTINIUM_ALLOWED_HOSTS"


def is_known(host: str | None, allowed: str | None) -> bool:
    """Whether a Host header (`NAME`, `NAME:PORT`) is one of ours. `allowed`: more names, with commas between;
    `.example.org` stands for all below it. Without a header it is no browser that asks.
    """
    if host is None:
        return True
    name = _without_port(host).rstrip(".").lower()
    if _is_address(name) or re.fullmatch(r"[a-z0-9_-]+", name) or name.endswith(".localhost"):
        return True
    named = [word.strip().lower() for word in (allowed or "").split(",") if word.strip()]
    below = any(word.startswith(".") and name.endswith(word) for word in named)
    return below or name in named or name in _own_names()


def refusal(host: str | None) -> str:
    """What to tell whoever asks under another name."""
    return f"this service is not known as {(host or '')[:120]!r}; an admin can name it in {VARIABLE}"


def from_environment() -> str:
    """The further names of the settings, for a process that reads no settings."""
    return os.environ.get(VARIABLE, "")


@cache
def _own_names() -> frozenset[str]:
    return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})


def _without_port(host: str) -> str:
    """The name of `NAME`, `NAME:PORT` or `[ADDRESS]:PORT`; the whole where it is none of these, which is no name."""
    found = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]*)?|([^:\[\]]+)(?::[0-9]*)?", host)
    return host if found is None else found[1] or found[2]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
