"""Studies through the API: submitted, shown, listed, changed, cancelled, retried."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

GRID = {
    "name": "demo",
    "description": "Born-dead units against depth",
    "tags": {"paper": "he2015"},
    "training": {"epochs": 2},
    "factors": {
        "activation": ["relu", {"name": "leaky_relu", "negative_slope": 0.1}],
        "normalization": ["none", "instance"],
    },
    "seeds": 3,
}


def test_a_study_is_submitted_and_shown(submitter: httpx.Client, viewer: httpx.Client) -> None:
    """201 with counts, what was left out, an estimate and links; Location; the study as it stands."""
    answer = submitter.post("/v1/studies", json=GRID)
    assert answer.status_code == 201
    made = answer.json()
    assert {key: made[key] for key in ("name", "state", "cells", "trials")} == {
        "name": "demo",
        "state": "queued",
        "cells": 2,
        "trials": 6,
    }
    assert [design["cell"]["normalization"] for design in made["invalid_designs"]] == ["instance", "instance"]
    assert "fully connected" in made["invalid_designs"][0]["reason"]
    assert made["estimate"] == {"trials": 6, "steps": 6 * 2 * (1079 // 64), "seconds": None}
    assert set(made["links"]) == {"self", "trials", "report", "export", "events", "dashboard", "mlflow"}
    assert answer.headers["Location"] == made["links"]["self"] == f"/v1/studies/{made['id']}"
    assert f"?study={made['id']}" in made["links"]["dashboard"]

    shown = viewer.get(answer.headers["Location"]).json()
    assert shown == viewer.get("/v1/studies/demo").json()
    assert shown["owner"] == "sam"
    assert shown["progress"] == 0.0
    assert shown["counts"] == {
        "states": {"queued": 6, "leased": 0, "succeeded": 0, "failed": 0, "cancelled": 0},
        "outcomes": {"converged": 0, "learned": 0, "stalled": 0, "diverged": 0},
    }
    assert shown["spec"]["training"]["momentum"] == 0.9
    assert list(shown["spec"]["factors"]) == ["activation", "normalization"]
    assert shown["invalid_designs"] == made["invalid_designs"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_study_is_told_at_submit_how_many_seeds_its_questions_need(submitter: httpx.Client, dry_run: bool) -> None:
    """It is accepted all the same. A question about what is not there is refused, at its path."""
    asked = [{"metric": "test_error", "contrast": {"activation": ["leaky_relu", "relu"]}}]
    answer = submitter.post("/v1/studies", params={"dry_run": dry_run}, json={**GRID, "questions": asked}, timeout=60)
    assert answer.status_code in (200, 201), answer.text
    made = answer.json()
    assert made["families"] == [
        {"metrics": ["test_error"], "named": True, "tests": 1, "seeds": 3, "smallest_p": 0.25, "seeds_needed": 6}
    ]
    said = "3 seeds cannot answer its questions: in one test no p value can be below 0.25; 6 seeds can"
    assert made["notices"] == [said]
    enough = submitter.post(
        "/v1/studies?dry_run=true", json={**GRID, "questions": asked, "seeds": 6}, timeout=60
    ).json()
    assert enough["notices"] == []
    asked[0]["contrast"] = {"activation": ["tanh", "relu"]}
    refused = submitter.post("/v1/studies", params={"dry_run": dry_run}, json={**GRID, "questions": asked}, timeout=60)
    assert refused.status_code == 422
    (fault,) = refused.json()["errors"]
    assert fault["path"] == "questions.0.contrast.activation" and "no cell of the study has tanh" in fault["message"]


def test_a_dry_run_writes_nothing(submitter: httpx.Client, row_counts: Callable[[], dict[str, int]]) -> None:
    """The same answer without an id, and the same refusals."""
    before = row_counts()
    answer = submitter.post("/v1/studies?dry_run=true", json=GRID)
    assert answer.status_code == 200
    assert answer.json()["id"] is None
    assert answer.json()["trials"] == 6
    assert submitter.post("/v1/studies?dry_run=true", json={**GRID, "seeds": 0}).status_code == 422
    assert row_counts() == before


def test_an_idempotency_key_makes_one_study(submitter: httpx.Client, row_counts: Callable[[], dict[str, int]]) -> None:
    """The same key and body give the same study; another body is a conflict that names it."""
    key = {"Idempotency-Key": "once"}
    first = submitter.post("/v1/studies", json=GRID, headers=key)
    after = row_counts()
    again = submitter.post("/v1/studies", json=GRID, headers=key)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    other = submitter.post("/v1/studies", json={**GRID, "name": "other"}, headers=key)
    assert (other.status_code, other.json()["study_ids"]) == (409, [first.json()["id"]])
    assert row_counts() == after


def test_a_taken_name_is_refused_in_its_project_only(submitter: httpx.Client) -> None:
    """409 names the study in the way; an ambiguous name says which ids there are."""
    first = submitter.post("/v1/studies", json=GRID).json()["id"]
    taken = submitter.post("/v1/studies", json=GRID)
    assert taken.status_code == 409
    assert taken.json()["study_ids"] == [first]
    assert f"id {first}" in taken.json()["detail"]
    second = submitter.post("/v1/studies", json={**GRID, "project": "elsewhere"}).json()["id"]
    ambiguous = submitter.get("/v1/studies/demo")
    assert (ambiguous.status_code, ambiguous.json()["study_ids"]) == (409, [first, second])


def test_history_is_paged_newest_first(submitter: httpx.Client, viewer: httpx.Client) -> None:
    """Every study once, whatever the page's size."""
    ids = [submitter.post("/v1/studies", json={**GRID, "name": f"s{i}"}).json()["id"] for i in range(5)]
    found: list[int] = []
    cursor: str | None = None
    while True:
        page = viewer.get("/v1/studies", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        assert len(page["items"]) <= 2
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == ids[::-1]


FILTERS: list[tuple[dict[str, str], set[str]]] = [
    ({"q": "DEPTH"}, {"a", "b"}),
    ({"q": "100%"}, set()),
    ({"project": "p2"}, {"b"}),
    ({"owner": "sam"}, {"a", "b"}),
    ({"owner": "nobody"}, set()),
    ({"tag": "paper"}, {"a"}),
    ({"tag": "paper=he2015"}, {"a"}),
    ({"tag": "paper=other"}, set()),
    ({"state": "queued"}, {"a", "b"}),
    ({"state": "finished"}, set()),
]


def test_history_is_filtered(submitter: httpx.Client, subtests: pytest.Subtests) -> None:
    """By words, state, owner, project and tag."""
    assert submitter.post("/v1/studies", json={**GRID, "name": "a"}).status_code == 201
    assert submitter.post("/v1/studies", json={**GRID, "name": "b", "project": "p2", "tags": {}}).status_code == 201
    for filters, names in FILTERS:
        with subtests.test(filters=filters):
            items = submitter.get("/v1/studies", params=filters).json()["items"]
            assert {item["name"] for item in items} == names


def test_what_changes_no_number_can_be_changed(submitter: httpx.Client) -> None:
    """Name, description, tags, notes, priority; the rest stays."""
    made = submitter.post("/v1/studies", json=GRID).json()
    changes: dict[str, Any] = {"name": "renamed", "notes": "n", "priority": 7, "tags": {"a": "b"}, "description": "d"}
    changed = submitter.patch(f"/v1/studies/{made['id']}", json=changes).json()
    assert {key: changed[key] for key in changes} == changes
    assert changed["spec"]["factors"] == submitter.get("/v1/studies/renamed").json()["spec"]["factors"]
    assert submitter.get("/v1/studies/demo").status_code == 404


CHANGES: list[tuple[Any, str]] = [
    ({}, ""),
    ({"seeds": 3}, "seeds"),
    ({"name": "a/b"}, "name"),
    ({"priority": "high"}, "priority"),
    ({"priority": 1000}, "priority"),
    ({"notes": None}, "notes"),
    ([], ""),
]


def test_other_changes_are_refused(submitter: httpx.Client, subtests: pytest.Subtests) -> None:
    """422 at the path, and nothing changes."""
    submitter.post("/v1/studies", json=GRID)
    before = submitter.get("/v1/studies/demo").json()
    for changes, path in CHANGES:
        with subtests.test(changes=changes):
            answer = submitter.patch("/v1/studies/demo", json=changes)
            assert answer.status_code == 422
            assert path in [error["path"] for error in answer.json()["errors"]]
    assert submitter.get("/v1/studies/demo").json() == before


def test_cancel_keeps_results_and_retry_queues_the_rest(submitter: httpx.Client, train: Any) -> None:
    """A failed trial keeps its traceback until it is tried again."""
    submitter.post("/v1/studies", json=GRID)
    train(packs=1)
    assert submitter.get("/v1/studies/demo").json()["state"] == "finished"
    assert submitter.post("/v1/studies/demo/cancel").status_code == 409

    submitter.post("/v1/studies", json={**GRID, "name": "two"})
    cancelled = submitter.post("/v1/studies/two/cancel").json()
    assert (cancelled["state"], cancelled["counts"]["states"]["cancelled"]) == ("cancelled", 6)
    again = submitter.post("/v1/studies/two/retry").json()
    assert (again["retried"], again["state"], again["counts"]["states"]["queued"]) == (6, "queued", 6)
    train(fail="Traceback: no such thing")
    failed = submitter.get("/v1/studies/two/trials", params={"state": "failed"}).json()["items"]
    assert len(failed) == 6
    assert failed[0]["error"] == "Traceback: no such thing"
    assert submitter.post("/v1/studies/two/retry").json()["retried"] == 6
