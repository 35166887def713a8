"""How often may be asked: tokens that open nothing, by the address that sends them; requests, by the token."""

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
    """What each key has left: `per_minute` to begin with and at most, coming back evenly; 0 is without limit."""

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
    """Both limits. Whoever guesses is stopped, and nobody else: a token that was right here once is looked at even
    where others at the same address (behind one proxy, on one machine) send wrong ones.
    """

    def __init__(self, settings: Settings) -> None:
        self._failures = Allowances(per_minute=settings.failed_attempts_per_minute)
        self._requests = Allowances(per_minute=settings.requests_per_minute)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, host: str | None, secret: str, now: datetime) -> None:
        """Before a token is looked at. TooMany where its sender has sent too many that open nothing."""
        wait = self._failures.missing(sender(host), now, spend=False)
        if wait and _digest(secret) not in self._right:
            raise TooMany(
                "too many tokens that open nothing came from this address; wait, and send the right one", wait
            )

    def failed(self, host: str | None, secret: str, now: datetime) -> None:
        """A token that opened nothing."""
        self._failures.missing(sender(host), now, spend=True)
        with self._lock:
            self._right.pop(_digest(secret), None)

    def opened(self, token_id: int, secret: str, now: datetime) -> None:
        """A token that is right. TooMany where it asks too often."""
        with self._lock:
            self._right[_digest(secret)] = None
            self._right.move_to_end(_digest(secret))
            if len(self._right) > MOST_KEYS:
                self._right.popitem(last=False)
        wait = self._requests.missing(token_id, now, spend=True)
        if wait:
            raise TooMany("this token asks more often than it may (ACTINIUM_REQUESTS_PER_MINUTE); ask less often", wait)


def sender(host: str | None) -> str:
    """An address as one sender: IPv4 whole, of IPv6 the network; without an address (a unix socket) all are one."""
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
