"""The documents of the API made from the rows of the database, with their links."""

from collections.abc import Sequence
from typing import Any

from actinium.study import InvalidDesign
from actinium.trial import TrialConfig
from db.rows import Counts, StudyHead, StudyRow, TrialRow
from services.api.documents import (
    CountsDocument,
    Estimate,
    ExtendedStudy,
    InvalidDesignDocument,
    Retried,
    StudyDocument,
    StudyItem,
    TrialDocument,
)
from services.settings import Settings


def study_links(study_id: int, experiment_id: str | None, settings: Settings) -> dict[str, str | None]:
    """Where a study is found; API routes are relative to the API's address."""
    here = f"/v1/studies/{study_id}"
    mlflow = f"{settings.mlflow_link()}/#/experiments/{experiment_id}" if experiment_id else settings.mlflow_link()
    return {
        "self": here,
        "trials": f"{here}/trials",
        "report": f"{here}/report",
        "export": f"{here}/export",
        "events": f"{here}/events",
        "dashboard": f"{settings.dashboard_link()}/?study={study_id}",
        "mlflow": mlflow,
    }


def counts_document(counts: Counts) -> CountsDocument:
    """Counts with every key."""
    return CountsDocument(states=counts.states, outcomes=counts.outcomes)


def study_item(row: StudyHead, settings: Settings) -> StudyItem:
    """A row of the history."""
    return StudyItem(**_item_fields(row, settings))


def study_document(row: StudyRow, settings: Settings) -> StudyDocument:
    """A study with everything."""
    return StudyDocument(**_document_fields(row, settings))


def retried_document(row: StudyRow, settings: Settings, *, retried: int) -> Retried:
    """A study of which some trials were queued again."""
    return Retried(**_document_fields(row, settings), retried=retried)


def extended_document(row: StudyRow, settings: Settings, *, cells: int, trials: int) -> ExtendedStudy:
    """A study that was extended."""
    return ExtendedStudy(**_document_fields(row, settings), added_cells=cells, added_trials=trials)


def run_link(experiment_id: str | None, run_id: str | None, settings: Settings) -> str | None:
    """A run's address for a browser; None until the mirror has it."""
    return f"{settings.mlflow_link()}/#/experiments/{experiment_id}/runs/{run_id}" if run_id and experiment_id else None


def trial_document(row: TrialRow, settings: Settings) -> TrialDocument:
    """A trial with its links; `mlflow` is null until the mirror has its run."""
    return TrialDocument(
        id=row.id,
        study_id=row.study_id,
        cell=row.cell,
        cell_index=row.cell_index,
        seed=row.seed,
        digest=row.digest,
        reused_from=row.reused_from,
        state=row.state,
        attempt=row.attempt,
        outcome=row.outcome,
        summary=row.summary,
        error=row.error,
        links={
            "self": f"/v1/trials/{row.id}",
            "frames": f"/v1/trials/{row.id}/frames",
            "study": f"/v1/studies/{row.study_id}",
            "mlflow": run_link(row.experiment_id, row.run_id, settings),
        },
    )


def invalid_documents(designs: Sequence[InvalidDesign]) -> list[InvalidDesignDocument]:
    """The cells that were left out."""
    return [InvalidDesignDocument(cell=design.cell, reason=design.reason) for design in designs]


def estimate(trials: int, configs: Sequence[tuple[TrialConfig, int]]) -> Estimate:
    """The cost of `(config, how many seeds)` pairs."""
    return Estimate(trials=trials, steps=sum(config.steps() * seeds for config, seeds in configs))


def _item_fields(row: StudyHead, settings: Settings) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "project": row.project,
        "description": row.description,
        "tags": row.tags,
        "owner": row.owner,
        "priority": row.priority,
        "state": row.state,
        "revision": row.revision,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "cancelled_at": row.cancelled_at,
        "archived_at": row.archived_at,
        "cells": row.cells,
        "trials": row.trials,
        "counts": counts_document(row.counts),
        "reused": row.counts.reused,
        "progress": row.progress,
        "links": study_links(row.id, row.experiment_id, settings),
    }


def _document_fields(row: StudyRow, settings: Settings) -> dict[str, Any]:
    return {
        **_item_fields(row, settings),
        "notes": row.notes,
        "spec": row.spec.model_dump(mode="json"),
        "invalid_designs": invalid_documents(row.invalid_designs),
    }
