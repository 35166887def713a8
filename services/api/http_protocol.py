"""HTTP/1.1 with a deadline for a request's head: a client that does not send it in time is disconnected."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class BoundedHeads(H11Protocol):
    """Uvicorn's protocol with a deadline for each head (request line and headers). Uvicorn itself waits for ever for
    the end of a head that has begun, and a few thousand such connections use up every file descriptor of the service.
    The size of heads is bounded by h11 (64 KiB), bodies by `services.api.body`.
    """

    head_seconds = 20.0

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._until = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """The deadline of the first head begins."""
        super().connection_made(transport)
        self._until = self.loop.time() + self.head_seconds
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Uvicorn cancels its timer with each byte; while a head is not complete, the deadline that it had is set
        again.
        """
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._wait()

    def on_response_complete(self) -> None:
        """The deadline of the next head begins, after the time that a connection may be idle."""
        super().on_response_complete()
        self._until = self.loop.time() + self.timeout_keep_alive + self.head_seconds

    def _wait(self) -> None:
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_at(self._until, self.timeout_keep_alive_handler)
