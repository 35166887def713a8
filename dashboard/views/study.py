"""A study's page: `?study=ID`, and `&tab=NAME` for one of its tabs."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from actinium.client.client import JsonObject
from dashboard import markup, session
from dashboard.grid import Grid
from dashboard.views import config, controls, convergence, dead_units, effects, overview, small_batch, trials
from dashboard.views.page import REDRAW, StudyView
from dashboard.words import plural

LEAST_PAUSE = 2.0
"""Least seconds between two requests for the state of a running study."""
SHARE = 4.0
"""A page that took t seconds to draw is drawn again no sooner than SHARE t after: a fifth of the time at most."""


@dataclass(frozen=True)
class Tab:
    """A tab of the page: its name in the address, its title, and the function that draws it."""

    slug: str
    title: str
    draw: Callable[[StudyView], None]


TABS = (
    Tab("overview", "Overview", overview.draw),
    Tab("dead-units", "Dead units", dead_units.draw),
    Tab("convergence", "Convergence", convergence.draw),
    Tab("small-batches", "Small batches", small_batch.draw),
    Tab("effects", "Effects", effects.draw),
    Tab("trials", "Trials", trials.draw),
    Tab("config", "Config", config.draw),
)


def show(reference: str) -> None:
    """Draws the page of the study with this id or name."""
    began = time.monotonic()
    with st.sidebar:
        st.html('<a href="?" style="text-decoration:none">← All studies</a>')
    study = session.study(reference)
    header = st.container()
    body = st.container()
    with body:
        _body(study)
    spent = time.monotonic() - began
    live = study["state"] in session.ACTIVE
    with header:
        _header(study, every=max(LEAST_PAUSE, SHARE * spent) if live else None)


def _body(study: JsonObject) -> None:
    report = session.report(int(study["id"]), int(study["revision"]))
    if report.next_cells_from is not None:
        st.info(f"The first {len(report.cells)} of {report.total_cells} cells are shown; an export has them all.")
    grid = Grid.of((entry.cell for entry in report.cells), factors=study["spec"].get("factors"))
    view = StudyView(study=study, report=report, grid=grid, encoding=controls.encoding(study, grid))
    titles = [tab.title for tab in TABS]
    asked = st.session_state.setdefault("first-tab", st.query_params.get("tab", ""))
    default = next((tab.title for tab in TABS if tab.slug == asked), titles[0])
    for place, tab in zip(st.tabs(titles, default=default, key="open-tab", on_change="rerun"), TABS, strict=True):
        if place.open:
            if tab.title != default or asked:
                st.query_params["tab"] = tab.slug
            with place, session.told():
                tab.draw(view)


def _header(study: JsonObject, *, every: float | None) -> None:
    """Name, state and progress. While the study is active it looks for news, and redraws the page when there are."""
    first = [study]
    due = time.monotonic() + REDRAW

    def drawn() -> None:
        news = first.pop() if first else session.study(str(study["id"]))
        _summary(news)
        if _changed(news, study) or (news["counts"]["states"]["leased"] and time.monotonic() > due):
            st.rerun()

    session.fragment(drawn, every=every)


def _changed(news: JsonObject, drawn: JsonObject) -> bool:
    return any(news[part] != drawn[part] for part in ("revision", "state", "counts"))


def _summary(study: JsonObject) -> None:
    states, outcomes = study["counts"]["states"], study["counts"]["outcomes"]
    total = sum(states.values())
    done = total - states["queued"] - states["leased"]
    with st.container(key="study-header"):
        left, right = st.columns([5, 2], vertical_alignment="bottom")
        left.title(study["name"], anchor=False)
        with right.container(horizontal_alignment="right"):
            mlflow = (study.get("links") or {}).get("mlflow")
            if mlflow:
                st.link_button("Open in MLflow", mlflow, icon=":material/open_in_new:")
        about = [
            study["state"],
            f"study {study['id']} of project {study['project']}",
            f"by {study['owner']}",
            study["created_at"][:16].replace("T", " ") + " UTC",
        ]
        markup.paragraph(" · ".join(about))
        if study.get("description"):
            markup.paragraph(study["description"], quiet=True)
        if study["state"] in session.ACTIVE:
            st.progress(min(max(study["progress"], 0.0), 1.0), text=f"{done:,} of {plural(total, 'trial')} done")
        ended = {name: states[name] for name in ("failed", "leased", "queued", "cancelled")}
        markup.chips({**outcomes, **ended}, key="counts")
