"""What a backup says of itself, and what its members may be called."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias

from actinium.document import Document
from db.dump import Table

FORMAT: Literal[1] = 1
MANIFEST = "manifest.json"
MANIFEST_DIGEST = "manifest.json.sha256"
ARTIFACTS = "artifacts"
PIECE = re.compile(r"(databases/(?:actinium|mlflow))/([A-Za-z_][A-Za-z0-9_]*)/[0-9]{6,}\.gz")
BLOCK_BYTES = 2**20

DatabaseName: TypeAlias = Literal["actinium", "mlflow"]


class Section(Document):
    """All members under one folder of the file: how many, their bytes in all, and one SHA-256 over them in order."""

    members: int
    bytes: int
    sha256: str


class DatabaseManifest(Document):
    """One database of a backup: its schema's version, the server's version, its tables (each after those it refers to),
    rows by table, and the last value of each sequence. `part` is what format 1 calls the section of its rows.
    """

    revision: str
    server: str
    tables: tuple[Table, ...]
    rows: Mapping[str, int]
    sequences: Mapping[str, int]
    part: Section


class Manifest(Document):
    """Everything in a backup. `mlflow` is missing from `databases`, and `artifacts` is null, where MLflow is somebody
    else's or was never started.
    """

    format: Literal[1] = FORMAT
    actinium: str
    mlflow: str
    created_at: datetime
    databases: Mapping[DatabaseName, DatabaseManifest]
    artifacts: Section | None


class Digest:
    """The digest of a section, fed with its members as they are written or read."""

    def __init__(self) -> None:
        self._members, self._bytes, self._hash = 0, 0, hashlib.sha256()

    def begin(self, name: str, size: int) -> None:
        """The next member."""
        self._members += 1
        self._bytes += size
        self._hash.update(f"{name}\0{size}\0".encode(errors="surrogateescape"))

    def update(self, block: bytes) -> None:
        """More of its content."""
        self._hash.update(block)

    def section(self) -> Section:
        """The section, as far as it was fed."""
        return Section(members=self._members, bytes=self._bytes, sha256=self._hash.hexdigest())


def folder_of(database: str) -> str:
    """Where a database's tables lie."""
    return f"databases/{database}"


def section_of(name: str) -> str | None:
    """The section that a member of this name belongs to; None for a name that no backup has."""
    if found := PIECE.fullmatch(name):
        return found[1]
    if name in (MANIFEST, MANIFEST_DIGEST):
        return MANIFEST
    first, *steps = name.split("/")
    safe = all(step not in ("", ".", "..") and "\\" not in step for step in steps)
    return ARTIFACTS if first == ARTIFACTS and steps and safe else None
