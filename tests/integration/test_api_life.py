"""A study's life over REST: pause and resume."""

from typing import Any

import httpx

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
