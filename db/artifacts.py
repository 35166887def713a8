"""Artifacts: arrays that a trial leaves at its end beside its summary, kept as `.npy` files."""

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from actinium.errors import NotFound
from actinium.job import TrialId
from db.models import trial_artifacts


def write(conn: Connection, artifacts: Mapping[TrialId, Mapping[str, NDArray[np.float32]]]) -> None:
    """Keep arrays by trial and name. In the transaction that keeps the summaries, for trials whose result was taken."""
    rows = [
        {"trial_id": trial_id, "name": name, "content": encoded(array)}
        for trial_id, arrays in artifacts.items()
        for name, array in arrays.items()
    ]
    if rows:
        conn.execute(insert(trial_artifacts).on_conflict_do_nothing(), rows)


def read(conn: Connection, trial_id: TrialId, name: str) -> bytes:
    """One artifact as an `.npy` file. NotFound."""
    content = trial_artifacts.c.content
    wanted = select(content).where(trial_artifacts.c.trial_id == trial_id, trial_artifacts.c.name == name)
    found = conn.execute(wanted).scalar_one_or_none()
    if found is None:
        raise NotFound(f"trial {trial_id} has no artifact {name!r}; `probes: {{filters: {{}}}}` keeps first_filters")
    return bytes(found)


def of_trial(conn: Connection, trial_id: TrialId) -> dict[str, bytes]:
    """All artifacts of a trial, by name."""
    wanted = select(trial_artifacts.c.name, trial_artifacts.c.content).where(trial_artifacts.c.trial_id == trial_id)
    return {row.name: bytes(row.content) for row in conn.execute(wanted.order_by(trial_artifacts.c.name))}


def encoded(array: NDArray[np.float32]) -> bytes:
    """The bytes of an `.npy` file; never a pickle."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
