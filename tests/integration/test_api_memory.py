"""What no worker can hold is refused at the submission, with the arithmetic."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from actinium.trial import TrialConfig
from db import dispatchers
from db.dispatchers import Standing
from workers.memory import MemoryNeed, in_words, machine_bytes, memory_need

HUGE = {"name": "huge", "model": {"kind": "mlp", "depth": 4, "width": 128}, "factors": {"model.width": [16, 8192]}}


def alive(engine: Engine, memory_bytes: int | None) -> None:
    """A dispatcher whose largest machine has so much."""
    at = datetime.now(UTC)
    with engine.begin() as conn:
        dispatchers.report(
            conn, Standing(holder="d", started_at=at, seen_at=at, memory_bytes=memory_bytes), silent_seconds=30.0
        )


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_a_cell_that_no_worker_can_hold_is_refused_with_bytes_needed_and_bytes_there(
    engine: Engine, submitter: httpx.Client, dry_run: str
) -> None:
    alive(engine, 2 * 2**30)
    answer = submitter.post("/v1/studies", json=HUGE, params={"dry_run": dry_run})
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert "no worker has the memory: the largest has 2.0 GiB" in problem["detail"]
    (fault,) = problem["errors"]
    assert "width=8192 needs 3.0 GiB or more: 3.0 GiB for the weights, four times each" in fault["message"]


@pytest.mark.parametrize("memory_bytes", [64 * 2**30, None])
def test_what_fits_or_of_which_nothing_is_known_is_taken(
    engine: Engine, submitter: httpx.Client, memory_bytes: int | None
) -> None:
    alive(engine, memory_bytes)
    assert submitter.post("/v1/studies", json=HUGE).status_code == 201


def test_a_study_is_not_extended_by_what_no_worker_can_hold(engine: Engine, submitter: httpx.Client) -> None:
    small = {**HUGE, "factors": {"model.width": [16]}}
    assert submitter.post("/v1/studies", json=small).status_code == 201
    alive(engine, 2 * 2**30)
    answer = submitter.post("/v1/studies/huge/extend", json={"factors": {"model.width": [8192]}})
    assert answer.status_code == 422 and "needs 3.0 GiB" in answer.text
    assert submitter.get("/v1/studies/huge").json()["counts"]["states"]["queued"] == 10
    assert submitter.post("/v1/studies/huge/extend", json={"factors": {"model.width": [24]}}).status_code == 200


NETWORKS: list[dict[str, Any]] = [
    {"model": {"kind": "mlp", "depth": 3, "width": 64}},
    {"model": {"kind": "cnn", "width": 8}, "training": {"batch_size": 32}},
    {"model": {"kind": "lstm", "width": 16}, "training": {"batch_size": 8}},
]


@pytest.mark.parametrize("document", NETWORKS)
def test_what_a_trial_needs_is_what_its_preflight_says_but_for_biases_and_data(document: dict[str, Any]) -> None:
    from workers.models import build_model
    from workers.preflight import memory_bytes

    config = TrialConfig.model_validate(document)
    model = build_model([config])
    parameters = sum(values.numel() for values in model.params.values())
    need = memory_need(config)
    assert 0.9 * memory_bytes(config, parameters) < need.weights + need.activations <= memory_bytes(config, parameters)


def test_bytes_in_words() -> None:
    need = MemoryNeed(weights=3 * 2**30, activations=2**20, data=0)
    assert str(need).startswith("3.0 GiB or more: 3.0 GiB for the weights")
    assert in_words(2**20) == "1 MiB" and 2**28 < machine_bytes() < 2**50
