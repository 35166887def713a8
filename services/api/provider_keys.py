"""The keys with which an identity provider signs: fetched by one request at a time, kept while the provider is away."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from actinium.errors import Unavailable
from services.loop import backoff

KEYS_LAST = timedelta(minutes=10)
"""After this keys are fetched again."""
KEYS_REST = timedelta(seconds=30)
"""How soon keys are asked for again because of a key that is not known."""
KEYS_KEPT = timedelta(days=1)
"""How long keys count while newer ones cannot be had."""
FETCH_SECONDS = 5.0
LARGEST_BYTES = 2**20

Fetch = Callable[[str], Any]


def fetched(address: str) -> Any:
    """The JSON document there, within FETCH_SECONDS in all. httpx.HTTPError, or ValueError where it is none."""
    until, content = time.monotonic() + FETCH_SECONDS, b""
    with httpx.stream("GET", address, timeout=FETCH_SECONDS) as answer:
        answer.raise_for_status()
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > LARGEST_BYTES or time.monotonic() > until:
                raise httpx.ReadTimeout("the document is too long, or too slow")
    return httpx.Response(200, content=content).json()


class ProviderKeys:
    """The keys of one issuer. A failure is remembered, so that a provider that is away is asked less and less often;
    nobody waits for another's fetch.
    """

    def __init__(self, issuer: str, *, fetch: Fetch = fetched) -> None:
        self._issuer, self._fetch = issuer, fetch
        self._keys: KeySet | None = None
        self._since: datetime | None = None
        self._fetching = False
        self._failures = 0
        self._retry_at: datetime | None = None
        self._lock = threading.Lock()

    def at(self, now: datetime, *, newer_than: timedelta, or_stale: bool) -> KeySet:
        """Keys that were fetched less than `newer_than` ago; or with `or_stale` older ones, where none can be had now.
        Unavailable otherwise.
        """
        with self._lock:
            if self._keys is not None and self._since is not None and now - self._since < newer_than:
                return self._keys
            if self._fetching or (self._retry_at is not None and now < self._retry_at):
                return self._stale(now, or_stale, why="it is being asked already, or did not answer a moment ago")
            self._fetching = True
        try:
            keys = self._published()
        except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
            with self._lock:
                self._failures += 1
                self._retry_at = now + timedelta(seconds=backoff(self._failures, first=1.0, most=60.0))
                return self._stale(now, or_stale, why=type(error).__name__)
        else:
            with self._lock:
                self._keys, self._since, self._failures, self._retry_at = keys, now, 0, None
            return keys
        finally:
            with self._lock:
                self._fetching = False

    def _stale(self, now: datetime, allowed: bool, *, why: str) -> KeySet:
        if allowed and self._keys is not None and self._since is not None and now - self._since < KEYS_KEPT:
            return self._keys
        raise Unavailable(f"the identity provider {self._issuer} does not answer as one ({why}); try again later")

    def _published(self) -> KeySet:
        about = self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if about["issuer"] != self._issuer:
            raise ValueError("another issuer")
        return KeySet.import_key_set(self._fetch(about["jwks_uri"]))
