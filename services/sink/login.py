"""MLflow's server behind a login: `mlflow server --app-name actinium`, with one user for all who may look.

MLflow has a login of its own (`basic-auth`), which wants another package, keeps users in a database of its own, and
asks it with each request. Whoever is let in here may do everything, as the mirror may: it is a team's, and can be made
anew (`actinium mirror`).
"""

import base64
import hmac
import os

from starlette.types import ASGIApp, Receive, Scope, Send

USER = "ACTINIUM_MLFLOW_USER"
PASSWORD = "ACTINIUM_MLFLOW_PASSWORD"  # noqa: S105 - the name of a variable
OPEN = ("/health",)
"""What a health check asks, without a secret."""
CHALLENGE = (b"www-authenticate", b'Basic realm="MLflow", charset="UTF-8"')


class Login:
    """An app behind HTTP's basic authentication."""

    def __init__(self, app: ASGIApp, *, user: str, password: str) -> None:
        self._app = app
        self._wanted = b"Basic " + base64.b64encode(f"{user}:{password}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through who says the two words; 401 to others, and nothing but a refusal to their WebSockets."""
        if scope["type"] == "lifespan" or scope.get("path") in OPEN or self._said(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [CHALLENGE, (b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b"user and password are asked for\n"})

    def _said(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(given[0], self._wanted)


def create_app() -> ASGIApp:
    """MLflow's own app behind the login. The password is in the environment; without one nothing is served."""
    password = os.environ.get(PASSWORD)
    if not password:
        raise SystemExit(f"{PASSWORD} is not set: MLflow is not served without a login; set it, in .env")
    from mlflow.server.fastapi_app import app  # it reads its settings when it is imported

    inner: ASGIApp = app
    return Login(inner, user=os.environ.get(USER) or "actinium", password=password)
