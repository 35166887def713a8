"""Datasets that people add: a name, and once for each content the file and what it holds."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select
from sqlalchemy.dialects.postgresql import insert

from actinium.datasets.table import StoredDataset
from actinium.errors import Conflict
from db.documents import check, storable
from db.limits import UNLIMITED, Quota, check_datasets, take_turn
from db.models import dataset_contents, dataset_pieces, datasets

PIECE_BYTES = 2**23
"""Bytes of a file in one row: server and client hold one piece at a time, not the whole file in one message."""


@dataclass(frozen=True, kw_only=True)
class DatasetRow:
    """A dataset as it is listed."""

    name: str
    stored: StoredDataset
    label_counts: list[int]
    file_bytes: int
    owner: str
    created_at: datetime
    recognized: dict[str, Any] | None


def add(
    conn: Connection,
    *,
    name: str,
    stored: StoredDataset,
    label_counts: list[int],
    content: bytes,
    owner: str,
    now: datetime,
    recognized: Mapping[str, Any] | None = None,
    quota: Quota = UNLIMITED,
) -> bool:
    """Keep a dataset under a name; whether it is new. A name means one content until it is deleted: Conflict otherwise.
    Forbidden, for the caller to roll back: the owner would have more bytes than their quota.

    The file is written once for each SHA-256, however many names there are. `recognized`: how it was understood.
    """
    check({"name": name, "owner": owner, "recognized": recognized})
    facts = {
        "sha256": stored.sha256,
        "shape": list(stored.shape),
        "classes": stored.classes,
        "examples": stored.examples,
        "label_counts": label_counts,
        "file_bytes": len(content),
        "official_validation": stored.official_validation,
        "official_test": stored.official_test,
    }
    take_turn(conn, owner=owner, quota=quota)
    # Waits for a transaction that is writing the same content or name; what it made is then seen below.
    unseen = insert(dataset_contents).values(facts).on_conflict_do_nothing().returning(dataset_contents.c.sha256)
    if conn.execute(unseen).scalar_one_or_none() is not None:
        for index, piece in enumerate(_pieces(content)):
            conn.execute(insert(dataset_pieces).values(_piece(stored.sha256, index, piece)))
    row = {"name": name, "sha256": stored.sha256, "owner": owner, "created_at": now, "recognized": recognized}
    named = conn.execute(insert(datasets).values(row).on_conflict_do_nothing().returning(datasets.c.name))
    if named.scalar_one_or_none() is not None:
        check_datasets(conn, owner=owner, quota=quota)
        return True
    known = get(conn, name)
    if known is None or known.stored.sha256 != stored.sha256:
        raise Conflict(f"{name!r} is another dataset already, and studies rely on it; choose another name")
    return False


def get(conn: Connection, name: str) -> DatasetRow | None:
    """The dataset of a name, if there is one."""
    if not storable(name):
        return None
    row = conn.execute(_selected().where(datasets.c.name == name)).one_or_none()
    return None if row is None else _dataset(row)


def ls(conn: Connection) -> list[DatasetRow]:
    """All datasets, by name."""
    return [_dataset(row) for row in conn.execute(_selected().order_by(datasets.c.name))]


def content(conn: Connection, sha256: str) -> bytes | None:
    """The file of a content, if there is one."""
    wanted = select(dataset_pieces.c.content).where(dataset_pieces.c.sha256 == sha256)
    pieces = conn.execute(wanted.order_by(dataset_pieces.c.index)).scalars().all()
    return b"".join(pieces) if pieces else None


def _piece(sha256: str, index: int, content: bytes) -> dict[str, Any]:
    return {"sha256": sha256, "index": index, "content": content, "digest": hashlib.sha256(content).digest()}


def _pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


def _selected() -> Select[Any]:
    return select(datasets, *(column for column in dataset_contents.c if column.name != "sha256")).join(
        dataset_contents, datasets.c.sha256 == dataset_contents.c.sha256
    )


def _dataset(row: Row[Any]) -> DatasetRow:
    stored = StoredDataset(
        sha256=row.sha256,
        shape=tuple(row.shape),
        classes=row.classes,
        examples=row.examples,
        official_validation=row.official_validation,
        official_test=row.official_test,
    )
    return DatasetRow(
        name=row.name,
        stored=stored,
        label_counts=list(row.label_counts),
        file_bytes=row.file_bytes,
        owner=row.owner,
        created_at=row.created_at,
        recognized=row.recognized,
    )
