"""HTML that Streamlit has no element for: tables with links and text a reader can select and search. All is escaped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from dashboard import palette

STYLE = """
<style>
.block-container, [data-testid="stMainBlockContainer"] { padding-top: 2.2rem; padding-bottom: 3rem; }
h1 { font-size: 2.1rem !important; }
h3 { font-size: 1.2rem !important; }
[data-testid="stHtml"] a { color: inherit; }
.ac-quiet { opacity: .65; font-size: .875rem; }
.ac-scroll { overflow: auto; }
table.ac { border-collapse: collapse; width: 100%; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
table.ac th { text-align: left; font-weight: 600; opacity: .72; padding: 4px 14px 4px 0; position: sticky; top: 0;
  border-bottom: 1px solid rgba(128,128,128,.45); white-space: nowrap; }
table.ac td { padding: 4px 14px 4px 0; border-bottom: 1px solid rgba(128,128,128,.18); vertical-align: top; }
table.ac th.num, table.ac td.num { text-align: right; white-space: nowrap; }
table.ac tr:hover td { background: rgba(128,128,128,.08); }
table.ac a { text-decoration: none; font-weight: 600; }
table.ac small { opacity: .65; }
.ac-bar { display: inline-block; width: 88px; height: 8px; border-radius: 4px; background: rgba(128,128,128,.25);
  vertical-align: middle; margin-right: 8px; overflow: hidden; }
.ac-bar > span { display: block; height: 100%; background: #009E73; }
.ac-chip { display: inline-block; margin: 0 16px 4px 0; white-space: nowrap; }
.ac-chip i { display: inline-block; width: 16px; height: 15px; border-radius: 2px; margin-right: 6px; color: white;
  font-size: 11px; line-height: 15px; text-align: center; font-style: normal; vertical-align: 1px; }
.ac-chip b { font-variant-numeric: tabular-nums; }
.ac-figure { font-size: 2.1rem; font-weight: 650; line-height: 1.15; letter-spacing: -0.01em; }
.ac-question { font-size: .8rem; opacity: .7; text-transform: uppercase; letter-spacing: .06em; }
</style>
"""


@dataclass(frozen=True)
class Html:
    """The content of a table's cell that is HTML already. Everything else is escaped."""

    text: str


def style() -> None:
    """Puts the style sheet on the page."""
    st.html(STYLE)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    numeric: Sequence[str] = (),
    key: str,
    height: int | None = None,
) -> None:
    """A table inside a container with the class `st-key-KEY`; `numeric` columns are set right."""
    kinds = ["num" if column in numeric else "" for column in columns]
    head = "".join(f'<th class="{kind}">{escape(c)}</th>' for c, kind in zip(columns, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f'<td class="{k}">{_content(v)}</td>' for v, k in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    bound = f"max-height:{height}px" if height else ""
    with st.container(key=key):
        st.html(
            f'<div class="ac-scroll" style="{bound}"><table class="ac"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )


def link(text: str, address: str) -> Html:
    """A link that opens in the same tab."""
    return Html(f'<a href="{escape(address, quote=True)}">{escape(text)}</a>')


def bar(share: float) -> Html:
    """A progress bar with its percent."""
    whole = 100.0 * min(max(share, 0.0), 1.0)
    return Html(f'<span class="ac-bar"><span style="width:{whole:.0f}%"></span></span>{whole:.0f}%')


def chips(counts: Mapping[str, int], *, key: str) -> None:
    """Counts by status, each with its colour and sign in the matrix; those at zero are left out."""
    parts = []
    for status, count in counts.items():
        if count:
            sign = palette.STATUS_SIGNS[status] or "&nbsp;"
            square = f'<i aria-hidden="true" style="background:{palette.STATUS_COLOURS[status]}">{sign}</i>'
            parts.append(f'<span class="ac-chip">{square}{status} <b>{count:,}</b></span>')
    with st.container(key=key):
        st.html(" ".join(parts) or "<span>no trials</span>")


def paragraph(text: str, *, quiet: bool = False) -> None:
    """Draws text that a user wrote: neither HTML nor Markdown in it is interpreted."""
    st.html(f'<div class="{"ac-quiet" if quiet else ""}">{escape(text)}</div>')


def figure(question: str, value: str, *, key: str) -> None:
    """Draws a question in small capitals and its figure in large type."""
    with st.container(key=key):
        st.html(f'<div class="ac-question">{escape(question)}</div><div class="ac-figure">{escape(value)}</div>')


def _content(value: object) -> str:
    return value.text if isinstance(value, Html) else escape("" if value is None else str(value))
