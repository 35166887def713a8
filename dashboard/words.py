"""How the dashboard says things: levels, cells, percentages, intervals. Fractions come in, percent goes out."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from actinium.levels import LEVEL_KINDS, compact_label
from actinium.measurements import LOSS_UNIT, SHARE_UNIT, metric, quantity_of
from actinium.objectives import MetricWords

LEVEL_WORDS: dict[str, dict[str, str]] = {
    "activation": {
        "relu": "ReLU",
        "leaky_relu": "leaky ReLU",
        "prelu": "PReLU",
        "elu": "ELU",
    },
    "normalization": {
        "none": "no normalization",
        "batch": "BatchNorm",
        "layer": "LayerNorm",
        "instance": "InstanceNorm",
        "group": "GroupNorm",
    },
    "initialization": {"he": "He", "xavier": "Xavier"},
}
"""Names as papers print them; a level that is not here keeps its own name."""

NO_INTERVAL = "no CI: fewer than 2 seeds"


def factor_title(path: str) -> str:
    """A factor path as an axis or widget title: `training.batch_size` -> `batch size`; an interaction keeps its `x`."""
    return " × ".join(part.rsplit(".", 1)[-1].replace("_", " ") for part in path.split(" x "))


def metric_word(name: str, words: MetricWords | None = None) -> str:
    """A metric or series for people, as the table of measurements has it: `dormant units (0.025)`. `words` are the
    report's, of its objective. A name that is not in the table is shown with spaces.
    """
    if words is not None and name == "test_error":
        return words.error
    if words is not None and name == "validation_accuracy":
        return words.accuracy
    own = name.split("/", 1)[0]
    entry, quantity = metric(own), quantity_of(own)
    if entry is None or quantity is None:
        return factor_title(own)
    return entry.label if own == quantity else f"{entry.label} ({own.removeprefix(f'{quantity}_')})"


def is_share(name: str) -> bool:
    """Whether a metric is a fraction, which pages print in percent."""
    entry = metric(name)
    return entry is not None and entry.unit == SHARE_UNIT


def axis_title(name: str, words: MetricWords) -> str:
    """A metric with its unit: `validation loss (nats)`, `gradient-dead units (%)`. `words` are the report's."""
    entry = metric(name)
    unit = "1" if entry is None else {LOSS_UNIT: words.loss_unit, SHARE_UNIT: "%"}.get(entry.unit, entry.unit)
    word = metric_word(name, words)
    return word if unit == "1" else f"{word} ({unit})"


def level_word(path: str, value: Any) -> str:
    """A level for people: `leaky ReLU`, `GroupNorm (groups=8)`, `0.1`."""
    words = LEVEL_WORDS.get(path, {})
    if isinstance(value, Mapping):
        name = str(value.get("name", ""))
        inner = compact_label({"name": "", **{k: v for k, v in value.items() if k != "name"}})
        return f"{words.get(name, name)} {inner}".strip()
    return words.get(value, compact_label(value)) if isinstance(value, str) else compact_label(value)


def cell_phrase(cell: Mapping[str, Any], *, leave_out: frozenset[str] = frozenset()) -> str:
    """A cell inside a sentence: `ReLU without normalization, He initialization, batch size 2`."""
    activation = cell.get("activation")
    normalization = cell.get("normalization")
    parts: list[str] = []
    lead = level_word("activation", activation) if activation is not None and "activation" not in leave_out else ""
    if normalization is not None and "normalization" not in leave_out:
        tail = (
            "without normalization" if normalization == "none" else f"with {level_word('normalization', normalization)}"
        )
        lead = f"{lead} {tail}".strip()
    if lead:
        parts.append(lead)
    for path, value in cell.items():
        if path in ("activation", "normalization") or path in leave_out:
            continue
        word = level_word(path, value)
        parts.append(f"{word} initialization" if path == "initialization" else f"{factor_title(path)} {word}")
    return ", ".join(parts) or "the one cell"


def short_label(cell: Mapping[str, Any], paths: tuple[str, ...]) -> str:
    """A cell's levels at `paths` as one line for an axis: `ReLU · BatchNorm · batch size 2`."""
    words = []
    for path in paths:
        word = level_word(path, cell[path]) if path in cell else "(base)"
        words.append(word if path in LEVEL_KINDS else f"{factor_title(path)} {word}")
    return " · ".join(words) or "base"


def finite(value: Any) -> float | None:
    """A number, or None for null, NaN and infinities (which JSON carries as strings)."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def percent(fraction: float | None) -> str:
    """`31%`; below ten percent with one decimal, `<0.1%` where that would read as nothing."""
    if fraction is None:
        return "–"
    value = 100.0 * fraction
    if value == 0.0:
        return "0%"
    if abs(value) < 0.05:
        return "<0.1%" if value > 0 else ">-0.1%"
    return f"{value:.0f}%" if abs(value) >= 9.95 else f"{value:.1f}%"


def points(fraction: float | None) -> str:
    """A difference of two rates in percentage points: `+12.3`."""
    if fraction is None:
        return "–"
    value = round(100.0 * fraction, 1)
    return f"{value:+.1f}" if value else "0.0"


def number(value: float | None) -> str:
    """Three significant digits, no exponent between 0.001 and 100,000."""
    if value is None:
        return "–"
    if value == 0.0:
        return "0"
    if 100 <= abs(value) < 1e5:
        return f"{value:,.0f}"
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1000 else f"{value:.2e}"


def whole(value: float | None) -> str:
    """Steps, to the nearest one: `1,240`; below ten with one decimal."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 9.95 else f"{value:.1f}"


def interval(low: float | None, high: float | None, *, show: Callable[[float | None], str] = number) -> str:
    """`95% CI 24–38%`; without an interval (fewer than two seeds) it says so."""
    if low is None or high is None:
        return NO_INTERVAL
    if low < 0 and show is not percent:
        return f"95% CI {show(low)} to {show(high)}"
    return f"95% CI {show(low).removesuffix('%')}–{show(high)}"


def points_interval(low: float | None, high: float | None) -> str:
    """`95% CI +9.8 to +14.9`, in percentage points."""
    if low is None or high is None:
        return NO_INTERVAL
    return f"95% CI {points(low)} to {points(high)}"


def probability(value: float | None) -> str:
    """A p value: three decimals, `<0.001` below."""
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def plural(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`, `1,000 trials`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
