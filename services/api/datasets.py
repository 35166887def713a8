"""Routes of datasets: add one's own, list all."""

from datetime import datetime
from threading import BoundedSemaphore
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import Connection

from actinium.datasets.file import read_dataset, refusal
from actinium.datasets.names import Find
from actinium.datasets.table import DATASET_NAME, DATASETS, LONGEST_NAME, DatasetDefinition, StoredDataset
from actinium.errors import Conflict, TooLarge
from actinium.objectives import ObjectiveName
from db import datasets
from db.datasets import DatasetRow
from services.api.access import Caller, Database, Now
from services.api.body import read
from services.api.documents import Answer
from services.api.problem import UnsupportedMediaType
from services.api.references import settings_of

MEDIA = ("application/octet-stream", "application/zip", "application/x-zip-compressed")
BODY = {
    "requestBody": {
        "required": True,
        "description": "An .npz file of `inputs` [N, C, H, W] or [N, D] and `labels` [N].",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

router = APIRouter(prefix="/v1", tags=["datasets"])
CHECKING = BoundedSemaphore(2)
"""Files are inflated two at a time: each may need some gigabytes of memory."""


class DatasetDocument(Answer):
    """A dataset that studies can name. Those that come with the house have no SHA-256 and no owner."""

    name: str
    shape: tuple[int, int, int]
    classes: int
    objective: ObjectiveName
    examples: int
    official_test: int
    citation: str
    sha256: str | None = None
    label_counts: list[int] | None = None
    file_bytes: int | None = None
    owner: str | None = None
    created_at: datetime | None = None


async def npz_body(request: Request) -> bytes:
    """The file; TooLarge as soon as it is known to be, UnsupportedMediaType for anything that is called otherwise."""
    media = request.headers.get("content-type", MEDIA[0]).partition(";")[0].strip().lower()
    if media not in MEDIA:
        raise UnsupportedMediaType(f"the body is {media[:80]!r}; send the file with Content-Type: {MEDIA[0]}")
    settings = settings_of(request)
    limit = settings.max_dataset_bytes
    try:
        return await read(request, limit=limit, seconds=settings.dataset_seconds)
    except TooLarge as error:
        raise TooLarge(
            f"the file is larger than the {limit} bytes that are accepted; write it with numpy.savez_compressed, as "
            "uint8 if it can be, or give fewer examples (ACTINIUM_MAX_DATASET_BYTES is the limit)"
        ) from error


@router.post(
    "/datasets",
    status_code=201,
    responses={200: {"model": DatasetDocument, "description": "It was there already"}},
    openapi_extra=BODY,
)
def add(
    request: Request,
    response: Response,
    engine: Database,
    caller: Caller,
    at: Now,
    content: Annotated[bytes, Depends(npz_body)],
    name: Annotated[str, Query(max_length=LONGEST_NAME, pattern=f"^{DATASET_NAME}$")],
) -> DatasetDocument:
    """Adds a dataset under a name. The same arrays under the same name again change nothing, and answer 200."""
    if name in DATASETS:
        raise Conflict(f"{name!r} comes with the house; choose another name")
    if not content:
        raise refusal("", "the body is empty; send the .npz file as the body")
    with CHECKING:
        facts, counts = _checked(content, most_bytes=settings_of(request).max_dataset_array_bytes)
    with engine.begin() as connection:
        new = datasets.add(
            connection, name=name, stored=facts, label_counts=counts, content=content, owner=caller.name, now=at
        )
        row = datasets.get(connection, name)
    assert row is not None, "it was written in this transaction or seen by it"
    response.status_code = 201 if new else 200
    return _added(row)


@router.get("/datasets")
def ls(engine: Database) -> dict[str, list[DatasetDocument]]:
    """Every dataset: those of the house, then those that were added, by name."""
    with engine.begin() as connection:
        rows = datasets.ls(connection)
    return {"items": [*map(_of_the_house, DATASETS.values()), *map(_added, rows)]}


def _checked(content: bytes, *, most_bytes: int) -> tuple[StoredDataset, list[int]]:
    """Facts and label counts of the file; its arrays are freed on return."""
    arrays = read_dataset(content, most_bytes=most_bytes)
    return arrays.facts(), arrays.label_counts()


def finder(connection: Connection) -> Find:
    """A function that looks up a stored dataset by name, for resolving the names in a study document."""

    def find(name: str) -> StoredDataset | None:
        row = datasets.get(connection, name)
        return None if row is None else row.stored

    return find


def _of_the_house(definition: DatasetDefinition) -> DatasetDocument:
    return DatasetDocument(**_described(definition))


def _added(row: DatasetRow) -> DatasetDocument:
    return DatasetDocument(
        **_described(row.stored.definition(row.name)),
        sha256=row.stored.sha256,
        label_counts=row.label_counts,
        file_bytes=row.file_bytes,
        owner=row.owner,
        created_at=row.created_at,
    )


def _described(definition: DatasetDefinition) -> dict[str, Any]:
    fields = ("name", "shape", "classes", "objective", "examples", "official_test", "citation")
    return {field: getattr(definition, field) for field in fields}
