"""What a backup says of itself, and what its members may be called."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from db.dump import Table

FORMAT: Literal[1] = 1
MANIFEST = "manifest.json"
MANIFEST_DIGEST = "manifest.json.sha256"
ARTIFACTS = "artifacts"
PIECE = re.compile(r"(databases/(?:actinium|mlflow))/([A-Za-z_][A-Za-z0-9_]*)/[0-9]{6,}\.gz")
BLOCK_BYTES = 2**20

DatabaseName: TypeAlias = Literal["actinium", "mlflow"]


class Document(BaseModel):
    """A frozen document that has no fields but these."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(Document):
    """What lies under one folder of the file."""

    members: int
    bytes: int
    sha256: str


class Database(Document):
    """One database: the version of its schema, its tables in order of reference, rows by table, numbers given."""

    revision: str
    server: str
    tables: tuple[Table, ...]
    rows: Mapping[str, int]
    sequences: Mapping[str, int]
    part: Part


class Manifest(Document):
    """The whole. Where MLflow is somebody else's or was never started, there is nothing of it."""

    format: Literal[1] = FORMAT
    actinium: str
    mlflow: str
    created_at: datetime
    databases: Mapping[DatabaseName, Database]
    artifacts: Part | None


class Digest:
    """A part's digest while its members go by."""

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

    def part(self) -> Part:
        """What has gone by."""
        return Part(members=self._members, bytes=self._bytes, sha256=self._hash.hexdigest())


def folder_of(database: str) -> str:
    """Where a database's tables lie."""
    return f"databases/{database}"


def part_of(name: str) -> str | None:
    """The part that a member of this name belongs to; None for a name that no backup has."""
    if found := PIECE.fullmatch(name):
        return found[1]
    if name in (MANIFEST, MANIFEST_DIGEST):
        return MANIFEST
    first, *steps = name.split("/")
    safe = all(step not in ("", ".", "..") and "\\" not in step for step in steps)
    return ARTIFACTS if first == ARTIFACTS and steps and safe else None
