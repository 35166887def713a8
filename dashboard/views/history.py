"""The history: every study, who submitted it, when, and how far it is. Newest first."""

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from actinium.job import StudyState
from dashboard import markup, session
from dashboard.words import plural

COLUMNS = ("study", "project", "owner", "submitted", "state", "progress", "trials", "how they came out")
EVERY = 5.0
"""Seconds between two looks at the list while a listed study is active."""

EXAMPLE = """\
actinium submit studies/demo.yaml --watch     # small networks on handwritten digits
"""
PYTHON = """\
from actinium.client import Client

Client().submit({
    "name": "my-first-study",
    "factors": {"activation": ["relu", "elu"], "normalization": ["none", "batch"]},
    "seeds": 5,
})
"""


def show() -> None:
    """Draws the page."""
    st.title("Studies", anchor=False)
    st.html(markup.link("What activations do: functions and derivatives", "?page=catalogue").text)
    filters = _filters()
    cursors: list[str] = st.session_state.setdefault("cursors", [])
    if st.session_state.get("filtered") != filters:
        cursors.clear()
        st.session_state["filtered"] = filters
    cursor = cursors[-1] if cursors else None
    first = session.studies(filters, cursor)
    active = any(item["state"] in session.ACTIVE for item in first["items"])
    drawn = [first]

    def listed() -> None:
        _list(drawn.pop() if drawn else session.studies(filters, cursor), filtered=any(filters.values()))

    session.fragment(listed, every=EVERY if active else None)
    newer, older, _ = st.columns([1, 1, 6])
    if cursors and newer.button("Newer", icon=":material/arrow_back:", key="newer"):
        cursors.pop()
        st.rerun()
    if first["next_cursor"] and older.button("Older", icon=":material/arrow_forward:", key="older"):
        cursors.append(first["next_cursor"])
        st.rerun()


def _filters() -> dict[str, str | None]:
    """Draws the filters and returns their values, which the page's address has too, so that a list can be shared."""
    text, state, owner, project = st.columns([3, 1, 1, 1])
    states = ["", *(state.value for state in StudyState)]
    chosen = {
        "q": text.text_input(
            "Search", key="q", bind="query-params", placeholder="words of a name or description", max_chars=200
        ),
        "state": state.selectbox(
            "State", states, key="state", bind="query-params", format_func=lambda word: word or "any state"
        ),
        "owner": owner.text_input("Owner", key="owner", bind="query-params", placeholder="anybody", max_chars=200),
        "project": project.text_input("Project", key="project", bind="query-params", placeholder="any", max_chars=200),
    }
    return {name: (value or "").strip() or None for name, value in chosen.items()}


def _list(page: dict[str, Any], *, filtered: bool) -> None:
    items = page["items"]
    if not items and filtered:
        st.info("No study is like that. Clear a filter to see more.", icon=":material/filter_alt_off:")
        return
    if not items:
        _nothing_yet()
        return
    now = datetime.now(UTC)
    rows = []
    for item in items:
        counts = item["counts"]["states"]
        total = sum(counts.values())
        rows.append(
            [
                markup.link(item["name"], f"?study={item['id']}"),
                item["project"],
                item["owner"],
                ago(item["created_at"], now),
                item["state"],
                markup.bar(item["progress"]),
                f"{total - counts['queued'] - counts['leased']:,} of {total:,}",
                _outcomes(item["counts"]),
            ]
        )
    markup.table(COLUMNS, rows, numeric=("trials",), key="history")


def _outcomes(counts: dict[str, dict[str, int]]) -> str:
    words = [f"{number:,} {word}" for word, number in counts["outcomes"].items() if number]
    words += [f"{counts['states'][word]:,} {word}" for word in ("failed", "cancelled") if counts["states"][word]]
    return ", ".join(words)


def _nothing_yet() -> None:
    with st.container(key="no-studies"):
        st.subheader("No studies yet", anchor=False)
        st.write("Submit one from a terminal:")
        st.code(EXAMPLE, language="bash")
        st.write("or from Python:")
        st.code(PYTHON, language="python")


def ago(written: str, now: datetime) -> str:
    """How long ago a time was: `3 minutes ago`; beyond a week, its date."""
    then = datetime.fromisoformat(written)
    seconds = (now - then).total_seconds()
    for size, noun in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return then.strftime("%Y-%m-%d") if size == 86400 and count > 7 else f"{plural(count, noun)} ago"
    return "just now"
