"""docs/measurements.md, from the table."""

from actinium.measurements.definition import Measurement
from actinium.measurements.table import MEASUREMENTS

HEADING = (
    "# What is measured",
    "",
    "Every quantity of a frame, a summary or a report, from `actinium/measurements/table.py`;",
    "`python -m actinium.measurements` prints this page, and `GET /v1/catalogue` lists the same under `metrics`.",
    "",
    "- *quantity*: its name; `NAME/layer_03` is the third hidden layer's.",
    "- *label*: what pages call it.",
    "- *family*: the setting under `probes` that turns it on; `losses`, `design`, `procedures` and `report` are there",
    "  unasked.",
    "- *section* of SCIENCE: D1 dead units, D2 convergence, D3 small batches and statistics, D4 gradients and weights,",
    "  D5 distributions, D6 reports.",
    "- *of*: what it is a number of. What is of a unit or a layer has a series for each hidden layer; in brackets what",
    "  the network's own number is: a mean, or one of its own, or there is none.",
    "- *range*: what one trial's value can be. Intervals of reports keep to it.",
    "- *unit*: `loss` is that of the objective: nats, or squared units. Shares are fractions, not percent.",
    "- *better*: whether less or more of it is better, where either is.",
    "- *kind*: an event is a share of units to which something happens; where no seed has shown any, reports say how",
    "  many seeds could show it still.",
    "- *version*: raised when a quantity is computed differently. A summary's `measurement_versions` holds those of",
    "  what it measured that are not 1; a report says under `mixed_measurements` what a study's trials did not all",
    "  measure by one definition, and an export has the versions of every trial.",
    "",
    "| quantity | label | family | section | of | range | unit | better | kind | version | kept in | definition |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
)

BETTER = {True: "less", False: "more", None: ""}


def page() -> str:
    """The whole page."""
    return "\n".join([*HEADING, *(_row(name, entry) for name, entry in MEASUREMENTS.items())]) + "\n"


def _row(name: str, entry: Measurement) -> str:
    cells = (
        f"`{name}{f'_{entry.parameter.upper()}' if entry.parameter else ''}`",
        entry.label,
        entry.family,
        entry.section,
        _defined(entry),
        span(entry.low, entry.high),
        entry.unit,
        BETTER[entry.smaller_is_better],
        entry.kind,
        str(entry.version),
        _kept(entry),
        entry.definition.replace("|", "\\|"),
    )
    return f"| {' | '.join(cells)} |"


def _defined(entry: Measurement) -> str:
    if entry.defined == "network":
        return "network"
    return f"{entry.defined} ({'no network' if entry.network == 'none' else entry.network})"


def _kept(entry: Measurement) -> str:
    if entry.family == "report":
        return "reports"
    if entry.summary_only:
        return "summaries"
    return "frames" if entry.frames_only else "frames, summaries"


def span(low: float | None, high: float | None) -> str:
    """`0 to 1`, `from 0`, `to 1`, or nothing where there are no bounds."""
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if low is not None:
        return f"from {low:g}"
    return "" if high is None else f"to {high:g}"
