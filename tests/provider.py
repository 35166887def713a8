"""An OpenID Connect provider for tests: it publishes its key, and lets everybody in as the one it is told."""

import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

AUDIENCE = "actinium-dashboard"


class Provider:
    """Signs what it is asked to. `issuer` is its address."""

    def __init__(self, issuer: str = "https://id.example") -> None:
        self.issuer = issuer
        self.key = ECKey.generate_key("P-256", {"kid": "first"})
        self.fetched: list[str] = []
        self.who = "ada@example.org"
        self._nonces: dict[str, str] = {}

    def token(
        self, *, key: ECKey | RSAKey | None = None, alg: str = "ES256", now: float | None = None, **claims: Any
    ) -> str:
        """An identity token; claims may be given, or left out with None."""
        at = int(time.time() if now is None else now)
        usual = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "17",
            "iat": at,
            "exp": at + 600,
            "email": self.who,
            "email_verified": True,
        }
        body = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        signed = key or self.key
        return jwt.encode({"alg": alg, "kid": signed.kid}, body, signed, algorithms=[alg])

    def fetch(self, address: str) -> Any:
        """What is published there."""
        self.fetched.append(address)
        if address == f"{self.issuer}/.well-known/openid-configuration":
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }
        assert address == f"{self.issuer}/keys", address
        return {"keys": [self.key.as_dict(private=False)]}

    def app(self) -> Starlette:
        """The provider as a service. Everybody who is sent to it is let in at once."""

        def published(request: Request) -> Response:
            return JSONResponse(self.fetch(f"{self.issuer}{request.url.path}"))

        def authorize(request: Request) -> Response:
            code = f"code-{len(self._nonces)}"
            self._nonces[code] = request.query_params.get("nonce", "")
            back = request.query_params["redirect_uri"]
            return RedirectResponse(f"{back}?code={code}&state={request.query_params['state']}")

        async def token(request: Request) -> Response:
            form = await request.form()
            nonce = self._nonces.pop(str(form["code"]))
            answer = {"access_token": "x", "token_type": "Bearer", "expires_in": 600}
            return JSONResponse({**answer, "id_token": self.token(nonce=nonce or None)})

        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", published),
                Route("/keys", published),
                Route("/authorize", authorize),
                Route("/token", token, methods=["POST"]),
            ]
        )
