"""A buffer between a library that writes a file and a response that sends it piece by piece."""

import io
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse

PIECE_BYTES = 2**18


class StreamBuffer(io.RawIOBase):
    """A writable file whose content leaves it again: `take` gives what was written since the last call."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Append to what the next `take` hands out."""
        piece = bytes(data)
        self._pieces.append(piece)
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Bytes written so far."""
        return self._written

    def take(self) -> bytes:
        """The bytes written since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def in_pieces(content: bytes, *, media_type: str) -> StreamingResponse:
    """A large answer that is there already. Sent piece by piece, it is not copied whole into the connection's buffer,
    and the request lasts as long as the client takes to read it, so that what bounds requests bounds this memory too.
    """

    async def pieces() -> AsyncIterator[memoryview]:
        for start in range(0, len(content), PIECE_BYTES):
            yield memoryview(content)[start : start + PIECE_BYTES]

    return StreamingResponse(pieces(), media_type=media_type, headers={"Content-Length": str(len(content))})
