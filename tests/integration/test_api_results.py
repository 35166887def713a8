"""What came of a study, through the API: trials, frames, curves, report, export, events."""

import io
import json
import math
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from sqlalchemy import Engine, text

from actinium.client import Client
from actinium.errors import NotFound
from db import artifacts
from services.api import arrow, export, report

STUDY: dict[str, Any] = {
    "name": "s",
    "seeds": 3,
    "training": {"epochs": 2},
    "factors": {"activation": ["relu", "tanh"], "training.batch_size": [8, 32]},
}


@pytest.fixture
def trained(submitter: httpx.Client, train: Any) -> httpx.Client:
    """A finished study named s."""
    assert submitter.post("/v1/studies", json=STUDY).status_code == 201
    train()
    return submitter


def test_trials_are_paged_and_filtered(trained: httpx.Client) -> None:
    """Every trial once, with cell, seed, summary and links."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": 5}
    while True:
        page = trained.get("/v1/studies/s/trials", params=params).json()
        found += page["items"]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert len({item["id"] for item in found}) == 12
    first = found[0]
    assert first["cell"] == {"activation": "relu", "training.batch_size": 8}
    assert (first["seed"], first["state"], first["attempt"], first["outcome"]) == (0, "succeeded", 1, "converged")
    assert first["summary"]["metrics"]["dead_unit_rate/layer_01"] == 0.2
    assert first["error"] is None
    assert trained.get(first["links"]["self"]).json() == first
    assert len(trained.get("/v1/studies/s/trials", params={"outcome": "converged"}).json()["items"]) == 12
    assert trained.get("/v1/studies/s/trials", params={"state": "failed"}).json()["items"] == []


def test_frames_spell_what_is_not_finite(trained: httpx.Client) -> None:
    """A row a step; NaN and infinities are strings that float() reads."""
    trial = trained.get("/v1/studies/s/trials").json()["items"][0]
    document = trained.get(trial["links"]["frames"]).json()
    assert document["trial_id"] == trial["id"]
    assert document["attempt"] == 1
    assert document["series"] == ["train_loss", "validation_loss", "dead_unit_rate"]
    assert document["steps"] == [0, 134, 268]
    assert document["values"][0] == ["NaN", 1.0, 0.0]
    assert document["values"][2][0] == "Infinity"


def arrow_table(http: httpx.Client, path: str, **params: str) -> pa.Table:
    """What a route gives to whom accepts an Arrow stream, and JSON less gladly."""
    accept = {"Accept": "application/json;q=0.5, application/vnd.apache.arrow.stream"}
    answer = http.get(path, params=params, headers=accept)
    assert answer.headers["Content-Type"] == "application/vnd.apache.arrow.stream"
    assert answer.headers["Vary"] == "Accept"
    return pa.ipc.open_stream(answer.content).read_all()


def test_all_trials_come_as_one_arrow_stream(trained: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as page by page; batches join; filters hold."""
    monkeypatch.setattr(arrow, "ROWS", 5)
    table = arrow_table(trained, "/v1/studies/s/trials")
    items = trained.get("/v1/studies/s/trials", params={"limit": 100}).json()["items"]
    rows = table.to_pylist()
    for item, row in zip(items, rows, strict=True):
        for name in ("id", "study_id", "cell_index", "seed", "digest", "state", "attempt", "outcome", "error"):
            assert row[name] == item[name]
        assert {path: row[path] for path in item["cell"]} == item["cell"]
        assert {name: row[name] for name in item["summary"]["metrics"]} == item["summary"]["metrics"]
        assert (row["steps"], row["seconds"]) == (item["summary"]["steps"], item["summary"]["seconds"])
        assert row["mlflow"] == item["links"]["mlflow"]
        assert arrow_table(trained, item["links"]["self"]).select(table.column_names).to_pylist() == [row]
    assert rows[0]["label"] == "relu·batch_size=8"
    assert table.schema.field("test_error").type == pa.float64()
    assert len(arrow_table(trained, "/v1/studies/s/trials", outcome="converged")) == 12
    nothing = arrow_table(trained, "/v1/studies/s/trials", state="failed")
    assert (len(nothing), nothing.column_names) == (0, table.column_names)


def test_trials_that_have_not_run_stream_too(submitter: httpx.Client) -> None:
    """Nulls where nothing was measured; a factor of words and numbers comes as words."""
    cells = {"training.gradient_clip": [None, 1.0], "normalization": ["none", {"name": "group", "groups": 2}]}
    submitter.post("/v1/studies", json={**STUDY, "factors": cells})
    table = arrow_table(submitter, "/v1/studies/s/trials")
    first, second = table.to_pylist()[0], table.to_pylist()[1]
    assert (first["state"], first["outcome"], first["steps"], first["mlflow"]) == ("queued", None, None, None)
    assert [row["training.gradient_clip"] for row in table.to_pylist()[:4]] == [None, None, 1.0, 1.0]
    assert (first["normalization"], second["normalization"]) == ("none", "group(groups=2)")
    assert arrow_table(submitter, f"/v1/trials/{first['id']}").to_pylist() == [first]


def test_frames_come_as_an_arrow_stream(trained: httpx.Client) -> None:
    """Numbers as they were measured, what is not finite included."""
    trial = trained.get("/v1/studies/s/trials").json()["items"][0]
    table = arrow_table(trained, trial["links"]["frames"])
    assert table.column_names == ["step", "time", "train_loss", "validation_loss", "dead_unit_rate"]
    assert table["step"].to_pylist() == [0, 134, 268]
    assert table["validation_loss"].to_pylist() == [1.0, 0.5, float(np.float32(0.1))]
    assert math.isnan(table["train_loss"][0].as_py()) and math.isinf(table["train_loss"][2].as_py())
    assert table.schema.metadata == {b"trial_id": str(trial["id"]).encode(), b"attempt": b"1"}


def test_a_trial_without_frames_has_none(submitter: httpx.Client) -> None:
    """Empty, not an error."""
    submitter.post("/v1/studies", json=STUDY)
    trial = submitter.get("/v1/studies/s/trials").json()["items"][0]
    document = submitter.get(trial["links"]["frames"]).json()
    assert document == {"trial_id": trial["id"], "attempt": 0, "series": [], "steps": [], "times": [], "values": []}
    assert arrow_table(submitter, trial["links"]["frames"]).column_names == ["step", "time"]


def test_curves_are_means_with_student_intervals(trained: httpx.Client) -> None:
    """Against scipy's own interval; infinite and NaN values are left out of mean and n."""
    document = trained.get("/v1/studies/s/curves", params={"series": "validation_loss"}).json()
    assert document["series"] == "validation_loss"
    assert [curve["cell"] for curve in document["curves"]] == [
        {"activation": a, "training.batch_size": b} for a in ("relu", "tanh") for b in (8, 32)
    ]
    curve = document["curves"][0]
    assert curve["steps"] == [0, 134, 268]
    assert curve["n"] == [3, 3, 3]
    values = [0.1, 0.11, 0.12]
    low, high = stats.t.interval(0.95, 2, loc=0.11, scale=stats.sem(values))
    assert curve["mean"][2] == pytest.approx(0.11, abs=1e-6)
    assert (curve["low"][2], curve["high"][2]) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))
    finite = trained.get("/v1/studies/s/curves", params={"series": "train_loss"}).json()["curves"][0]
    assert (finite["steps"], finite["n"]) == ([134], [3])


def test_curves_follow_the_current_attempt_while_it_runs(submitter: httpx.Client, train: Any, engine: Engine) -> None:
    """Running trials count; those that failed and wait again do not."""
    submitter.post("/v1/studies", json={**STUDY, "factors": {}, "seeds": 1})
    train(complete=False)
    running = submitter.get("/v1/studies/s/curves", params={"series": "dead_unit_rate"}).json()["curves"]
    assert running[0]["n"] == [1, 1, 1]
    assert running[0]["low"] == [None, None, None]
    with engine.begin() as connection:
        connection.execute(text("update jobs set state = 'queued', lease_expires_at = null, holder = null"))
    assert submitter.get("/v1/studies/s/curves", params={"series": "dead_unit_rate"}).json()["curves"] == []
    train()
    again = submitter.get("/v1/studies/s/curves", params={"series": "dead_unit_rate"}).json()["curves"]
    assert again[0]["n"] == [1, 1, 1]


def test_the_report_follows_the_revision(submitter: httpx.Client, train: Any) -> None:
    """Complete in form before the first result; the same bytes for the same revision; new after news."""
    submitter.post("/v1/studies", json=STUDY)
    empty = submitter.get("/v1/studies/s/report")
    assert empty.status_code == 200
    keys = {"study_id", "revision", "target", "cells", "contrasts", "factors", "small_batch", "convergence"}
    assert empty.json()["mixed_measurements"] == {}
    assert keys <= set(empty.json())
    assert empty.json()["cells"][0]["metrics"]["dead_unit_rate"]["n"] == 0
    assert submitter.get("/v1/studies/s/report").content == empty.content
    train()
    full = submitter.get("/v1/studies/s/report").json()
    assert full["revision"] == submitter.get("/v1/studies/s").json()["revision"] > empty.json()["revision"]
    assert [cell["succeeded"] for cell in full["cells"]] == [3, 3, 3, 3]
    assert full["cells"][0]["metrics"]["test_error"]["estimate"] == pytest.approx(0.051)
    assert full["small_batch"]["reference_batch"] == 32


def test_a_large_studys_report_comes_in_pages_that_the_client_puts_together(
    trained: httpx.Client, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer cells a page with more metrics; and no more values are read than fit into a report's share of memory."""
    whole = trained.get("/v1/studies/s/report").json()
    page = trained.get("/v1/studies/s/report", params={"cells_from": 1, "cells": 2}).json()
    assert page["cells"] == whole["cells"][1:3] and (page["total_cells"], page["next_cells_from"]) == (4, 3)
    assert trained.get("/v1/studies/s/report", params={"cells_from": 9}).json()["cells"] == []
    assert trained.get("/v1/studies/s/report", params={"cells": report.MOST_CELLS + 1}).status_code == 422
    trained.patch("/v1/studies/s", json={"notes": "a new revision"})
    monkeypatch.setattr(report, "MOST_LISTED", 2 * 4)
    assert len(trained.get("/v1/studies/s/report").json()["cells"]) == 2
    together = client.report("s")
    assert {name for name in whole if together[name] != whole[name]} <= {"revision", "contrasts"}
    assert sorted(together["contrasts"], key=json.dumps) == sorted(whole["contrasts"], key=json.dumps)
    read = client.read_report("s")
    assert [entry.cell for entry in read.cells] == [entry["cell"] for entry in whole["cells"]]
    assert len(read.contrasts) == len(whole["contrasts"]) and read.next_cells_from is None
    assert len(client.read_report("s", whole=False).cells) == 2
    monkeypatch.setattr(report, "MOST_READ", 12 * 4 - 1)
    trained.patch("/v1/studies/s", json={"notes": "another"})
    refused = trained.get("/v1/studies/s/report")
    assert refused.status_code == 422 and "at most 47 are read for a report" in refused.text


def test_a_large_studys_report_lists_layers_only_when_asked(
    trained: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`layers` says which are; everything else is the same figures."""
    whole = trained.get("/v1/studies/s/report").json()
    assert whole["layers"] == ["dead_unit_rate"]
    asked = trained.get("/v1/studies/s/report", params={"layers": "dead_unit_rate"}).json()
    assert asked == whole
    none = trained.get("/v1/studies/s/report", params={"layers": ""}).json()
    assert none["layers"] == []
    for cell in whole["cells"]:
        assert cell["metrics"].pop("dead_unit_rate/layer_01")["n"] == 3
    assert none == whole | {"layers": []}
    unknown = trained.get("/v1/studies/s/report", params={"layers": ["dead_unit_rate", "dead_rate"]})
    assert unknown.status_code == 422
    assert unknown.json()["errors"][0]["path"] == "query.layers"
    assert "dead_unit_rate" in unknown.json()["errors"][0]["message"]
    monkeypatch.setattr(report, "MOST_FIGURES", 4 * 4 - 1)
    trained.patch("/v1/studies/s", json={"notes": "a new revision"})
    large = trained.get("/v1/studies/s/report").json()
    assert large["cells"] == none["cells"]
    assert large["layers"] == []


def test_export_gives_the_same_table_in_every_format(trained: httpx.Client) -> None:
    """A row a trial with factor columns, seed, state, outcome and all metrics."""
    answers = {kind: trained.get(f"/v1/studies/s/export?format={kind}") for kind in ("csv", "parquet", "jsonl")}
    assert answers["csv"].headers["Content-Disposition"].endswith('.csv"')
    csv = pd.read_csv(io.BytesIO(answers["csv"].content))
    parquet = pd.read_parquet(io.BytesIO(answers["parquet"].content))
    jsonl = pd.DataFrame([json.loads(line) for line in answers["jsonl"].text.splitlines()])
    columns = ["trial_id", "cell", "activation", "training.batch_size", "seed", "state", "outcome", "steps"]
    assert list(csv.columns) == list(parquet.columns) == list(jsonl.columns)
    assert list(csv.columns[:8]) == columns
    assert {"dead_unit_rate", "dead_unit_rate/layer_01", "test_error", "validation_loss"} <= set(csv.columns)
    assert len(csv) == 12
    pd.testing.assert_frame_equal(csv, parquet, check_dtype=False)
    pd.testing.assert_frame_equal(csv, jsonl, check_dtype=False)
    assert set(csv["training.batch_size"]) == {8, 32}


def test_export_of_a_study_without_results(submitter: httpx.Client) -> None:
    """Empty cells, nulls, and no NaN in JSON."""
    submitter.post("/v1/studies", json=STUDY)
    rows = [json.loads(line) for line in submitter.get("/v1/studies/s/export?format=jsonl").text.splitlines()]
    assert len(rows) == 12
    assert rows[0]["outcome"] is None
    assert not any(isinstance(value, float) and math.isnan(value) for row in rows for value in row.values())
    assert len(pd.read_parquet(io.BytesIO(submitter.get("/v1/studies/s/export?format=parquet").content))) == 12


def read_events(http: httpx.Client, on_first: Any) -> list[tuple[str, dict[str, Any]]]:
    """All events of study s; `on_first` is called after the first."""
    found: list[tuple[str, dict[str, Any]]] = []
    with http.stream("GET", "/v1/studies/s/events", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((name, json.loads(line.removeprefix("data: "))))
                if len(found) == 1:
                    on_first()
    return found


def test_events_tell_progress_and_end(submitter: httpx.Client, train: Any, engine: Engine) -> None:
    """News as it happens, the end, and no connection held meanwhile."""
    submitter.post("/v1/studies", json=STUDY)
    events = read_events(submitter, on_first=lambda: train(packs=1) and train())
    names = [name for name, _ in events]
    assert names[0] == "progress"
    assert names[-1] == "finished"
    assert names.count("finished") == 1
    progress = [data["progress"] for _, data in events]
    assert progress[0] == 0.0
    assert progress[-1] == 1.0
    assert progress == sorted(progress)
    assert events[-1][1]["counts"]["outcomes"] == {"converged": 12, "learned": 0, "stalled": 0, "diverged": 0}
    assert events[-1][1]["state"] == "finished"


def test_an_idle_stream_holds_no_connection(submitter: httpx.Client, engine: Engine) -> None:
    """More open streams than the pool has connections, and the API still answers."""
    submitter.post("/v1/studies", json=STUDY)
    streams = [submitter.stream("GET", "/v1/studies/s/events") for _ in range(15)]
    try:
        for stream in streams:
            assert next(stream.__enter__().iter_lines()) == "event: progress"
        assert submitter.get("/v1/studies/s").status_code == 200
    finally:
        for stream in streams:
            stream.__exit__(None, None, None)


def test_an_artifact_is_given_as_a_file_and_as_numbers(
    submitter: httpx.Client, client: Client, train: Any, engine: Engine
) -> None:
    submitter.post("/v1/studies", json=STUDY)
    (trial, other, *_) = [lease.trial_id for lease in train()]
    kernels = np.array([[[[1.5, np.nan], [np.inf, -2.0]]]], dtype=np.float32)
    with engine.begin() as connection:
        artifacts.write(connection, {trial: {"first_filters": kernels}})
    path = f"/v1/trials/{trial}/artifacts/first_filters"
    file = submitter.get(path)
    assert file.headers["Content-Disposition"] == f'attachment; filename="first_filters-{trial}.npy"'
    np.testing.assert_array_equal(np.load(io.BytesIO(file.content), allow_pickle=False), kernels)
    values = {"name": "first_filters", "shape": [1, 1, 2, 2], "values": [1.5, "NaN", "Infinity", -2.0]}
    assert submitter.get(f"{path}?format=json").json() == values
    np.testing.assert_array_equal(client.artifact(trial, "first_filters"), kernels)
    assert submitter.get(f"{path}?format=png").status_code == 422
    for absent in (f"/v1/trials/{other}/artifacts/first_filters", f"/v1/trials/{trial}/artifacts/second"):
        assert submitter.get(absent).status_code == 404
    assert submitter.get(f"/v1/trials/{trial}/artifacts/..%2Fsecret").status_code in (404, 422)
    with pytest.raises(NotFound, match="has no artifact"):
        client.artifact(other, "first_filters")


def test_a_factor_of_words_and_numbers_is_exported_as_words() -> None:
    """In csv and parquet alike; numbers are written so that they read back to the bit; what is missing is empty."""
    table = pd.DataFrame({"trial_id": [1, 2, 3], "level": [0.5, "a,b", None], "outcome": ["x", None, 'say "y"']})
    table["metric"] = [1e-300, math.nan, 0.1 + 0.2]
    csv = pd.read_csv(io.BytesIO(b"".join(export.csv_pieces(table))))
    parquet = pd.read_parquet(io.BytesIO(b"".join(export.parquet_pieces(table))))
    assert list(csv.columns) == list(table.columns)
    pd.testing.assert_frame_equal(csv, parquet, check_dtype=False)
    assert csv["level"].tolist()[:2] == ["0.5", "a,b"]
    assert csv["metric"].tolist()[::2] == table["metric"].tolist()[::2]
