"""The Python client of the REST API. Tables come as DataFrames, documents as plain dictionaries.

from actinium.client import Client

client = Client()
study = client.submit("study.yaml")
client.wait(study["id"])
client.report(study["id"])
"""

import io
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from urllib.parse import quote

from actinium.client.http import ApiConnection
from actinium.errors import FieldError, InvalidInput, Unavailable
from actinium.names import DATASET_NAME

if TYPE_CHECKING:  # pandas takes half a second to import, and not every command needs it
    import pandas as pd
    from numpy.typing import NDArray

    from actinium.client.report_pages import Ask
    from actinium.report import Report
    from actinium.study import StudySpec

Study: TypeAlias = int | str
JsonObject: TypeAlias = dict[str, Any]
ARROW = "application/vnd.apache.arrow.stream"
ENDED = ("finished", "cancelled")
RECONNECT_SECONDS = 1.0
PATIENCE = 120
"""How often in a row a stream of events that broke is opened again."""


class Client:
    """A client of the service. For `url` and `token` see `actinium.client.http.ApiConnection`."""

    def __init__(self, url: str | None = None, token: str | None = None, **options: Any) -> None:
        self._connection = ApiConnection(url, token, **options)

    @property
    def url(self) -> str:
        """The API's address."""
        return self._connection.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._connection.close()

    def submit(
        self,
        study: "str | Path | Mapping[str, Any] | StudySpec",
        *,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> JsonObject:
        """Submits a study: a file's path, a mapping, or a StudySpec. Gives the service's answer, with its `id`.

        Every submission carries an Idempotency-Key, so that a lost answer never leads to a second study.
        """
        try:
            body = json.dumps(_document(study), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                "the study is not plain data", [FieldError("", f"{error}; quote it as a word")]
            ) from error
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        params = {"dry_run": "true"} if dry_run else {}
        return self._json("POST", "/v1/studies", content=body, headers=headers, params=params, repeatable=True)

    def studies_page(self, *, cursor: str | None = None, limit: int = 50, **filters: str | None) -> JsonObject:
        """One page of the history, newest first: `{items, next_cursor}`. Filters: q, state, owner, project, tag."""
        given = {"cursor": cursor, "limit": limit, **filters}
        return self._json(
            "GET", "/v1/studies", params={key: value for key, value in given.items() if value is not None}
        )

    def studies(self, *, limit: int = 200, **filters: str | None) -> "pd.DataFrame":
        """The newest studies, a row each: id, name, project, owner, created_at, state, progress, counts."""
        import pandas as pd

        rows: list[JsonObject] = []
        cursor: str | None = None
        while len(rows) < limit:
            page = self.studies_page(cursor=cursor, limit=min(limit - len(rows), 200), **filters)
            for item in page["items"]:
                counts = item.pop("counts")
                rows.append({**item, **counts["states"], **counts["outcomes"]})
            cursor = page["next_cursor"]
            if cursor is None:
                break
        frame = pd.DataFrame(rows)
        if "created_at" in frame:
            frame["created_at"] = pd.to_datetime(frame["created_at"], utc=True)
        return frame

    def study(self, study: Study) -> JsonObject:
        """A study with spec, state, counts, progress, invalid designs and links."""
        return self._json("GET", _at(study))

    def update(self, study: Study, **changes: Any) -> JsonObject:
        """Changes name, description, tags, notes or priority."""
        return self._json("PATCH", _at(study), json=changes)

    def cancel(self, study: Study) -> JsonObject:
        """Cancels what has not finished."""
        return self._json("POST", _at(study) + "/cancel")

    def pause(self, study: Study) -> JsonObject:
        """Stops training a study until it is resumed; trials in training are saved, and count no failure."""
        return self._json("POST", _at(study) + "/pause")

    def resume(self, study: Study) -> JsonObject:
        """Goes on with a study that was paused; trials that were in training go on from their checkpoints."""
        return self._json("POST", _at(study) + "/resume")

    def retry(self, study: Study) -> JsonObject:
        """Queues again what failed or was cancelled; `{..., retried: N}`."""
        return self._json("POST", _at(study) + "/retry")

    def mirror(self, study: Study, *, everything: bool = False) -> JsonObject:
        """Mirrors to MLflow anew what is missing or differs there, or all of the study; `{id, name, trials}`."""
        return self._json("POST", _at(study) + "/mirror", params={"all": str(everything).lower()})

    def mirror_missing(self) -> list[JsonObject]:
        """What MLflow was found to lack, study by study: `{study_id, name, experiment, deleted_runs, seen_at}`."""
        items: list[JsonObject] = self._json("GET", "/v1/mirror")["items"]
        return items

    def archive(self, study: Study, *, undo: bool = False) -> JsonObject:
        """Puts a study away, so that lists leave it out; `undo` puts it back."""
        return self._json("POST", _at(study) + "/archive", params={"undo": "true"} if undo else {})

    def delete(self, study: Study) -> None:
        """Deletes a study that has ended, with its trials, frames and MLflow runs. There is no way back."""
        self._connection.request("DELETE", _at(study), repeatable=False)

    def extend(
        self,
        study: Study,
        *,
        seeds: int | list[int] | None = None,
        factors: Mapping[str, list[Any]] | None = None,
        idempotency_key: str | None = None,
    ) -> JsonObject:
        """Adds seeds, and levels to factors it has; `{..., added_cells, added_trials}`. What it has stays as it is."""
        body = {"seeds": seeds, "factors": dict(factors or {})}
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return self._json("POST", _at(study) + "/extend", json=body, headers=headers, repeatable=True)

    def trials_page(
        self,
        study: Study,
        *,
        cursor: str | None = None,
        limit: int = 100,
        state: str | None = None,
        outcome: str | None = None,
    ) -> JsonObject:
        """One page of a study's trials: `{items, next_cursor}`."""
        given = {"cursor": cursor, "limit": limit, "state": state, "outcome": outcome}
        params = {key: value for key, value in given.items() if value is not None}
        return self._json("GET", _at(study) + "/trials", params=params)

    def trials(self, study: Study, *, state: str | None = None, outcome: str | None = None) -> "pd.DataFrame":
        """All trials, a row each: id, label, factor columns, seed, state, attempt, outcome, error, mlflow, metrics."""
        given = {"state": state, "outcome": outcome}
        params = {key: value for key, value in given.items() if value is not None}
        return self._table(_at(study) + "/trials", params=params)

    def trial(self, trial: int) -> JsonObject:
        """One trial with summary, error and links."""
        return self._json("GET", f"/v1/trials/{int(trial)}")

    def trial_events(self, trial: int) -> list[JsonObject]:
        """Every change of a trial's state: at, state, attempt, cause, who, reason."""
        events: list[JsonObject] = self._json("GET", f"/v1/trials/{int(trial)}/events")["events"]
        return events

    def frames(self, trial: int) -> "pd.DataFrame":
        """What a trial measured, a row a step: step, time, and a column a series."""
        frame = self._table(f"/v1/trials/{int(trial)}/frames")
        return frame.astype(dict.fromkeys(frame.columns[1:], "float64"))

    def artifact(self, trial: int, name: str) -> "NDArray[Any]":
        """An array that a trial stored, such as `first_filters` [filters, channels, k, k]. NotFound without one."""
        import numpy as np

        response = self._connection.request("GET", f"/v1/trials/{int(trial)}/artifacts/{name}")
        array: NDArray[Any] = np.load(io.BytesIO(response.content), allow_pickle=False)
        return array

    def curves(self, study: Study, series: str) -> JsonObject:
        """A series of every cell by step, over its trials: `{series, curves: [{cell, steps, mean, low, high, n}]}`."""
        return self._json("GET", _at(study) + "/curves", params={"series": series})

    def report(self, study: Study, *, layers: Sequence[str] | None = None) -> JsonObject:
        """The comparisons as plain JSON data; `read_report` gives the same with a type.

        `layers` names the metrics to list layer by layer too; without it all are, unless the study is large. The
        report's own `layers` says which are.
        """
        from actinium.client.report_pages import report_json

        return report_json(self._report_page(study), layers=layers)

    def read_report(self, study: Study, *, layers: Sequence[str] | None = None, whole: bool = True) -> "Report":
        """The comparisons as an `actinium.report.Report`, whose fields are attributes; `layers` as for `report`.

        A study of thousands of cells comes in pages, which are put together; without `whole` only the first is read.
        Fields that this client does not know are ignored. Unavailable where the answer is no report.
        """
        from actinium.client.report_pages import read_report

        return read_report(self._report_page(study), layers=layers, whole=whole)

    def _report_page(self, study: Study) -> "Ask":
        return lambda query: self._connection.request("GET", _at(study) + "/report", params=query)

    def export(self, study: Study, path: str | Path, *, file_format: str | None = None) -> Path:
        """Writes a row a trial as csv, parquet or jsonl (by the path's ending, or `file_format`); gives the path."""
        target = Path(path)
        chosen = file_format or target.suffix.removeprefix(".")
        draft = target.with_name(target.name + ".part")
        with self._connection.stream(_at(study) + "/export", params={"format": chosen}, read_timeout=300.0) as response:
            try:
                with draft.open("wb") as file:
                    for piece in response.iter_bytes():
                        file.write(piece)
                draft.replace(target)
            except OSError as error:
                raise InvalidInput(f"{target} cannot be written: {error.strerror}; name another file") from error
            finally:
                draft.unlink(missing_ok=True)
        return target

    def events(self, study: Study) -> Iterator[JsonObject]:
        """The events of a study while they happen, each `{event, data}`; ends after the event `finished`."""
        with self._connection.stream(_at(study) + "/events") as response:
            name = "message"
            for line in response.iter_lines():
                field, _, value = line.partition(":")
                if field == "event":
                    name = value.strip()
                elif field == "data":
                    yield {"event": name, "data": json.loads(value)}
                    if name == "finished":
                        return

    def wait(
        self,
        study: Study,
        progress: Callable[[JsonObject], None] | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> JsonObject:
        """Waits until a study has ended; `progress` is called with each news (state, counts, progress).

        Survives a restart of the service: Unavailable is raised only when it has been away for about two minutes.
        """
        failures = 0
        while True:
            try:
                for event in self.events(study):
                    failures = 0
                    if progress is not None:
                        progress(event["data"])
                document = self.study(study)
                if document["state"] in ENDED:
                    return document
            except Unavailable:
                failures += 1
                if failures > PATIENCE:
                    raise
            sleep(RECONNECT_SECONDS)

    def catalogue(self) -> JsonObject:
        """Levels with parameters, equation, derivative and citation; models, datasets, objectives; `metrics` with
        unit, bounds and definition.
        """
        return self._json("GET", "/v1/catalogue")

    def pack_widths(self, *, limit: int = 100) -> list[JsonObject]:
        """How long packs take by their width, newest first: pack_key, device, width, packs, seconds_per_lane_step."""
        items: list[JsonObject] = self._json("GET", "/v1/pack-widths", params={"limit": limit})["items"]
        return items

    def dispatchers(self) -> list[JsonObject]:
        """The dispatchers that live: holder, slots, busy, avoided nodes, and why one is halted."""
        items: list[JsonObject] = self._json("GET", "/v1/dispatchers")["items"]
        return items

    def datasets(self) -> list[JsonObject]:
        """Every dataset that studies can name: those that come with Actinium, then those that were added."""
        items: list[JsonObject] = self._json("GET", "/v1/datasets")["items"]
        return items

    def add_dataset(
        self,
        file: str | Path,
        name: str | None = None,
        *,
        layout: str | None = None,
        objective: str | None = None,
        label: str | None = None,
    ) -> JsonObject:
        """Adds an .npz, CSV or Parquet file under a name (by default, the file's); `recognized` says how it was
        understood.

        What a file does not tell, the service asks for: `layout` (NCHW, NHWC, NHW, NTF, NFT), `objective`
        (classification or regression), `label` (a table's column that is to be learned). The same arrays under the same
        name again change nothing.
        """
        path = Path(file)
        if name is None and not re.fullmatch(DATASET_NAME.pattern, path.stem):
            fault = (
                f"the file's name, {path.stem!r}, is none that a dataset can have: {DATASET_NAME.refusal(path.stem)}"
            )
            raise InvalidInput("the dataset needs a name", [FieldError("name", fault)])
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InvalidInput(f"{path} cannot be read: {error.strerror}; name an .npz, CSV or Parquet file") from error
        headers = {"Content-Type": "application/octet-stream"}
        wishes = {"name": name or path.stem, "layout": layout, "objective": objective, "label": label}
        params = {key: value for key, value in wishes.items() if value is not None}
        return self._json("POST", "/v1/datasets", content=content, headers=headers, params=params, repeatable=True)

    def delete_dataset(self, name: str) -> None:
        """Deletes a dataset that was added, when no open study trains on it."""
        self._connection.request("DELETE", f"/v1/datasets/{quote(name, safe='')}", repeatable=False)

    def audit(self, *, limit: int = 100) -> list[JsonObject]:
        """Who deleted what, and who made or revoked which token, newest first; for admins."""
        items: list[JsonObject] = self._json("GET", "/v1/audit", params={"limit": limit})["items"]
        return items

    def tokens(self) -> list[JsonObject]:
        """All tokens, without their secrets."""
        items: list[JsonObject] = self._json("GET", "/v1/tokens")["items"]
        return items

    def create_token(self, name: str, role: str = "submitter", **expiry: float | str) -> JsonObject:
        """Makes a token; its secret is in `token` of this answer alone. `expires_in_days` or `expires_at` end it."""
        return self._json("POST", "/v1/tokens", json={"name": name, "role": role, **expiry})

    def revoke_token(self, token_id: int) -> None:
        """Revokes a token: the service no longer accepts it."""
        self._connection.request("DELETE", f"/v1/tokens/{int(token_id)}", repeatable=False)

    def _table(self, path: str, **given: Any) -> "pd.DataFrame":
        """A table that a route answers as an Arrow stream."""
        import pyarrow as pa

        answer = self._connection.request("GET", path, headers={"Accept": ARROW}, **given)
        with pa.ipc.open_stream(answer.content) as reader:
            frame: pd.DataFrame = reader.read_pandas()
        return frame

    def _json(self, method: str, path: str, **given: Any) -> JsonObject:
        document: JsonObject = self._connection.request(method, path, **given).json()
        return document


def _at(study: Study) -> str:
    return f"/v1/studies/{quote(str(study), safe='')}"


def _document(study: "str | Path | Mapping[str, Any] | StudySpec") -> Mapping[str, Any]:
    if isinstance(study, Mapping):
        return study
    from actinium.study import StudySpec, read_study

    if isinstance(study, StudySpec):
        return study.model_dump(mode="json")
    return read_study(Path(study))
