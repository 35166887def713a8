"""The three comparisons of a report as plain tables: dead units, convergence, small batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actinium.levels import compact_label
from actinium.paths import cell_label

NOTHING = "-"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A table for people: `numbers` are the columns that hold figures; `note` says what they mean."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    @property
    def numbers(self) -> tuple[str, ...]:
        """Every column but the first words."""
        return tuple(column for column in self.columns if column not in ("cell", "normalization"))


def comparisons(report: Mapping[str, Any]) -> list[Comparison]:
    """The three tables, in the order of the questions."""
    return [dead_units(report), convergence(report), *small_batches(report)]


def mixed_measurements(report: Mapping[str, Any]) -> str | None:
    """A warning where trials of one study measured a quantity by different definitions; None where none did."""
    found = report.get("mixed_measurements") or {}
    if not found:
        return None
    said = "; ".join(f"{name}: versions {', '.join(map(str, versions))}" for name, versions in found.items())
    again = "Submit the study anew to measure all by one."
    return f"Not all trials measured by one definition, do not compare these ({said}). {again}"


def dead_units(report: Mapping[str, Any]) -> Comparison:
    """Gradient-dead units at the end, and how they came to it (SCIENCE D1), worst first."""
    cells = sorted(report["cells"], key=lambda c: -_number(c["metrics"].get("dead_unit_rate")))
    rows = [
        (
            spaced(cell["cell"]),
            *(share(cell["metrics"].get(name)) for name in ("dead_unit_rate", "born_dead_rate", "died_rate")),
            str((cell["metrics"].get("dead_unit_rate") or {}).get("n", 0)),
        )
        for cell in cells
    ]
    return Comparison(
        title="Dead units at the end of training",
        columns=("cell", "dead", "born dead", "died", "n"),
        rows=tuple(rows),
        note="Share of units through which no gradient passes for any probe example; [95% interval] over n seeds.",
    )


def convergence(report: Mapping[str, Any]) -> Comparison:
    """Restricted mean steps to the target (SCIENCE D2), fastest first."""
    reached = {_key(curve["cell"]): curve["reached"] for curve in report["convergence"]["curves"]}
    cells = sorted(report["cells"], key=lambda c: _number(c["metrics"].get("steps_to_target"), missing=float("inf")))
    rows = []
    for cell in cells:
        steps = cell["metrics"].get("steps_to_target")
        row = (figure(steps, ".0f"), share(reached.get(_key(cell["cell"]))), share(cell["collapse_rate"]))
        rows.append((spaced(cell["cell"]), *row, str((steps or {}).get("n", 0))))
    value = (report.get("target") or {}).get("value")
    goal = "the target" if value is None else f"validation loss {value:.4g}"
    return Comparison(
        title="Convergence",
        columns=("cell", "steps to target", "reached", "collapsed", "n"),
        rows=tuple(rows),
        note=f"Steps until {goal}, restricted mean over the budget; collapsed: diverged or stalled; [95% interval].",
    )


def small_batches(report: Mapping[str, Any]) -> list[Comparison]:
    """Test error by batch size, its growth from the reference batch, and that growth against group's (SCIENCE D3)."""
    title = "Small batches"
    small, error = report.get("small_batch"), error_word(report)
    if not small:
        return [
            Comparison(title=title, columns=("cell",), rows=(), note="training.batch_size is no factor of this study.")
        ]
    against = {
        (_key(entry["normalization"]), entry["batch_size"]): points_of_error(entry)
        for entry in small["difference_in_differences"]
    }
    rows = []
    for curve in small["curves"]:
        for point in sorted(curve["points"], key=lambda p: float(p["batch_size"])):
            rows.append(
                (
                    compact_label(curve["normalization"]),
                    str(point["batch_size"]),
                    share(point["error"]),
                    points_of_error(point["degradation"]),
                    against.get((_key(curve["normalization"]), point["batch_size"]), NOTHING),
                )
            )
    return [
        Comparison(
            title=title,
            columns=("normalization", "batch", error, "degradation", "minus group's"),
            rows=tuple(rows),
            note=f"Degradation: {error} less that at batch {small['reference_batch']}, in percentage points; "
            "minus group's: its difference to group normalization's; [95% interval].",
        )
    ]


def error_word(report: Mapping[str, Any]) -> str:
    """What a report's `test_error` is called; where the report does not say, that of classes."""
    return str((report.get("words") or {}).get("error", "test error"))


def spaced(cell: Mapping[str, Any]) -> str:
    """A cell's label that can wrap between its levels."""
    return cell_label(cell).replace("·", " · ")


def figure(estimate: Mapping[str, Any] | None, pattern: str, *, scale: float = 1.0, unit: str = "") -> str:
    """`estimate [low, high]`."""
    if not estimate or estimate.get("estimate") is None:
        return NOTHING
    middle = f"{scale * estimate['estimate']:{pattern}}{unit}"
    low, high = estimate.get("low"), estimate.get("high")
    return middle if low is None or high is None else f"{middle} [{scale * low:{pattern}}, {scale * high:{pattern}}]"


def share(estimate: Mapping[str, Any] | float | None) -> str:
    """A fraction in percent, with its interval if it has one."""
    wrapped = {"estimate": estimate} if isinstance(estimate, int | float) else estimate
    return figure(wrapped, ".1f", scale=100.0, unit="%")


def points_of_error(estimate: Mapping[str, Any] | None) -> str:
    """A difference of fractions in percentage points, signed."""
    return figure(estimate, "+.1f", scale=100.0)


def _key(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_key(value[key])}" for key in sorted(value)) + "}"
    return repr(value)


def _number(estimate: Mapping[str, Any] | None, missing: float = -1.0) -> float:
    value = (estimate or {}).get("estimate")
    return missing if value is None else float(value)
