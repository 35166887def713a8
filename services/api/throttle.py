"""Rate limits: wrong tokens by the address that sends them, and requests by token."""

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime
from ipaddress import IPv6Address, ip_address

from actinium.errors import TooMany
from services.settings import Settings

MOST_KEYS = 10_000
"""Addresses, tokens and digests that are remembered; the one that was seen longest ago is forgotten first."""
NETWORK_BITS = 64
"""Of an IPv6 address what counts as one sender: whoever has one address there has them all."""


class Allowances:
    """A token bucket a key: it holds `per_minute` at most, starts full and refills evenly; 0 means no limit."""

    def __init__(self, *, per_minute: int) -> None:
        self._most = per_minute
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def missing(self, key: Hashable, now: datetime, *, spend: bool) -> float:
        """Seconds until the key has one left, 0 if it has; that one is then taken where `spend`."""
        if not self._most:
            return 0.0
        second, rate = now.timestamp(), self._most / 60.0
        with self._lock:
            left, since = self._left.pop(key, (float(self._most), second))
            left = min(float(self._most), left + rate * max(0.0, second - since))
            taken = spend and left >= 1.0
            self._left[key] = (left - taken, second)
            if len(self._left) > MOST_KEYS:
                self._left.popitem(last=False)
        return 0.0 if left >= 1.0 else (1.0 - left) / rate


class Throttle:
    """Both limits. A token that was valid here before is still looked at when its address has sent too many wrong ones,
    so that one who guesses does not lock out others behind the same proxy or on the same machine.
    """

    def __init__(self, settings: Settings) -> None:
        self._failures = Allowances(per_minute=settings.failed_attempts_per_minute)
        self._requests = Allowances(per_minute=settings.requests_per_minute)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, host: str | None, secret: str, now: datetime) -> None:
        """Called before a token is looked up. TooMany where its address has sent too many wrong ones."""
        wait = self._failures.missing(sender(host), now, spend=False)
        if wait and _digest(secret) not in self._right:
            raise TooMany(
                "too many tokens that open nothing came from this address; wait, and send the right one", wait
            )

    def failed(self, host: str | None, secret: str, now: datetime) -> None:
        """Count a wrong token against its address."""
        self._failures.missing(sender(host), now, spend=True)
        with self._lock:
            self._right.pop(_digest(secret), None)

    def opened(self, token_id: int, secret: str, now: datetime) -> None:
        """Count a request with a valid token. TooMany where it makes too many."""
        with self._lock:
            self._right[_digest(secret)] = None
            self._right.move_to_end(_digest(secret))
            if len(self._right) > MOST_KEYS:
                self._right.popitem(last=False)
        wait = self._requests.missing(token_id, now, spend=True)
        if wait:
            raise TooMany("this token asks more often than it may (ACTINIUM_REQUESTS_PER_MINUTE); ask less often", wait)


def sender(host: str | None) -> str:
    """The key that an address is counted under: IPv4 as it is, IPv6 by its /64 network, '' where there is none."""
    try:
        address = ip_address(host or "")
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(int(address) >> (128 - NETWORK_BITS))
    return str(getattr(address, "ipv4_mapped", None) or address)


def seconds(error: TooMany) -> str:
    """The header Retry-After: whole seconds, at least one."""
    return str(max(1, math.ceil(error.retry_after)))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
