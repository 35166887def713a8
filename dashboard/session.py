"""What the pages read through the API's client, cached by study and revision; and its errors as sentences.

What is cached is everybody's, as reading is the team's. A page reads its study or list anew before anything that may be
cached, and so with a token that opens; the catalogue, which comes with the house, tells of nobody.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from actinium.client.client import JsonObject
from actinium.errors import (
    ActiniumError,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    StackError,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from actinium.report import Report
from dashboard import markup, signin
from dashboard.signin import client

ACTIVE = ("queued", "running", "paused")
"""States in which a study still changes."""
PAGE = 1000
MOST_TRIALS = 5000
"""Trials read for the matrix and the trials table; the page says so where a study has more."""
TABLE_METRICS = ("test_error", "validation_loss", "validation_accuracy", "dead_unit_rate", "train_eval_gap")

MENDS: tuple[tuple[type[ActiniumError], str, str], ...] = (
    (
        Unauthenticated,
        "The service does not accept this page's token.",
        "Reload the page to give another one. A dashboard that never asks was started with a token (`ACTINIUM_TOKEN`).",
    ),
    (
        Forbidden,
        "This page's token may not read that.",
        "It needs the role viewer or a stronger one: `actinium token create NAME --role viewer`.",
    ),
    (
        NotFound,
        "There is no such study.",
        "Its number or name may be mistyped: the history lists every study.",
    ),
    (
        Conflict,
        "Several studies have this name.",
        "Open it from the history, or by its number.",
    ),
    (TooMany, "The service is asked too often.", "Wait a moment and reload the page."),
    (
        StackError,
        "No stack is known to this dashboard.",
        "Run `actinium up`, or set `ACTINIUM_URL` and `ACTINIUM_TOKEN`.",
    ),
    (
        Unavailable,
        "The service does not answer; reload this page once it does.",
        "`actinium status` shows each part of the stack, its address and its log; `actinium up` starts it.",
    ),
)


@contextmanager
def told() -> Iterator[None]:
    """Shows an error that the API raises inside as a sentence with a mend, never as a traceback."""
    try:
        yield
    except ActiniumError as error:
        if isinstance(error, Unauthenticated):
            signin.drop()
        elif isinstance(error, Unavailable):
            signin.own.clear()
        sentence, mend = next(
            ((what, how) for kind, what, how in MENDS if isinstance(error, kind)),
            ("The service refused the request.", "Reload the page; if it stays, the API's log says more."),
        )
        with st.container(key="problem"):
            st.error(f"**{sentence}** {mend}", icon=":material/error:")
            markup.paragraph(f"In detail: {error}", quiet=True)


def studies(filters: dict[str, str | None], cursor: str | None, *, limit: int = 50) -> JsonObject:
    """A page of the history, read anew each time."""
    return client().studies_page(cursor=cursor, limit=limit, **filters)


def study(reference: str) -> JsonObject:
    """A study as it stands, read anew each time."""
    return client().study(reference)


@st.cache_data(ttl=60, show_spinner="Reading the catalogue …")
def catalogue() -> JsonObject:
    """The catalogue of levels, datasets and objectives."""
    return client().catalogue()


@st.cache_resource(max_entries=64, show_spinner="Reading the report …")
def report(study_id: int, revision: int, layers: tuple[str, ...] | None = None) -> Report:
    """The comparisons at a revision; `layers` names metrics to be listed layer by layer, where not all are.

    Every page is given the same object, and none changes it: a copy for each would take longer than reading it.
    """
    return client().read_report(study_id, layers=layers, whole=False)


@st.cache_data(max_entries=128, show_spinner="Reading the curves …")
def curves(study_id: int, revision: int, series: str, tick: int) -> list[JsonObject]:
    """A series by cell and step, at a revision; an empty list where no frame of the study has the series.

    Frames arrive between revisions: `tick` counts a running study's redraws, and is 0 for an ended one.
    """
    try:
        found: list[JsonObject] = client().curves(study_id, series)["curves"]
    except InvalidInput:
        return []
    return found


@st.cache_data(max_entries=16, show_spinner="Reading the trials …")
def trials(study_id: int, revision: int, counts: tuple[int, ...]) -> pd.DataFrame:
    """The first MOST_TRIALS trials. `counts` by state is part of the key: leases do not raise the revision."""
    rows: list[JsonObject] = []
    cursor: str | None = None
    while len(rows) < MOST_TRIALS:
        page = client().trials_page(study_id, cursor=cursor, limit=PAGE)
        rows.extend(_flat(item) for item in page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    columns = [
        "id",
        "cell",
        "seed",
        "state",
        "outcome",
        "attempt",
        "reused_from",
        "error",
        "mlflow",
        "steps",
        "seconds",
    ]
    return pd.DataFrame(rows, columns=[*columns, *TABLE_METRICS])


@st.cache_data(max_entries=64, show_spinner="Reading the trial …")
def frames(trial_id: int, attempt: int, state: str) -> pd.DataFrame:
    """What one trial measured, a row for each step."""
    return client().frames(trial_id)


@st.cache_data(max_entries=64, show_spinner="Reading the trial …")
def artifact(trial_id: int, attempt: int, state: str, name: str) -> NDArray[np.float32] | None:
    """An array that a trial stored; None where it stored none of this name."""
    try:
        return client().artifact(trial_id, name)
    except NotFound:
        return None


def events(trial_id: int) -> list[JsonObject]:
    """Every change of a trial's state, read anew each time."""
    return client().trial_events(trial_id)


def _flat(trial: JsonObject) -> JsonObject:
    summary = trial.get("summary") or {}
    metrics = summary.get("metrics", {})
    return {
        **{
            key: trial.get(key) for key in ("id", "cell", "seed", "state", "outcome", "attempt", "reused_from", "error")
        },
        "mlflow": (trial.get("links") or {}).get("mlflow"),
        "steps": summary.get("steps"),
        "seconds": summary.get("seconds"),
        **{name: metrics.get(name) for name in TABLE_METRICS},
    }


def fragment(body: Callable[[], None], *, every: float | None) -> None:
    """Draws `body` as a part of the page that redraws itself every so many seconds; once where `every` is None."""

    def drawn() -> None:
        with told():
            body()

    st.fragment(drawn, run_every=every)()
