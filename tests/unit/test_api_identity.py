"""Identity tokens: one provider's, for one audience, in their time, signed with its key; anything else names nobody."""

import base64
import hmac
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from provider import AUDIENCE, Provider

from actinium.errors import StackError, Unauthenticated, Unavailable
from services.api.identity import Identities, may_be, of
from services.api.provider_keys import KEYS_KEPT, KEYS_LAST, KEYS_REST
from services.settings import Settings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STAMP = NOW.timestamp()


@pytest.fixture(scope="module")
def provider() -> Provider:
    """Somebody else's service."""
    return Provider()


@pytest.fixture
def identities(provider: Provider) -> Identities:
    """Its people here."""
    return Identities(issuer=provider.issuer, audience=AUDIENCE, claim="email", fetch=provider.fetch)


def test_who_is_named(provider: Provider, identities: Identities) -> None:
    """Up to the end of the token, give or take the leeway; with several audiences if it was made for ours."""
    token = provider.token(now=STAMP)
    assert may_be(token)
    assert identities.name(token, NOW) == "ada@example.org"
    assert identities.name(token, NOW + timedelta(seconds=600)) == "ada@example.org"
    assert identities.name(provider.token(now=STAMP, aud=[AUDIENCE, "b"], azp=AUDIENCE), NOW) == "ada@example.org"
    other = Identities(issuer=provider.issuer, audience=AUDIENCE, claim="sub", fetch=provider.fetch)
    assert other.name(provider.token(now=STAMP, email_verified=None), NOW) == "17"


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("another issuer", {"iss": "https://evil.example"}),
    ("no issuer", {"iss": None}),
    ("another audience", {"aud": "mail"}),
    ("no audience", {"aud": None}),
    ("made for another party", {"aud": [AUDIENCE, "b"], "azp": "b"}),
    ("several audiences, made for nobody", {"aud": [AUDIENCE, "b"]}),
    ("over", {"exp": STAMP - 31}),
    ("without end", {"exp": None}),
    ("an end that is none", {"exp": "soon"}),
    ("not yet", {"nbf": STAMP + 3600}),
    ("no name", {"email": None}),
    ("an empty name", {"email": ""}),
    ("a name that is none", {"email": ["ada@example.org"]}),
    ("not verified", {"email_verified": False}),
    ("not said to be verified", {"email_verified": None}),
    ("verified in words", {"email_verified": "true"}),
]


def test_claims_that_do_not_count(provider: Provider, identities: Identities, subtests: pytest.Subtests) -> None:
    for case, claims in REFUSED:
        with subtests.test(case=case), pytest.raises(Unauthenticated, match="identity token is not accepted"):
            identities.name(provider.token(now=STAMP, **claims), NOW)


def test_signatures_that_do_not_count(provider: Provider, identities: Identities, subtests: pytest.Subtests) -> None:
    """A stranger's key, none, the public key taken for a shared secret, words changed afterwards, an old key."""

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).decode().rstrip("=")

    head, body, signature = provider.token(now=STAMP).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    admin = part(json.dumps(claims | {"email": "admin@example.org"}).encode())
    none, hashed = (part(json.dumps({"alg": alg, "kid": "first"}).encode()) for alg in ("none", "HS256"))
    mac = hmac.digest(provider.key.as_pem(private=False), f"{hashed}.{body}".encode(), "sha256")
    own = ECKey.generate_key("P-256", {"kid": "own"})
    cases = {
        "a stranger's": provider.token(now=STAMP, key=ECKey.generate_key("P-256", {"kid": "first"})),
        "a stranger's, by another name": provider.token(now=STAMP, key=ECKey.generate_key("P-256", {"kid": "x"})),
        "another kind of key": provider.token(now=STAMP, key=RSAKey.generate_key(2048, {"kid": "first"}), alg="RS256"),
        "the public key as a shared secret": f"{hashed}.{body}.{part(mac)}",
        "none": f"{none}.{body}.",
        "changed": f"{head}.{admin}.{signature}",
        "cut": f"{head}.{body}.{signature[:-4]}",
        "a key that it brings along": jwt.encode({"alg": "ES256", "jwk": own.as_dict(private=False)}, claims, own),
        "no token": "a.b.c",
        "empty": "..",
        "no JSON": f"{head}.{part(b'hello')}.{signature}",
    }
    for case, token in cases.items():
        with subtests.test(case=case), pytest.raises(Unauthenticated):
            identities.name(token, NOW)


def test_a_new_key_is_found_and_nobody_can_have_it_asked_for_without_end() -> None:
    provider = Provider()
    identities = Identities(issuer=provider.issuer, audience=AUDIENCE, claim="email", fetch=provider.fetch)
    first = provider.token(now=STAMP)
    identities.name(first, NOW)
    identities.name(first, NOW)
    assert len(provider.fetched) == 2
    provider.key = ECKey.generate_key("P-256", {"kid": "second"})
    second = provider.token(now=STAMP)
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            identities.name(second, NOW + KEYS_REST / 2)
    assert len(provider.fetched) == 2
    assert identities.name(second, NOW + KEYS_REST) == "ada@example.org"
    with pytest.raises(Unauthenticated):
        identities.name(first, NOW + KEYS_REST)
    assert len(provider.fetched) == 4
    identities.name(second, NOW + KEYS_REST + KEYS_LAST - timedelta(seconds=60))
    assert len(provider.fetched) == 4


def test_a_provider_that_does_not_answer_is_no_fault_of_who_asks(provider: Provider) -> None:
    def away(address: str) -> Any:
        raise httpx.ConnectError("no")

    answers: list[Any] = [
        away,
        lambda address: provider.fetch(address) | {"issuer": "https://evil.example"},
        lambda address: [],
        lambda address: {"issuer": provider.issuer},
    ]
    for fetch in answers:
        with pytest.raises(Unavailable, match=r"https://id.example does not answer as one"):
            Identities(issuer=provider.issuer, audience=AUDIENCE, claim="email", fetch=fetch).name(
                provider.token(now=STAMP), NOW
            )


def test_a_provider_that_fails_is_asked_seldom_and_its_old_keys_count() -> None:
    """For a day: whoever was let in before still is, and nobody waits for it."""
    provider, asked = Provider(), list[str]()
    away = False

    def fetch(address: str) -> Any:
        asked.append(address)
        if away:
            raise httpx.ReadTimeout("slow")
        return provider.fetch(address)

    identities = Identities(issuer=provider.issuer, audience=AUDIENCE, claim="email", fetch=fetch)
    token = provider.token(now=STAMP, exp=STAMP + 10**6)
    assert identities.name(token, NOW) == "ada@example.org"
    away, later = True, NOW + 2 * KEYS_LAST
    asked.clear()
    for second in range(60):
        at = later + timedelta(seconds=second / 60)
        assert identities.name(token, at) == "ada@example.org"
        with pytest.raises(Unavailable):
            identities.name("a.b.c", at)
    assert len(asked) <= 2, "and not once for each of them"
    with pytest.raises(Unavailable):
        identities.name(token, NOW + KEYS_KEPT)
    away = False
    assert identities.name(token, NOW + KEYS_KEPT + timedelta(minutes=2)) == "ada@example.org"


def test_nobody_waits_for_another_who_asks_a_slow_provider() -> None:
    provider, asking, answers = Provider(), threading.Event(), threading.Event()

    def fetch(address: str) -> Any:
        asking.set()
        assert answers.wait(30)
        return provider.fetch(address)

    identities = Identities(issuer=provider.issuer, audience=AUDIENCE, claim="email", fetch=fetch)
    token, found = provider.token(now=STAMP), list[str]()
    first = threading.Thread(target=lambda: found.append(identities.name(token, NOW)))
    first.start()
    try:
        assert asking.wait(30)
        with pytest.raises(Unavailable, match="it is being asked already"):
            identities.name(token, NOW)
    finally:
        answers.set()
        first.join(30)
    assert found == ["ada@example.org"] and identities.name(token, NOW) == "ada@example.org"


def test_what_is_set_half_is_said_at_the_start() -> None:
    assert of(Settings(oidc_issuer=None)) is None
    assert of(Settings(oidc_issuer="")) is None
    with pytest.raises(StackError, match="ACTINIUM_OIDC_AUDIENCE is not set"):
        of(Settings(oidc_issuer="https://id.example"))
    for issuer in ("http://id.example", "file:///etc", "id.example"):
        with pytest.raises(StackError, match="ACTINIUM_OIDC_ISSUER"):
            of(Settings(oidc_issuer=issuer, oidc_audience="x"))
    assert not may_be("act_" + "x" * 43)
