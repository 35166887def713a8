"""OpenID Connect: whom a provider's identity token names (OpenID Connect Core 1.0, section 3.1.3.7).

The provider says who somebody is, and nothing else: what they may do is what the service's own tokens of that name may.
"""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.errors import JoseError

from actinium.errors import StackError, Unauthenticated
from services.api.provider_keys import KEYS_LAST, KEYS_REST, Fetch, ProviderKeys, fetched
from services.settings import Settings

ALGORITHMS = ("RS256", "PS256", "ES256")
"""Signatures with a key of the provider's. Not `none`, nor a shared secret, for which a public key could be taken."""
LEEWAY_SECONDS = 30
"""How far the provider's clock may be from ours."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
REFUSED = "the identity token is not accepted"


class Identities:
    """Checks identity tokens of one provider for one audience, with the keys that the provider publishes."""

    def __init__(self, *, issuer: str, audience: str, claim: str, fetch: Fetch = fetched) -> None:
        parts = urlsplit(issuer)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise StackError(f"ACTINIUM_OIDC_ISSUER: {issuer!r} is not accepted; give the provider's https:// address")
        self._issuer, self._audience, self._claim = issuer, audience, claim
        self._keys = ProviderKeys(issuer, fetch=fetch)

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
            keys = self._keys.at(now, newer_than=KEYS_LAST, or_stale=True)
            return jwt.decode(token, keys, algorithms=list(ALGORITHMS))
        except (JoseError, ValueError):  # the provider may have a new key
            keys = self._keys.at(now, newer_than=KEYS_REST, or_stale=False)
            return jwt.decode(token, keys, algorithms=list(ALGORITHMS))


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
