"""A study's trials as csv, parquet or jsonl: a row each, with factor levels and every metric."""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from actinium.levels import compact_label
from actinium.paths import Cell
from db import reports, studies, trials
from services.api.access import Database
from services.api.references import StudyReference
from services.api.stream_buffer import StreamBuffer

if TYPE_CHECKING:
    import pandas as pd

router = APIRouter(prefix="/v1", tags=["studies"])
ROWS = 2000
"""Rows a piece."""
OWN_COLUMNS = ("trial_id", "cell", "seed", "state", "outcome", "steps")


class Format(StrEnum):
    """What a study can be exported to."""

    CSV = "csv"
    PARQUET = "parquet"
    JSONL = "jsonl"


MEDIA = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.JSONL: "application/x-ndjson",
}


ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA.values()}}
}


@router.get("/studies/{study}/export", response_class=StreamingResponse, responses=ANSWERS)
def export(
    engine: Database, study: StudyReference, file_format: Annotated[Format, Query(alias="format")] = Format.CSV
) -> StreamingResponse:
    """A row a trial: trial_id, cell, factor columns, seed, state, outcome, steps, every metric, and where some
    are of a later definition or were reused, `measurement_versions` and `reused_from`.
    """
    with engine.begin() as connection:
        target = studies.find(connection, study)
        row = studies.get(connection, target)
        table = with_factors(reports.trials_table(connection, target), trials.levels(connection, target))
        if versions := reports.versions_by_trial(connection, target):
            table["measurement_versions"] = table["trial_id"].map(versions)
        if reused := trials.reused(connection, target):
            table["reused_from"] = table["trial_id"].map(reused).astype("Int64")
    pieces = {Format.CSV: csv_pieces, Format.PARQUET: parquet_pieces, Format.JSONL: jsonl_pieces}[file_format](table)
    name = f"{row.name.replace(' ', '_')}-{row.id}.{file_format.value}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, media_type=MEDIA[file_format], headers=headers)


def with_factors(table: "pd.DataFrame", levels: Mapping[int, Cell]) -> "pd.DataFrame":
    """The trials with a column for each factor path: levels as labels, scalars as they are."""
    paths = list(dict.fromkeys(path for cell in levels.values() for path in cell))
    exported = table.copy()
    for position, path in enumerate(paths):
        by_cell = {index: plain(cell.get(path)) for index, cell in levels.items()}
        exported.insert(2 + position, path, table["cell"].map(by_cell))
    own = [column for column in OWN_COLUMNS if column in exported]
    rest = [column for column in exported.columns if column not in (*own, *paths)]
    return exported[[*own[:2], *paths, *own[2:], *rest]]


def plain(value: object) -> object:
    """A level as its label; a scalar as it is."""
    return compact_label(value) if isinstance(value, dict) else value


def arrow_table(table: "pd.DataFrame") -> pa.Table:
    """The table's columns; a factor that has words and numbers becomes words."""
    try:
        found = pa.Table.from_pandas(table, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        mixed = [name for name in table.columns if table[name].dtype.kind == "O"]
        words = {name: table[name].map(str, na_action="ignore") for name in mixed}
        found = pa.Table.from_pandas(table.assign(**words), preserve_index=False)
    return found.replace_schema_metadata(None)


def csv_pieces(table: "pd.DataFrame") -> Iterator[bytes]:
    """Header and rows; what was not measured is empty."""
    yield table.iloc[:0].to_csv(index=False).encode()
    arrow = arrow_table(table)
    options = pc.WriteOptions(include_header=False)  # its header would be in quotes
    for start in range(0, len(table), ROWS):
        sink = pa.BufferOutputStream()
        pc.write_csv(arrow.slice(start, ROWS), sink, options)
        yield sink.getvalue().to_pybytes()


def jsonl_pieces(table: "pd.DataFrame") -> Iterator[bytes]:
    """An object a trial; what was not measured is null."""
    for start in range(0, len(table), ROWS):
        part = table.iloc[start : start + ROWS]
        records = part.astype(object).where(part.notna(), None).to_dict(orient="records")
        yield "".join(json.dumps(record, allow_nan=False) + "\n" for record in records).encode()


def parquet_pieces(table: "pd.DataFrame") -> Iterator[bytes]:
    """A Parquet file, a row group a piece."""
    arrow = arrow_table(table)
    sink = StreamBuffer()
    with pq.ParquetWriter(sink, arrow.schema, compression="zstd") as writer:
        for batch in range(0, len(table), ROWS):
            writer.write_table(arrow.slice(batch, ROWS))
            yield sink.take()
    yield sink.take()
