"""OpenID Connect: whom a provider's identity token names (OpenID Connect Core 1.0, section 3.1.3.7).

The provider says who somebody is, and nothing else: what they may do is what the service's own tokens of that name may.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from actinium.errors import StackError, Unauthenticated, Unavailable
from services.settings import Settings

ALGORITHMS = ("RS256", "PS256", "ES256")
"""Signatures with a key of the provider's. Not `none`, nor a shared secret, for which a public key could be taken."""
KEYS_LAST = timedelta(minutes=10)
KEYS_REST = timedelta(seconds=30)
"""How soon keys are asked for again because of a key that is not known."""
LEEWAY_SECONDS = 30
"""How far the provider's clock may be from ours."""
FETCH_SECONDS = 5.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")
REFUSED = "the identity token is not accepted"

Fetch = Callable[[str], Any]


def fetched(address: str) -> Any:
    """The JSON document there. httpx.HTTPError, or ValueError where it is none."""
    answer = httpx.get(address, timeout=FETCH_SECONDS)
    answer.raise_for_status()
    return answer.json()


class Identities:
    """Checks identity tokens of one provider for one audience, with the keys that the provider publishes."""

    def __init__(self, *, issuer: str, audience: str, claim: str, fetch: Fetch = fetched) -> None:
        parts = urlsplit(issuer)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise StackError(f"ACTINIUM_OIDC_ISSUER: {issuer!r} is not accepted; give the provider's https:// address")
        self._issuer, self._audience, self._claim, self._fetch = issuer, audience, claim, fetch
        self._keys: KeySet | None = None
        self._known_since: datetime | None = None
        self._lock = threading.Lock()

    def name(self, token: str, now: datetime) -> str:
        """Whom the token names. Unauthenticated: it does not count; Unavailable: the provider does not answer."""
        claims = self._claims(token, now)
        name = claims.get(self._claim)
        if not isinstance(name, str) or not name:
            raise Unauthenticated(f"{REFUSED}: it has no {self._claim!r} (ACTINIUM_OIDC_CLAIM)")
        if self._claim == "email" and claims.get("email_verified") is not True:
            raise Unauthenticated(f"{REFUSED}: its provider has not verified the address {name[:120]!r}")
        return name

    def _claims(self, token: str, now: datetime) -> dict[str, Any]:
        wanted = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
        )
        try:
            claims = self._decoded(token, now).claims
            wanted.validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            reason = getattr(error, "error", "") or type(error).__name__
            raise Unauthenticated(f"{REFUSED} ({reason}); sign in again") from error
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != self._audience:
            raise Unauthenticated(f"{REFUSED}: it was made for another party; sign in again")
        return dict(claims)

    def _decoded(self, token: str, now: datetime) -> jwt.Token:
        try:
            return jwt.decode(token, self._keys_at(now, oldest=now - KEYS_LAST), algorithms=list(ALGORITHMS))
        except (JoseError, ValueError):  # the provider may have a new key
            return jwt.decode(token, self._keys_at(now, oldest=now - KEYS_REST), algorithms=list(ALGORITHMS))

    def _keys_at(self, now: datetime, *, oldest: datetime) -> KeySet:
        with self._lock:
            if self._keys is None or self._known_since is None or self._known_since <= oldest:
                self._keys, self._known_since = self._published(), now
            return self._keys

    def _published(self) -> KeySet:
        try:
            about = self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if about["issuer"] != self._issuer:
                raise ValueError("another issuer")
            return KeySet.import_key_set(self._fetch(about["jwks_uri"]))
        except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                f"the identity provider {self._issuer} does not answer as one ({type(error).__name__}); try again later"
            ) from error


def of(settings: Settings) -> Identities | None:
    """Those of the settings' provider; None where none is set."""
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_audience:
        raise StackError(
            "ACTINIUM_OIDC_AUDIENCE is not set; give the client id that the provider knows the dashboard by"
        )
    return Identities(issuer=settings.oidc_issuer, audience=settings.oidc_audience, claim=settings.oidc_claim)


def may_be(secret: str) -> bool:
    """Whether a secret has the form of a JWT: three parts with dots between, which no token of ours has."""
    return secret.count(".") == 2
