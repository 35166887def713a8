"""Deletion, quotas and priorities: who may do away with what, what goes with it, and what one person may have."""

import io
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import Engine, text

from db import integrity
from services.settings import Settings

STUDY: dict[str, Any] = {"name": "s", "factors": {"activation": ["relu", "elu"]}, "seeds": 2, "training": {"epochs": 2}}
OCTETS = {"Content-Type": "application/octet-stream"}
HANGS_ON_A_STUDY = (
    *("studies", "cells", "trials", "jobs", "summaries", "report_rows", "frames", "trial_events", "study_extensions"),
    *("outbox", "mirrored_studies", "mirrored_trials", "trial_artifacts"),
)


@pytest.fixture
def api_settings(database_url: str) -> Settings:
    """Small quotas."""
    return Settings(
        database_url=database_url,
        mlflow_url="http://mlflow",
        owner_studies=2,
        owner_trials=10,
        owner_dataset_bytes=6_000,
        preflight_networks=0,
    )


def rows(engine: Engine) -> dict[str, int]:
    """How many rows each table has that hangs on studies."""
    with engine.begin() as connection:
        return {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in HANGS_ON_A_STUDY
        }


def npz(seed: int, examples: int = 40) -> bytes:
    """A dataset's file of some kilobytes that does not compress."""
    file = io.BytesIO()
    draws = np.random.default_rng(seed)
    np.savez(file, inputs=draws.normal(size=(examples, 8)).astype(np.float32), labels=np.arange(examples) % 2)
    return file.getvalue()


def test_a_study_goes_with_all_that_hangs_on_it(
    submitter: httpx.Client, admin: httpx.Client, train: Any, engine: Engine
) -> None:
    before = rows(engine)
    made = submitter.post("/v1/studies", json=STUDY).json()["id"]
    submitter.post(f"/v1/studies/{made}/extend", json={"seeds": 3})
    train()
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO mirrored_studies VALUES (:study, '17')"), {"study": made})
        connection.execute(text("INSERT INTO mirrored_trials SELECT id, 'run', 1, 0, NULL FROM trials"))
        connection.execute(text("INSERT INTO trial_artifacts SELECT id, 'first_filters', '' FROM trials"))
    assert min(rows(engine).values()) >= 1, "there is something everywhere"
    assert submitter.delete(f"/v1/studies/{made}").status_code == 204
    assert rows(engine) == before
    assert submitter.get(f"/v1/studies/{made}").status_code == 404
    with engine.begin() as connection:
        assert integrity.check(connection) == []
        removal = connection.execute(text("SELECT study_id, experiment_id FROM mirror_removals")).one()
    assert tuple(removal) == (made, "17"), "the mirror is told"
    entry = admin.get("/v1/audit").json()["items"][0]
    assert (entry["who"], entry["action"], entry["subject"]) == ("sam", "delete", f"study {made}")
    assert entry["detail"] == {"name": "s", "project": "default", "owner": "sam", "trials": 6}


def test_the_history_of_trials_still_only_grows_else(submitter: httpx.Client, train: Any, engine: Engine) -> None:
    submitter.post("/v1/studies", json=STUDY)
    train()
    for statement in ("DELETE FROM trial_events", "UPDATE trial_events SET attempt = 9", "DELETE FROM audit"):
        with pytest.raises(Exception, match="only grows"), engine.begin() as connection:
            connection.execute(text(statement))


def test_who_may_delete_and_when(
    submitter: httpx.Client, viewer: httpx.Client, admin: httpx.Client, train: Any, engine: Engine
) -> None:
    """Its owner and admins; not while it is open, nor while others show its results."""
    made = submitter.post("/v1/studies", json=STUDY).json()["id"]
    open_study = submitter.delete(f"/v1/studies/{made}")
    assert open_study.status_code == 409 and "`cancel` it first" in open_study.text
    train()
    others = admin.post("/v1/studies", json={**STUDY, "name": "reusing", "reuse": True}).json()
    assert others["reused"] == 4
    assert viewer.delete(f"/v1/studies/{made}").status_code == 403
    assert submitter.delete(f"/v1/studies/{others['id']}").status_code == 403
    shown = submitter.delete(f"/v1/studies/{made}")
    assert shown.status_code == 409 and shown.json()["study_ids"] == [others["id"]]
    assert admin.delete(f"/v1/studies/{others['id']}").status_code == 204
    assert submitter.delete(f"/v1/studies/{made}").status_code == 204
    assert submitter.delete(f"/v1/studies/{made}").status_code == 404
    assert viewer.get("/v1/audit").status_code == submitter.get("/v1/audit").status_code == 403


def test_a_study_that_is_put_away_is_listed_apart(submitter: httpx.Client) -> None:
    made = submitter.post("/v1/studies", json=STUDY).json()["id"]
    assert submitter.post(f"/v1/studies/{made}/archive").json()["archived_at"] is not None
    listed: Callable[[str], list[int]] = lambda query: [  # noqa: E731
        item["id"] for item in submitter.get(f"/v1/studies{query}").json()["items"]
    ]
    assert listed("") == [] and listed("?archived=true") == [made]
    assert submitter.get(f"/v1/studies/{made}").json()["state"] == "queued"
    assert submitter.post(f"/v1/studies/{made}/archive?undo=true").json()["archived_at"] is None
    assert listed("") == [made] and listed("?archived=true") == []


def test_a_dataset_goes_when_nobody_trains_on_it(
    submitter: httpx.Client, viewer: httpx.Client, admin: httpx.Client, engine: Engine
) -> None:
    content = npz(1)
    for name in ("mine", "too"):
        assert submitter.post(f"/v1/datasets?name={name}", content=content, headers=OCTETS).status_code == 201
    assert viewer.delete("/v1/datasets/mine").status_code == 403
    assert submitter.delete("/v1/datasets/nothing").status_code == 404
    assert submitter.delete("/v1/datasets/digits").status_code == 404, "the house's cannot go"
    assert submitter.delete("/v1/datasets/too").status_code == 204
    document = {**STUDY, "task": {"dataset": "mine"}, "training": {"batch_size": 4, "epochs": 1}}
    study = submitter.post("/v1/studies", json=document).json()["id"]
    used = submitter.delete("/v1/datasets/mine")
    assert used.status_code == 409 and used.json()["study_ids"] == [study]
    submitter.post(f"/v1/studies/{study}/cancel")
    assert admin.delete("/v1/datasets/mine").status_code == 204
    with engine.begin() as connection:
        left = connection.execute(text("SELECT count(*) FROM dataset_pieces")).scalar_one()
        assert left == 0 and integrity.check(connection) == []
    subjects = [(entry["who"], entry["subject"]) for entry in admin.get("/v1/audit").json()["items"]]
    assert subjects == [("ada", "dataset mine"), ("sam", "dataset too")]


def test_an_owner_has_no_more_than_their_quota_and_an_admin_has_none(
    submitter: httpx.Client, admin: httpx.Client, engine: Engine
) -> None:
    """What would be more is refused whole, and there is room again where something was deleted."""
    first = submitter.post("/v1/studies", json=STUDY).json()["id"]
    much = submitter.post("/v1/studies", json={**STUDY, "name": "b", "seeds": 4})
    assert much.status_code == 403 and "12 trials, more than the 10" in much.text
    assert submitter.post("/v1/studies", json={**STUDY, "name": "b", "seeds": 3}).status_code == 201
    assert submitter.post(f"/v1/studies/{first}/extend", json={"seeds": 3}).status_code == 403
    many = submitter.post("/v1/studies", json={**STUDY, "name": "c", "factors": {}, "seeds": 1})
    assert many.status_code == 403 and "ACTINIUM_OWNER_" in many.text
    assert [submitter.get("/v1/studies").json()["items"][n]["trials"] for n in (0, 1)] == [6, 4]
    submitter.post(f"/v1/studies/{first}/cancel")
    assert submitter.delete(f"/v1/studies/{first}").status_code == 204
    assert submitter.post("/v1/studies", json={**STUDY, "name": "c", "factors": {}, "seeds": 1}).status_code == 201
    assert admin.post("/v1/studies", json={**STUDY, "name": "d", "seeds": 9}).status_code == 201
    sizes = [submitter.post(f"/v1/datasets?name=d{n}", content=npz(n, 80), headers=OCTETS) for n in range(3)]
    assert [answer.status_code for answer in sizes] == [201, 403, 403]
    assert "ACTINIUM_OWNER_DATASET_BYTES" in sizes[1].text
    assert [item["name"] for item in submitter.get("/v1/datasets").json()["items"] if item["owner"]] == ["d0"]


def test_a_submitter_takes_no_slots_from_others_by_priority(submitter: httpx.Client, admin: httpx.Client) -> None:
    refused = submitter.post("/v1/studies", json={**STUDY, "priority": 11})
    assert refused.status_code == 403 and "ACTINIUM_SUBMITTER_PRIORITY" in refused.text
    made = submitter.post("/v1/studies", json={**STUDY, "priority": -5}).json()["id"]
    assert submitter.patch(f"/v1/studies/{made}", json={"priority": 100}).status_code == 403
    assert submitter.get(f"/v1/studies/{made}").json()["priority"] == -5
    assert submitter.patch(f"/v1/studies/{made}", json={"priority": 10}).status_code == 200
    assert admin.patch(f"/v1/studies/{made}", json={"priority": 100}).status_code == 200
    assert submitter.patch(f"/v1/studies/{made}", json={"notes": "raised for me"}).json()["priority"] == 100
