"""Routes of datasets: add one's own, list all."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Engine

from actinium.datasets import tabular
from actinium.datasets.archive import is_zip, refusal
from actinium.datasets.layouts import LayoutName
from actinium.datasets.names import Find
from actinium.datasets.recognition import Wishes, recognize
from actinium.datasets.said import Recognized
from actinium.datasets.table import DATASETS, LONGEST_NAME, DatasetDefinition, StoredDataset
from actinium.errors import Conflict, TooLarge
from actinium.names import DATASET_NAME, matching
from actinium.objectives import ObjectiveName
from db import datasets, deletion
from db.datasets import DatasetRow
from db.engine import retry_deadlocks
from services.api.access import Caller, Database, Now, OwnDataset, quota_of
from services.api.body import spooled
from services.api.documents import Answer
from services.api.gates import at_work
from services.api.problem import UnsupportedMediaType
from services.api.references import settings_of

MEDIA = (
    "application/octet-stream",
    "application/zip",
    "application/x-zip-compressed",
    "application/vnd.apache.parquet",
    "text/csv",
)
BODY = {
    "requestBody": {
        "required": True,
        "description": "An .npz file of inputs and labels or targets, as it is; or a CSV or Parquet file.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
FOREIGN = {
    b"\x93NUMPY": "an .npy file holds one array; inputs and labels are two: numpy.savez(FILE, inputs=..., labels=...)",
    b"\x89HDF": "HDF5 files are not read; write the arrays with numpy.savez(FILE, inputs=..., labels=...)",
    b"MATLAB": "MATLAB's files are not read; write the arrays with numpy.savez(FILE, inputs=..., labels=...)",
    b"\x80": "a pickle is never opened; write the arrays with numpy.savez(FILE, inputs=..., labels=...)",
}
"""By a file's first bytes: what it is, and the mend."""

router = APIRouter(prefix="/v1", tags=["datasets"])


class DatasetDocument(Answer):
    """A dataset that studies can name. Those that come with the house have no SHA-256, no owner, and nothing that was
    recognized.
    """

    name: str
    shape: tuple[int, int, int]
    classes: int
    objective: ObjectiveName
    examples: int
    official_validation: int
    official_test: int
    citation: str
    sha256: str | None = None
    label_counts: list[int] | None = None
    file_bytes: int | None = None
    owner: str | None = None
    created_at: datetime | None = None
    recognized: Recognized | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A dataset as it is kept: facts, examples of each class, the file's bytes, and what was recognized."""

    stored: StoredDataset
    label_counts: list[int]
    content: bytes
    recognized: Recognized


async def file_body(request: Request) -> bytes:
    """The file; TooLarge as soon as it is known to be, UnsupportedMediaType for anything that is called otherwise."""
    media = request.headers.get("content-type", MEDIA[0]).partition(";")[0].strip().lower()
    if media not in MEDIA:
        raise UnsupportedMediaType(f"the body is {media[:80]!r}; send the file with Content-Type: {MEDIA[0]}")
    settings = settings_of(request)
    limit = settings.max_dataset_bytes
    try:
        file = await spooled(request, limit=limit, seconds=settings.dataset_seconds)
    except TooLarge as error:
        raise TooLarge(
            f"the file is larger than the {limit} bytes that are accepted; write it with numpy.savez_compressed, as "
            "uint8 if it can be, or give fewer examples (ACTINIUM_MAX_DATASET_BYTES is the limit)"
        ) from error
    with file:
        await at_work(request)
        return await run_in_threadpool(file.read)


@router.post(
    "/datasets",
    status_code=201,
    responses={200: {"model": DatasetDocument, "description": "It was there already"}},
    openapi_extra=BODY,
)
@retry_deadlocks
def add(
    request: Request,
    response: Response,
    engine: Database,
    caller: Caller,
    at: Now,
    content: Annotated[bytes, Depends(file_body)],
    name: Annotated[str, Query(max_length=LONGEST_NAME, pattern=DATASET_NAME.pattern)],
    layout: Annotated[
        LayoutName | None, Query(description="The order of the inputs' axes, where their shape does not tell it.")
    ] = None,
    objective: Annotated[
        ObjectiveName | None, Query(description="Whether classes or numbers are learned, where it cannot be told.")
    ] = None,
    label: Annotated[
        str | None, Query(max_length=200, description="The column of a CSV or Parquet file that is to be learned.")
    ] = None,
) -> DatasetDocument:
    """Adds a dataset under a name, and says what was recognized. The same arrays under the same name again change
    nothing, and answer 200.
    """
    if (taken := matching(name, DATASETS)) is not None:
        raise Conflict(f"{name!r} means {taken}, which comes with the house; choose another name")
    if not content:
        raise refusal("", "the body is empty; send the file as the body")
    wishes = Wishes(layout=layout, objective=objective, label=label)
    prepared = _prepared(content, wishes, most_bytes=settings_of(request).max_dataset_array_bytes)
    with engine.begin() as connection:
        new = datasets.add(
            connection,
            name=name,
            stored=prepared.stored,
            label_counts=prepared.label_counts,
            content=prepared.content,
            owner=caller.name,
            now=at,
            recognized=prepared.recognized.model_dump(mode="json"),
            quota=quota_of(settings_of(request), caller),
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


@router.delete("/datasets/{name}", status_code=204)
@retry_deadlocks
def delete(engine: Database, caller: Caller, at: Now, name: OwnDataset) -> Response:
    """Deletes a dataset that was added, when no open study trains on it. The audit says who did."""
    with engine.begin() as connection:
        deletion.delete_dataset(connection, name, who=caller.name, now=at)
    return Response(status_code=204)


def _prepared(content: bytes, wishes: Wishes, *, most_bytes: int) -> Prepared:
    """What a file means, in the form that is kept. Its arrays are freed on return."""
    said: list[str] = []
    npz = content
    if not is_zip(content):
        for magic, mend in FOREIGN.items():
            if content.startswith(magic):
                raise refusal("", mend)
        if not tabular.is_table(content):
            raise refusal("", "not an .npz file (a zip archive), a CSV or a Parquet file; write one of these")
        npz, said = tabular.read_table(content, label=wishes.label, most_bytes=most_bytes)
    elif wishes.label is not None:
        raise refusal("label", "names a column, and an .npz has arrays; call the one to be learned labels or targets")
    found = recognize(npz, most_bytes=most_bytes, wishes=wishes)
    as_it_came = found.own_form and npz is content
    return Prepared(
        stored=found.arrays.facts(),
        label_counts=found.arrays.label_counts(),
        content=content if as_it_came else found.arrays.written(compressed=len(content) < found.arrays.inputs.nbytes),
        recognized=found.recognized.model_copy(update={"said": [*said, *found.recognized.said]}),
    )


def finder(engine: Engine) -> Find:
    """A function that looks up a stored dataset by name, for resolving the names in a study document. Each look is a
    transaction of its own: resolving takes seconds, and no connection is held meanwhile.
    """

    def find(name: str) -> StoredDataset | None:
        with engine.begin() as connection:
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
        recognized=None if row.recognized is None else Recognized.model_validate(row.recognized),
    )


def _described(definition: DatasetDefinition) -> dict[str, Any]:
    fields = ("name", "shape", "classes", "objective", "examples", "official_validation", "official_test", "citation")
    return {field: getattr(definition, field) for field in fields}
