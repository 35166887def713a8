"""Units that are off (SCIENCE D1): max over the probe set of phi(z) is at most 0.

Only rectifiers have an off state; which activations those are says `workers.activations.ACTIVATION_FUNCTIONS`. For any
other the rate is not applicable. A leaky rectifier that is off still learns, and is not gradient-dead. A pair with two
outputs is off where both are.
"""

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk, Place, larger_half


class OffUnits:
    """O_u = 1[max_x h_u(x) <= 0]."""

    def __init__(self, rectifies: Tensor, *, doubled: bool) -> None:
        """`rectifies` [L] bool: whether the lane's activation is a rectifier. `doubled`: units have two outputs."""
        self._rectifies, self._doubled = rectifies.unsqueeze(1), doubled
        self._peak: Tensor | None = None

    def add(self, chunk: LayerChunk) -> None:
        """Keep the largest output."""
        peak = chunk.peak(chunk.activation)
        self._peak = peak if self._peak is None else torch.maximum(self._peak, peak)

    def undecided(self) -> Tensor:
        """[L, C] bool: the units, or halves, that another example could still show to be on."""
        assert self._peak is not None
        return self._rectifies & (self._peak <= 0)

    def add_of(self, place: Place, chunk: LayerChunk) -> None:
        """As `add`, of a part that holds these lanes, or units, alone."""
        assert self._peak is not None
        self._peak[place] = torch.maximum(self._peak[place], chunk.peak(chunk.activation))

    def by_half(self) -> Tensor:
        """O of each output, 0 or 1; NaN in lanes that do not rectify."""
        assert self._peak is not None
        return self._off(self._peak)

    def by_unit(self) -> Tensor:
        """O [L, C], or [L, P] of pairs, 0 or 1; NaN in lanes that do not rectify."""
        assert self._peak is not None
        return self._off(larger_half(self._peak, axis=1) if self._doubled else self._peak)

    def _off(self, peak: Tensor) -> Tensor:
        return torch.where(self._rectifies, (peak <= 0).double(), torch.nan)
