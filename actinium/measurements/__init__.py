"""What is measured: every quantity by name, its definition in a line, where SCIENCE defines it, its bounds and version.

A version is raised whenever a quantity is computed differently, so that numbers of two definitions are never taken for
one: a trial's summary says the versions of what it measured. What is defined of a unit or a layer is there by layer
(`NAME/layer_03`), and a quantity with a parameter has it in its name (`dormant_rate_0.025`).
`python -m actinium.measurements` prints docs/measurements.md.
"""

from actinium.measurements.definition import FIRST_VERSION, LOSS_UNIT, SHARE_UNIT, Measurement
from actinium.measurements.names import (
    bounds,
    frames_only,
    is_event,
    metric,
    mixed,
    quantity_of,
    reported,
    versions,
)
from actinium.measurements.table import MEASUREMENTS

__all__ = [
    "FIRST_VERSION",
    "LOSS_UNIT",
    "MEASUREMENTS",
    "SHARE_UNIT",
    "Measurement",
    "bounds",
    "frames_only",
    "is_event",
    "metric",
    "mixed",
    "quantity_of",
    "reported",
    "versions",
]
