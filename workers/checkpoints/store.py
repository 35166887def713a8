"""Where checkpoints lie: files named by what is in them, in one folder or at any address that fsspec knows.

A file is told of once it is whole, and never written again: nobody can overwrite what somebody else goes on from, and
what is torn or foreign does not fit its name. An installation needs a folder of its own, in which it may sweep.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import fsspec

from actinium.errors import CheckpointUnusable, InvalidInput

NAME = re.compile(r"[0-9a-f]{64}\.npz")


class CheckpointStore:
    """The checkpoints at one address. Raises what the file system does, mostly OSError."""

    def __init__(self, address: str) -> None:
        """Raises InvalidInput for an address that fsspec does not know, or lacks a package for."""
        self._files: Any
        try:
            self._files, self._root = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise InvalidInput(f"ACTINIUM_CHECKPOINTS: {address!r} is not accepted: {error}") from error

    def save(self, content: bytes) -> str:
        """Write it; its name."""
        name = f"{hashlib.sha256(content).hexdigest()}.npz"
        self._files.makedirs(self._root, exist_ok=True)
        self._files.pipe_file(self._path(name), content)
        return name

    def load(self, name: str) -> bytes:
        """What was saved under a name. Raises CheckpointUnusable where that is not what is there."""
        content: bytes = self._files.cat_file(self._path(name))
        if hashlib.sha256(content).hexdigest() != name.removesuffix(".npz"):
            raise CheckpointUnusable(f"{name} is torn: its content is not what it is named after")
        return content

    def names(self) -> frozenset[str]:
        """All checkpoints that are there, torn ones included, and nothing else that lies beside them."""
        self._files.invalidate_cache()
        if not self._files.isdir(self._root):
            return frozenset()
        found = {path.rstrip("/").rsplit("/", 1)[-1] for path in self._files.ls(self._root, detail=False)}
        return frozenset(name for name in found if NAME.fullmatch(name))

    def remove(self, names: Iterable[str]) -> None:
        """Remove them; what is gone already is no fault."""
        for name in names:
            try:
                self._files.rm_file(self._path(name))
            except FileNotFoundError:
                continue

    def _path(self, name: str) -> str:
        if not NAME.fullmatch(name):
            raise CheckpointUnusable(f"{name!r} is no name of a checkpoint")
        return f"{self._root}/{name}"
