"""One HTTP/1.1 connection: whoever does not send the head of a request in time is hung up on."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """Uvicorn's, which waits for ever for the end of a head that has begun: a few thousand such connections, which cost
    their sender nothing, would be all that the service can have. Heads are bounded by h11 (64 KiB), bodies by
    `services.api.body`.
    """

    head_seconds = 20.0

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._until = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """The first head is waited for."""
        super().connection_made(transport)
        self._until = self.loop.time() + self.head_seconds
        self._wait()

    def data_received(self, data: bytes) -> None:
        """A head that is not whole yet is waited for no longer than it was before."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._wait()

    def on_response_complete(self) -> None:
        """The next head is waited for."""
        super().on_response_complete()
        self._until = self.loop.time() + self.timeout_keep_alive + self.head_seconds

    def _wait(self) -> None:
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_at(self._until, self.timeout_keep_alive_handler)
