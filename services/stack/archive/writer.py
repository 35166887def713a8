"""Writing a backup's file: as a stream, renamed to its final name only once it is complete."""

import fcntl
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from actinium.errors import StackError
from services.stack.archive.manifest import ARTIFACTS, MANIFEST, MANIFEST_DIGEST, Digest, Manifest

PIECE_BYTES = 16 * 2**20
"""Bytes of rows in one piece, before compression."""
LEVEL = 1
"""zlib's level: higher ones cost more time than they save space."""


class Writer:
    """Appends members to an open file, which need not be seekable."""

    def __init__(self, file: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def rows(self, folder: str, blocks: Iterable[bytes], digest: Digest) -> int:
        """A table's rows, in pieces; how many rows."""
        rows = 0
        for number, piece in enumerate(_pieces(blocks)):
            rows += piece.count(b"\n")
            packed = zlib.compress(piece, level=LEVEL, wbits=31)
            self._add(f"{folder}/{number:06}.gz", io.BytesIO(packed), len(packed), digest)
        return rows

    def artifacts(self, root: Path, digest: Digest) -> None:
        """Every file under a folder, in order of path. What grows meanwhile is cut; links are left out."""
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as content:
                    size = os.fstat(content.fileno()).st_size
                    self._add(f"{ARTIFACTS}/{path.relative_to(root).as_posix()}", content, size, digest)

    def end(self, manifest: Manifest) -> None:
        """The manifest and its digest."""
        document = manifest.model_dump_json(indent=1).encode()
        told = hashlib.sha256(document).hexdigest().encode()
        self._add(MANIFEST, io.BytesIO(document), len(document), Digest())
        self._add(MANIFEST_DIGEST, io.BytesIO(told), len(told), Digest())
        self._tar.close()

    def _add(self, name: str, content: IO[bytes], size: int, digest: Digest) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        digest.begin(name, size)
        try:
            self._tar.addfile(member, _Heard(content, digest))
        except OSError as error:
            if error.args == ("unexpected end of data",):
                raise StackError(f"{name} became shorter while it was read; try again") from error
            raise


class _Heard:
    """A file whose bytes go into a digest as they are read."""

    def __init__(self, file: IO[bytes], digest: Digest) -> None:
        self._file, self._digest = file, digest

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self._digest.update(block)
        return block


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks joined until they make a piece; a table without rows gives none."""
    waiting = bytearray()
    for block in blocks:
        waiting += block
        if len(waiting) >= PIECE_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


@contextmanager
def created(path: Path) -> Iterator[IO[bytes]]:
    """A file that has its name only once it is whole and on the disk. StackError when the name is taken."""
    draft = path.with_name(f".{path.name}.part")
    _refuse_taken(path)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600), "wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StackError(f"another backup is being written to {path}; give another name") from error
            try:
                os.fchmod(file.fileno(), 0o600)  # what one that was killed has left may be older
                file.truncate(0)
                yield file
                file.flush()
                os.fsync(file.fileno())
                _refuse_taken(path)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
        _keep_name(path.parent)
    except OSError as error:
        raise StackError(f"{path} cannot be written: {error.strerror or error}; nothing is left of it") from error


def _refuse_taken(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise StackError(f"{path} is there already, and a backup replaces nothing; give another name")


def _keep_name(folder: Path) -> None:
    """Sync the folder: only then is a new name safe from a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
