"""The kernels of the first convolution at the end: what a network looks at (SCIENCE A5; Shang et al. 2016, figure 1).

Legend: L lanes, F filters, C input channels, k taps a side.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from actinium.frame import FIRST_FILTERS, LARGEST_ARTIFACT
from workers.layers import LaneModel
from workers.probes.family import Family


@torch.no_grad()
def first_filters(model: LaneModel, lane: int) -> dict[str, NDArray[np.float32]]:
    """`first_filters` [F, C, k, k] of one lane; nothing where the first layer is no convolution, or is too large."""
    if not model.hidden_names:
        return {}
    weight = model.params[f"{model.hidden_names[0]}.weight"][lane]
    kernels = weight.detach().float().cpu().numpy().copy()
    return {FIRST_FILTERS: kernels} if kernels.ndim == 4 and kernels.nbytes <= LARGEST_ARTIFACT else {}


FILTERS = Family(name="filters", artifacts=first_filters)
