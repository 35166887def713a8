"""The three answers, each as one sentence with its figures and intervals, computed from the report.

The cell named first is the one with the highest (or lowest) estimate, chosen after seeing the data: the sentences say
where to look, the contrasts table says what holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actinium.terminal.compare import error_word
from dashboard.grid import Cell, Grid
from dashboard.tables import batch_rows, estimate_of, metric_rows, records
from dashboard.words import (
    cell_phrase,
    finite,
    interval,
    level_word,
    number,
    percent,
    plural,
    points,
    points_interval,
    whole,
)


@dataclass(frozen=True, kw_only=True)
class Headline:
    """A question, the figure that answers it, and the sentence (Markdown) around it."""

    question: str
    figure: str
    sentence: str


NOTHING_YET = "No trial has finished yet."
NO_TARGET_YET = "The target is the reference cell's median loss at half its budget; no trial of it has finished yet."


def headlines(report: Mapping[str, Any], grid: Grid) -> tuple[Headline, Headline, Headline]:
    """Dead units, convergence, small batches."""
    return dead_units(report, grid), convergence(report, grid), small_batch(report)


def dead_units(report: Mapping[str, Any], grid: Grid) -> Headline:
    """The cell with the most dead units, against the best activation with everything else equal."""
    question = "Dead units"
    rows = records(metric_rows(report, "dead_unit_rate"))
    if not rows:
        return Headline(question=question, figure="–", sentence=NOTHING_YET)
    worst = max(rows, key=_estimate)
    if worst["estimate"] < 0.0005:
        sentence = f"No cell of {len(rows)} has dead units at the end of training."
        return Headline(question=question, figure="0%", sentence=sentence)
    cell = grid.cells[worst["cell"]]
    figure = percent(worst["estimate"])
    said = interval(worst["low"], worst["high"], show=percent)
    sentence = f"**{_capital(_told(grid, cell))}**: {figure} of units dead ({said})"
    rivals = [row for row in rows if _siblings(grid.cells[row["cell"]], cell, "activation")]
    if rivals:
        best = min(rivals, key=_estimate)
        rival = level_word("activation", grid.cells[best["cell"]]["activation"])
        sentence += f", against {percent(best['estimate'])} for {rival}"
    elif len(rows) > 1:
        best = min(rows, key=_estimate)
        sentence += f"; the least is {percent(best['estimate'])}, {_told(grid, grid.cells[best['cell']])}"
    return Headline(question=question, figure=figure, sentence=sentence + ".")


def convergence(report: Mapping[str, Any], grid: Grid) -> Headline:
    """The fastest and the slowest cell to the target, among cells that train with the same batch size and budget."""
    question = "Convergence"
    every = records(metric_rows(report, "steps_to_target"))
    if not every:
        done = any(entry["succeeded"] for entry in report["cells"])
        return Headline(question=question, figure="–", sentence=NO_TARGET_YET if done else NOTHING_YET)
    alike = comparable(grid, [row["cell"] for row in every])
    rows = [row for row in every if row["cell"] in alike]
    fastest, slowest = min(rows, key=_estimate), max(rows, key=_estimate)
    value = whole(fastest["estimate"])
    said = interval(fastest["low"], fastest["high"], show=whole)
    sentence = (
        f"**{_capital(_told(grid, grid.cells[fastest['cell']]))}** reaches validation loss "
        f"{number(target_value(report))} in {value} steps ({said})"
    )
    if len(rows) > 1:
        slow = grid.cells[slowest["cell"]]
        taken = whole(slowest["estimate"])
        sentence += f"; {_told(grid, slow)} " + (
            f"takes {taken}" if _arrives(report, slow) else f"never does in {taken}"
        )
    return Headline(question=question, figure=f"{value} steps", sentence=f"{sentence}. {_never(report)}".strip())


def small_batch(report: Mapping[str, Any]) -> Headline:
    """How much batch normalization loses from the reference to the smallest batch, beside group normalization."""
    question = "Small batches"
    if report.get("small_batch") is None:
        return Headline(question=question, figure="–", sentence="This study does not vary the batch size.")
    reference = report["small_batch"]["reference_batch"]
    rows = [row for row in records(batch_rows(report)) if row["degradation_estimate"] is not None]
    if not rows:
        return Headline(question=question, figure="–", sentence=NOTHING_YET)
    named = [row for row in rows if _name(row["normalization"]) == "batch"] or rows
    smallest = min(row["batch_size"] for row in named)
    if smallest == reference:
        return Headline(
            question=question, figure="–", sentence="Only the reference batch size has finished trials yet."
        )
    lead = max((row for row in named if row["batch_size"] == smallest), key=lambda row: row["degradation_estimate"])
    level = level_word("normalization", lead["normalization"])
    sentence = (
        f"At batch size {smallest:g}, the {error_word(report)} with **{level}** is "
        f"{_apart(lead['degradation_estimate'])} than at {reference:g} "
        f"({points_interval(lead['degradation_low'], lead['degradation_high'])})"
    )
    group = [r for r in rows if r["batch_size"] == smallest and _name(r["normalization"]) == "group"]
    if group and lead not in group:
        sentence += f", with GroupNorm {_apart(group[0]['degradation_estimate'])}"
        sentence += _difference(report, lead["normalization"], smallest)
    return Headline(question=question, figure=f"{points(lead['degradation_estimate'])} points", sentence=sentence + ".")


def comparable(grid: Grid, numbers: list[int]) -> list[int]:
    """Of these cells, the largest set that differs in levels only, not in data, model or training.

    Among equally large sets the one with the largest batch size: degradation is measured from it.
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    for cell in numbers:
        setting = tuple(f"{p}={v}" for p, v in sorted(grid.cells[cell].items()) if "." in p)
        groups.setdefault(setting, []).append(cell)

    def rank(members: list[int]) -> tuple[int, float]:
        return len(members), float(grid.cells[members[0]].get("training.batch_size") or 0)

    return max(groups.values(), key=rank)


def target_value(report: Mapping[str, Any]) -> float | None:
    """The target loss; None until the reference cell has finished trials."""
    return finite(report["target"]["value"])


def _arrives(report: Mapping[str, Any], cell: Cell) -> bool:
    """Whether any trial of the cell reached the target."""
    return any(curve["cell"] == cell and curve["reached"]["estimate"] for curve in report["convergence"]["curves"])


def _never(report: Mapping[str, Any]) -> str:
    """How many finished trials did not reach the target within their budget."""
    shares = [estimate_of(curve["reached"]) for curve in report["convergence"]["curves"]]
    everyone = sum(share["n"] for share in shares)
    missed = everyone - sum(round((share["estimate"] or 0.0) * share["n"]) for share in shares)
    return f"{missed:,} of {plural(everyone, 'trial')} never reach it." if missed else "Every trial reaches it."


def _apart(change: float) -> str:
    """`12.3 points higher`; `no higher` where it rounds to nothing."""
    size = points(abs(change)).lstrip("+")
    return "no higher" if size == "0.0" else f"{size} points {'lower' if change < 0 else 'higher'}"


def _difference(report: Mapping[str, Any], normalization: Any, batch_size: float) -> str:
    for entry in report["small_batch"]["difference_in_differences"]:
        if entry["normalization"] == normalization and entry["batch_size"] == batch_size:
            own = estimate_of(entry)
            return f"; the difference is {points(own['estimate'])} ({points_interval(own['low'], own['high'])})"
    return ""


def _siblings(one: Cell, other: Cell, path: str) -> bool:
    """Whether two cells differ in `path` and in nothing else."""
    differing = {key for key in {*one, *other} if one.get(key) != other.get(key)}
    return differing == {path}


def _told(grid: Grid, cell: Cell) -> str:
    """The cell by its varying factors; the activation always, as it carries the sentence."""
    return cell_phrase({path: value for path, value in cell.items() if path in grid.levels or path == "activation"})


def _estimate(row: Mapping[str, Any]) -> float:
    return float(row["estimate"])


def _name(normalization: Any) -> str:
    return str(normalization.get("name")) if isinstance(normalization, Mapping) else str(normalization)


def _capital(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]
