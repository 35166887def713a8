"""The table of probe families, and what follows from it for frames: which series, in which order, when.

To add a family: its setting in `actinium.probes.Probes`, its quantities in `actinium.measurements.MEASUREMENTS`, its
file with the functions, and one entry here. To add a quantity to a family: its entry in MEASUREMENTS, and the family's
function gives it. Whoever forgets one of these is told by a ProbeFault.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from actinium.errors import ProbeFault
from actinium.frame import layer_series
from actinium.trial import TrialConfig
from workers.layers import LaneModel
from workers.probes.activation_statistics import ACTIVATION_STATISTICS
from workers.probes.covariate_shift import COVARIATE_SHIFT
from workers.probes.dead_units import DEAD_UNITS
from workers.probes.distribution import DISTRIBUTIONS
from workers.probes.family import Family
from workers.probes.first_filters import FILTERS
from workers.probes.gradient_flow import GRADIENT_FLOW
from workers.probes.input_drift import INPUT_DRIFT
from workers.probes.sparsity import SPARSITY
from workers.probes.spectrum import SPECTRUM
from workers.probes.statistic_error import STATISTIC_ERROR
from workers.probes.unit_states import UNIT_STATES
from workers.probes.weights import WEIGHTS

FAMILIES: Final[dict[str, Family]] = {
    family.name: family
    for family in (
        DEAD_UNITS,
        ACTIVATION_STATISTICS,
        GRADIENT_FLOW,
        UNIT_STATES,
        SPARSITY,
        SPECTRUM,
        DISTRIBUTIONS,
        INPUT_DRIFT,
        COVARIATE_SHIFT,
        WEIGHTS,
        STATISTIC_ERROR,
        FILTERS,
    )
}
"""By name, in the order of a frame's series."""


def families_of(config: TrialConfig) -> list[Family]:
    """Those that are on."""
    return [family for family in FAMILIES.values() if family.is_on(config)]


def probe_series(config: TrialConfig) -> tuple[str, ...]:
    """The series of the families that are on: the network's first, then the layers'. Raises ProbeFault where two give
    the same.
    """
    found = [one for family in families_of(config) for one in family.given(config)]
    layers = range(1, len(config.layers()) + 1)
    names = [one.name for one in found if one.network]
    names += [layer_series(one.name, layer) for one in found if one.layers for layer in layers]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ProbeFault(f"two families of probes give {twice!r}; each series is of one")
    return tuple(names)


def artifacts(config: TrialConfig, model: LaneModel, lane: int) -> Mapping[str, NDArray[np.float32]]:
    """The arrays that the families that are on leave of one lane's network at its end."""
    found: dict[str, NDArray[np.float32]] = {}
    for family in families_of(config):
        if family.artifacts is not None:
            found |= family.artifacts(model, lane)
    return found
