"""What the table says of a series or a metric by its full name, such as `dormant_rate_0.025/layer_03`.

Of a name that is not in the table nothing is known, and nothing is guessed.
"""

from collections.abc import Iterable, Mapping

from actinium.measurements.definition import FIRST_VERSION, Measurement
from actinium.measurements.table import MEASUREMENTS

ANY_WORD = "name"
"""The parameter that need not be a number."""


def quantity_of(name: str) -> str | None:
    """The quantity that a series or metric is of: `dormant_rate` of `dormant_rate_0.025/layer_03`; None if unknown."""
    own = name.split("/", 1)[0]
    entry = MEASUREMENTS.get(own)
    if entry is not None:
        return own
    stem, _, parameter = own.rpartition("_")
    entry = MEASUREMENTS.get(stem)
    if entry is not None and entry.parameter and _is_number(parameter):
        return stem
    stems = (stem for stem, entry in MEASUREMENTS.items() if entry.parameter == ANY_WORD)
    return next((stem for stem in stems if own.startswith(f"{stem}_")), None)


def metric(name: str) -> Measurement | None:
    """The definition of a series or metric, whatever its layer and parameter; None for an unknown name."""
    quantity = quantity_of(name)
    return None if quantity is None else MEASUREMENTS[quantity]


def bounds(name: str) -> tuple[float | None, float | None]:
    """What a value can be at least and at most; None where there is no such bound, or the name is unknown."""
    entry = metric(name)
    return (None, None) if entry is None else (entry.low, entry.high)


def is_event(name: str) -> bool:
    """Whether it is a share of units to which something happens, so that none in any seed is no proof of never."""
    entry = metric(name)
    return entry is not None and entry.kind == "event"


def frames_only(name: str) -> bool:
    """Whether a series is too detailed for summaries and the mirror."""
    entry = metric(name)
    return entry is not None and entry.frames_only


def reported() -> tuple[str, ...]:
    """The metrics that reports list for every cell, in the table's order."""
    return tuple(
        f"{name}_{entry.usual}" if entry.usual else name for name, entry in MEASUREMENTS.items() if entry.reported
    )


def versions(names: Iterable[str]) -> dict[str, int]:
    """The versions of the quantities that these series or metrics are of, where they are not the first."""
    quantities = sorted({quantity for name in names if (quantity := quantity_of(name))})
    found = {quantity: MEASUREMENTS[quantity].version for quantity in quantities}
    return {quantity: version for quantity, version in found.items() if version != FIRST_VERSION}


def mixed(summaries: Iterable[Mapping[str, int]]) -> dict[str, list[int]]:
    """The quantities that these trials did not all measure by one definition, with the versions found, in order."""
    known = list(summaries)
    quantities = sorted({quantity for of_trial in known for quantity in of_trial})
    found = {q: sorted({of_trial.get(q, FIRST_VERSION) for of_trial in known}) for q in quantities}
    return {quantity: seen for quantity, seen in found.items() if len(seen) > 1}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
