"""Networks that say the same whatever they are shown (SCIENCE D1): every logit is constant over the probe set.

Constant as for a unit: its range is at most a small share of the root mean square of all logits. Legend: L lanes, B
examples, K logits.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk
from workers.probes.constant import Constant


class NetworkConstant:
    """1[for every k: max_x o_k - min_x o_k <= tolerance rms], decided on the whole probe set."""

    def __init__(self, tolerance: float) -> None:
        self._logits = Constant(tolerance)

    def add(self, logits: Tensor) -> None:
        """Take in a part's logits [L, B, K]."""
        self._logits.add(_as_layer(logits))

    def undecided(self) -> Tensor:
        """[L] bool: lanes that another example could still show to answer to their input."""
        return self._logits.undecided().all(1)

    def add_of(self, lanes: Tensor, logits: Tensor) -> None:
        """As `add`, of a part that was passed through these lanes alone: it holds no others."""
        self._logits.add_of((lanes,), _as_layer(logits))

    def by_network(self) -> Mapping[str, Tensor]:
        """[L] float64, 0 or 1."""
        return {"network_constant": self.undecided().double()}


def _as_layer(logits: Tensor) -> LayerChunk:
    whole = logits.flatten(2)
    return LayerChunk(
        preactivation=whole,
        activation=whole,
        derivative=torch.ones_like,
        lane_axis=0,
    )
