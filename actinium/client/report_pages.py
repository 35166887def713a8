"""A study's report out of its pages: the service lists a bounded number of cells at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx

from actinium.errors import Unavailable

if TYPE_CHECKING:
    from actinium.report import Report

JsonObject: TypeAlias = dict[str, Any]
Ask: TypeAlias = Callable[[dict[str, Any]], httpx.Response]
"""Asks for a page by its query."""


def report_json(ask: Ask, *, layers: Sequence[str] | None) -> JsonObject:
    """The whole report as plain JSON data."""
    whole: JsonObject = {}
    while not whole or whole["next_cells_from"] is not None:
        page = ask(_query(layers, whole.get("next_cells_from"))).json()
        if whole:
            page |= {name: whole[name] + page[name] for name in ("cells", "contrasts")}
            page["convergence"]["curves"] = whole["convergence"]["curves"] + page["convergence"]["curves"]
        whole = {"next_cells_from": None} | page
    return whole


def read_report(ask: Ask, *, layers: Sequence[str] | None, whole: bool) -> "Report":
    """The report with a type; without `whole` its first page."""
    read = _parsed(ask(_query(layers, None)))
    while whole and read.next_cells_from is not None:
        page = _parsed(ask(_query(layers, read.next_cells_from)))
        curves = (*read.convergence.curves, *page.convergence.curves)
        read = replace(
            page,
            cells=(*read.cells, *page.cells),
            contrasts=(*read.contrasts, *page.contrasts),
            convergence=replace(page.convergence, curves=curves),
        )
    return read


def _parsed(answer: httpx.Response) -> "Report":
    from pydantic import ValidationError

    from actinium.report import parse_report

    try:
        return parse_report(answer.content)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise Unavailable(
            f"{answer.url.copy_with(path='', query=None)} answered with a report that this client cannot read (at"
            f" {place!r}); use the client of the service's own version"
        ) from error


def _query(layers: Sequence[str] | None, cells_from: int | None) -> dict[str, Any]:
    """An empty name asks for no layers at all."""
    query: dict[str, Any] = {} if layers is None else {"layers": list(layers) or [""]}
    return query if cells_from is None else {**query, "cells_from": cells_from}
