"""A real API on a free port of this machine."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from services.api.http_protocol import BoundedHeads


class Announced(uvicorn.Server):
    """A server that says when it listens, so that nobody has to poll."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, and says so."""
        await super().startup(sockets)
        self.listening.set()


@contextmanager
def served(app: FastAPI, **options: Any) -> Iterator[str]:
    """The address of the app while it runs; `options` are uvicorn's."""
    given = {"http": BoundedHeads, "log_config": None, "access_log": False, "timeout_graceful_shutdown": 1, **options}
    server = Announced(uvicorn.Config(app, **given))
    # IPPROTO_TCP by name: asyncio switches Nagle's delay off for such sockets only, 40 ms a request.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert server.listening.wait(30)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
