"""Requests to the REST API: where it is, who asks, what its errors mean, and when to ask again."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from actinium.errors import STATUS, Conflict, FieldError, InvalidInput, StackError, Unauthenticated, Unavailable
from actinium.home import ClientFile, default_home

ERRORS = {status: kind for kind, status in STATUS.items()}
PAUSES = (0.2, 0.6, 1.8)
"""Seconds before the second, third and fourth attempt."""
PATIENCE = 5
"""Seconds that a request waits at most before it is repeated after a 429."""
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout)
BROKEN = (httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError)


class ApiConnection:
    """A connection to one API with one token, over which requests are made.

    Address and token come from the arguments, else from ACTINIUM_URL and ACTINIUM_TOKEN, else from the client file of
    the local stack. The file's token is sent to the file's address only.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        home: Path | None = None,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        url = url or os.environ.get("ACTINIUM_URL")
        token = token or os.environ.get("ACTINIUM_TOKEN")
        file = None if url and token else ClientFile.read(home or default_home())
        if url is None and file is not None:
            url = file.url
        if url is None:
            raise StackError("no stack is known here; run `actinium up`, or set ACTINIUM_URL and ACTINIUM_TOKEN")
        if token is None and file is not None and file.url.rstrip("/") == url.rstrip("/"):
            token = file.token
        if token is None:
            raise Unauthenticated(f"there is no token for {url}; set ACTINIUM_TOKEN")
        if not token.isascii() or not token.isprintable():
            raise Unauthenticated("the token holds characters that no token has; check ACTINIUM_TOKEN")
        self.url = url.rstrip("/")
        self._sleep = sleep
        try:
            self._http = httpx.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {token}", "User-Agent": "actinium-client"},
                timeout=httpx.Timeout(timeout, connect=5.0),
                transport=transport,
            )
        except httpx.InvalidURL as error:
            raise InvalidInput(f"{url!r} is no address; give http://HOST:PORT") from error

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def request(self, method: str, path: str, *, repeatable: bool | None = None, **given: Any) -> httpx.Response:
        """One request, asked again while the API cannot be reached.

        A `repeatable` one (by default GET) is also asked again when the connection broke, the answer was 503, or it was
        429 with a short time to wait.
        """
        again = method == "GET" if repeatable is None else repeatable
        for pause in (*PAUSES, None):
            try:
                response = self._http.request(method, path, **given)
                wait = _wait(response, pause)
                if not again or pause is None or wait is None:
                    return checked(response)
                pause = wait
            except (*UNSENT, *BROKEN) as error:
                if pause is None or not (isinstance(error, UNSENT) or again):
                    raise self._unavailable(error) from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._unavailable(error) from error
            self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def stream(self, path: str, *, read_timeout: float = 60.0, **given: Any) -> Iterator[httpx.Response]:
        """A GET whose answer is read piece by piece; the caller asks again."""
        timeout = httpx.Timeout(read_timeout, connect=5.0)
        try:
            with self._http.stream("GET", path, timeout=timeout, **given) as response:
                if response.is_error:
                    response.read()
                yield checked(response)
        except httpx.HTTPError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> Unavailable:
        return Unavailable(
            f"{self.url} does not answer ({type(error).__name__}); `actinium status` shows the local stack"
        )


def _wait(response: httpx.Response, pause: float | None) -> float | None:
    """Seconds after which an answer may be another one: `pause` where the service is away, what it says itself where it
    is asked too often; None where it is final, or would be for too long.
    """
    if response.status_code == 429:
        said = response.headers.get("Retry-After", "")
        return float(said) if said.isascii() and said.isdigit() and len(said) < 4 and int(said) <= PATIENCE else None
    return pause if response.status_code == 503 else None


def checked(response: httpx.Response) -> httpx.Response:
    """The response; where it is a problem+json, the error of `actinium.errors` that it stands for is raised."""
    if response.is_success:
        return response
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict) or "status" not in document:
        raise Unavailable(
            f"{response.url} answered {response.status_code}, and not as this service does; check the address"
        )
    detail = str(document.get("detail") or document.get("title"))
    faults = [FieldError(str(item["path"]), str(item["message"])) for item in document.get("errors", [])]
    status = response.status_code
    kind = ERRORS.get(status, InvalidInput if status < 500 else Unavailable)
    if kind is Conflict:
        raise Conflict(detail, tuple(document.get("study_ids", ())))
    raise InvalidInput(detail, faults) if kind is InvalidInput else kind(detail)
