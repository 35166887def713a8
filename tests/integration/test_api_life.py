"""A study's life over REST: pause, resume, extend, reuse, limits."""

from typing import Any

import httpx
import pyarrow as pa
import pytest

from actinium.client import Client
from services.settings import Settings


@pytest.fixture
def api_settings(api_settings: Settings) -> Settings:
    """No owner has more than 20 trials queued."""
    return api_settings.model_copy(update={"owner_queued_trials": 20})


GRID = {"name": "demo", "factors": {"activation": ["relu", "elu"]}, "seeds": 2}


def test_pause_and_resume(submitter: httpx.Client, viewer: httpx.Client, train: Any) -> None:
    """Nothing is trained between the two; both may be said twice, and neither of what has ended."""
    submitter.post("/v1/studies", json=GRID)
    train(packs=1, complete=False)
    for _ in range(2):
        paused = submitter.post("/v1/studies/demo/pause")
        assert (paused.status_code, paused.json()["state"]) == (200, "paused")
    assert paused.json()["counts"]["states"]["queued"] == 4
    assert [item["name"] for item in viewer.get("/v1/studies", params={"state": "paused"}).json()["items"]] == ["demo"]
    assert train() == []
    for _ in range(2):
        assert submitter.post("/v1/studies/demo/resume").json()["state"] == "running"
    assert [lease.attempt for lease in train()] == [2] * 4
    assert submitter.get("/v1/studies/demo").json()["state"] == "finished"
    for verb in ("pause", "resume"):
        answer = submitter.post(f"/v1/studies/demo/{verb}")
        assert (answer.status_code, "is finished: there is nothing left" in answer.json()["detail"]) == (409, True)
        assert viewer.post(f"/v1/studies/demo/{verb}").status_code == 403


def test_a_finished_study_is_extended_and_its_report_follows(
    submitter: httpx.Client, viewer: httpx.Client, train: Any
) -> None:
    """New trials alone are trained; the report has the new cell beside the old ones, whose numbers stand."""
    submitter.post("/v1/studies", json=GRID)
    train()
    before = viewer.get("/v1/studies/demo/report").json()
    body = {"seeds": 3, "factors": {"activation": ["gelu"]}}
    key = {"Idempotency-Key": "k"}
    for _ in range(2):
        answer = submitter.post("/v1/studies/demo/extend", json=body, headers=key)
        assert answer.status_code == 200
        assert {name: answer.json()[name] for name in ("added_cells", "added_trials", "state", "trials")} == {
            "added_cells": 1,
            "added_trials": 5,
            "state": "running",
            "trials": 9,
        }
    assert submitter.post("/v1/studies/demo/extend", json={"seeds": 4}, headers=key).status_code == 409
    assert len(train()) == 5
    after = viewer.get("/v1/studies/demo/report").json()
    assert after["revision"] > before["revision"]
    assert [cell["succeeded"] for cell in after["cells"]] == [3, 3, 3]
    assert [cell["cell"] for cell in after["cells"][:2]] == [cell["cell"] for cell in before["cells"]]
    assert len(viewer.get("/v1/studies/demo/export").text.splitlines()) == 10


def test_what_is_no_extension_is_refused(submitter: httpx.Client, viewer: httpx.Client) -> None:
    """At its path; the grid's limit is that of a submission."""
    submitter.post("/v1/studies", json=GRID)
    before = submitter.get("/v1/studies/demo").json()
    refused: list[tuple[Any, str]] = [({}, ""), ({"factors": {"model.depth": [2]}}, "factors.model.depth")]
    refused += [({"seeds": 9999}, "factors"), ({"seeds": "many"}, "seeds")]
    for body, path in refused:
        answer = submitter.post("/v1/studies/demo/extend", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path), body
    assert submitter.get("/v1/studies/demo").json() == before
    assert viewer.post("/v1/studies/demo/extend", json={"seeds": 3}).status_code == 403
    assert submitter.post("/v1/studies/none/extend", json={"seeds": 3}).status_code == 404


def test_the_client_extends(client: Client) -> None:
    """Seeds and levels, each alone."""
    client.submit(GRID)
    assert client.extend("demo", seeds=[7])["added_trials"] == 2
    assert client.extend("demo", factors={"activation": ["gelu"]})["added_trials"] == 3


def test_reused_trials_are_marked_wherever_they_are_shown(submitter: httpx.Client, train: Any) -> None:
    """In the answer, the counts, each trial, the report and the export; what they measured is there too."""
    first = submitter.post("/v1/studies", json=GRID).json()
    train()
    assert first["reused"] == 0
    again = submitter.post("/v1/studies", json={**GRID, "name": "again", "seeds": 3, "reuse": True}).json()
    assert (again["trials"], again["reused"]) == (6, 4)
    train()
    shown = submitter.get("/v1/studies/again").json()
    assert (shown["state"], shown["reused"], shown["spec"]["reuse"]) == ("finished", 4, True)
    old, new = (submitter.get(f"/v1/studies/{name}/trials").json()["items"] for name in ("demo", "again"))
    assert [trial["reused_from"] for trial in new] == [*(trial["id"] for trial in old), None, None]
    assert [trial["digest"] for trial in new[:4]] == [trial["digest"] for trial in old]
    assert [trial["summary"] for trial in new[:4]] == [trial["summary"] for trial in old]
    seen = [submitter.get(f"/v1/trials/{trial['id']}/frames").json() for trial in (old[0], new[0])]
    assert seen[0]["values"] == seen[1]["values"] != []
    stream = {"Accept": "application/vnd.apache.arrow.stream"}
    for path, rows in (("studies/again/trials", new), (f"trials/{new[0]['id']}", new[:1])):
        table = pa.ipc.open_stream(submitter.get(f"/v1/{path}", headers=stream).content).read_all()
        for name in ("reused_from", "outcome"):
            assert table[name].to_pylist() == [row[name] for row in rows]
        assert table["seconds"].to_pylist() == [row["summary"]["seconds"] for row in rows]
    cells = submitter.get("/v1/studies/again/report").json()["cells"]
    assert [(cell["succeeded"], cell["reused"]) for cell in cells] == [(3, 2), (3, 2)]
    lines = submitter.get("/v1/studies/again/export").text.splitlines()
    assert lines[0].endswith(",reused_from")
    assert [line.rsplit(",", 1)[1] for line in lines[1:]] == [*(str(trial["id"]) for trial in old), "", ""]
    assert "reused_from" not in submitter.get("/v1/studies/demo/export").text


def test_more_than_an_owner_may_queue_is_429(submitter: httpx.Client, subtests: pytest.Subtests) -> None:
    """At a submission and at an extension, and nothing is written."""
    assert submitter.post("/v1/studies", json=GRID).status_code == 201
    asked: list[tuple[str, Any]] = [
        ("/v1/studies", {**GRID, "name": "b", "seeds": 9}),
        ("/v1/studies/demo/extend", {"seeds": 11}),
    ]
    for path, body in asked:
        with subtests.test(path=path):
            answer = submitter.post(path, json=body)
            assert (answer.status_code, "limit of one owner" in answer.json()["detail"]) == (429, True)
    assert [item["trials"] for item in submitter.get("/v1/studies").json()["items"]] == [4]
    assert submitter.post("/v1/studies/demo/extend", json={"seeds": 10}).status_code == 200
