"""How the command line speaks: tables and sentences for people, JSON for programs, progress for whoever waits.

Names, descriptions and errors are other people's, and a terminal obeys control characters: they are spelled out.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from actinium.visible import visible

PLAIN_WIDTH = 100
"""Width in characters where the output is no terminal."""


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, or 100 columns; no markup is read from what is printed."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else int(os.environ.get("COLUMNS", PLAIN_WIDTH))
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


def say(sentence: str) -> None:
    """Writes a sentence to standard output, never wrapped, so that addresses can be copied."""
    sys.stdout.write(visible(sentence) + "\n")


def complain(sentence: str) -> None:
    """Writes a sentence to standard error."""
    sys.stderr.write(visible(sentence) + "\n")


def show_json(document: Any) -> None:
    """Writes a document to standard output as JSON."""
    sys.stdout.write(visible(json.dumps(document, indent=2, ensure_ascii=False, default=str)) + "\n")


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", numbers: Sequence[str] = ()
) -> None:
    """Prints a table. The columns in `numbers` are aligned right and never broken; words in others wrap."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", show_edge=False)
    for column in columns:
        number = column in numbers
        table.add_column(Text(visible(column)), justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    out = console()
    if title:
        out.print(Text(visible(title), style="bold"))
    out.print(table)


def percent(share: float | None) -> str:
    """A fraction as percent."""
    return "-" if share is None else f"{100 * share:.1f}%"


class Watcher(Protocol):
    """What is called with each news of a study."""

    def __call__(self, news: dict[str, Any], /) -> None:
        """One news: `{state, counts, progress, revision}`."""


@contextmanager
def progress_of(name: str) -> Iterator[Watcher]:
    """A live bar with trial counts on a terminal; a line for each change elsewhere."""
    if not sys.stderr.isatty():
        yield _Lines(name)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=min(40, shutil.get_terminal_size().columns // 3)),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console(stderr=True)) as bar:
        task = bar.add_task(visible(name), total=None, counts="")

        def watch(news: dict[str, Any], /) -> None:
            states = news["counts"]["states"]
            done = sum(states[state] for state in ("succeeded", "failed", "cancelled"))
            bar.update(task, completed=done, total=sum(states.values()), counts=_words(news, skip=("queued",)))

        yield watch


class _Lines:
    """Prints progress where nothing can be redrawn: a line whenever it changes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last = ""

    def __call__(self, news: dict[str, Any], /) -> None:
        line = f"{self._name}: {100 * news['progress']:.0f}% ({_words(news)})"
        if line != self._last:
            complain(line)
        self._last = line


def _words(news: dict[str, Any], skip: Sequence[str] = ()) -> str:
    counts = {**news["counts"]["states"], **news["counts"]["outcomes"]}
    named = {"leased": "running"}
    return ", ".join(f"{count} {named.get(key, key)}" for key, count in counts.items() if count and key not in skip)
