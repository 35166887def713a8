"""Trials and frames as Arrow streams, for whoever sends `Accept: application/vnd.apache.arrow.stream`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from fastapi import Request
from fastapi.responses import StreamingResponse

from actinium.levels import compact_label
from actinium.paths import Cell, cell_label
from db.frames import TrialFrames
from db.rows import TrialRow
from services.api.stream_buffer import StreamBuffer

MEDIA = "application/vnd.apache.arrow.stream"
ROWS = 5000
"""Rows a batch."""
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA: {"schema": {"type": "string", "format": "binary"}}}}
}
FIRST = (
    *("id", "study_id", "cell_index", "seed", "digest", "state", "attempt", "reused_from"),
    *("outcome", "error", "steps", "seconds"),
)
TEXTS = ("label", "digest", "state", "outcome", "error", "mlflow")


def wanted(request: Request) -> bool:
    """Whether the request accepts an Arrow stream by name; what says `*/*` gets JSON."""
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    return MEDIA in accepted


def trials_table(table: pd.DataFrame, cells: Mapping[int, Cell], link: Callable[[str], str | None]) -> pa.Table:
    """A row a trial: label, a column a factor (levels as labels), `FIRST`, mlflow, then every metric as float64.

    `table` as `db.reports.trials_listed` gives it; `cells` by index; `link` gives a run's address by its id.
    """
    numbers = table["cell_index"].tolist()
    labels = {index: cell_label(cell) for index, cell in cells.items()}
    columns: dict[str, Any] = {"label": [labels[number] for number in numbers]}
    for path in dict.fromkeys(path for cell in cells.values() for path in cell):
        levels = {index: _plain(cell.get(path)) for index, cell in cells.items()}
        columns[path] = _column([levels[number] for number in numbers])
    columns |= {name: table[name] for name in FIRST}
    columns["mlflow"] = [None if run is None else link(run) for run in table["run_id"].tolist()]
    metrics = [str(name) for name in table.columns if name not in (*FIRST, "run_id")]
    columns |= {name: table[name] for name in metrics if name not in columns}
    return pa.table({name: _array(name, values) for name, values in columns.items()})


def one_trial(row: TrialRow, *, mlflow: str | None) -> pa.Table:
    """`trials_table` of one trial."""
    summary = row.summary
    facts: dict[str, Any] = {name: getattr(row, name, None) for name in FIRST} | {"run_id": row.run_id}
    facts |= {"steps": summary and summary.steps, "seconds": summary and summary.seconds}
    table = pd.DataFrame([facts | (summary.metrics if summary else {})], dtype=object).infer_objects()
    table = table.astype({"steps": "float64", "seconds": "float64", "run_id": object})
    return trials_table(table, {row.cell_index: row.cell}, lambda _: mlflow)


def frames_table(found: TrialFrames, *, attempt: int) -> pa.Table:
    """A row a step: step, time, and a column a series; trial and attempt are in the schema's metadata."""
    columns = {"step": pa.array(found.steps), "time": pa.array(found.times)}
    columns |= {name: pa.array(found.values[:, at]) for at, name in enumerate(found.layout.series)}
    return pa.table(columns).replace_schema_metadata({"trial_id": str(found.trial_id), "attempt": str(attempt)})


def streamed(table: pa.Table) -> StreamingResponse:
    """The table, batch by batch."""
    return StreamingResponse(_batches(table), media_type=MEDIA, headers={"Vary": "Accept"})


def _batches(table: pa.Table) -> Iterator[bytes]:
    sink = StreamBuffer()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=ROWS):
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


def _plain(value: object) -> object:
    return compact_label(value) if isinstance(value, dict) else value


def _column(values: list[Any]) -> pa.Array:
    """A factor's levels; as words where they are of several kinds."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])


def _array(name: str, values: Any) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    kind = pa.string() if name in TEXTS else pa.int64() if name == "reused_from" else None
    return pa.array(values, type=kind, from_pandas=True)
