"""Lanes in which only the classifier is trained: `transfer` with `freeze: features`. Legend: F frozen lanes."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from actinium.trial import TrialConfig
from workers.layers import Parameters


def trains_classifier_alone(config: TrialConfig) -> bool:
    """Whether the trial trains its classifier alone, on hidden layers as its procedure has left them."""
    return config.initialization.parameters.get("freeze") == "features"


class FrozenFeatures:
    """Keeps the parameters of hidden layers, in lanes that train the classifier alone, at their values at construction.

    Running statistics are not kept: they move as in other lanes. Which lanes are frozen is an index on the device, so
    that a training step neither waits for the device nor keeps a CUDA graph from being recorded.
    """

    def __init__(self, configs: Sequence[TrialConfig], params: Parameters) -> None:
        self._places = [place for place, config in enumerate(configs) if trains_classifier_alone(config)]
        self._index = torch.tensor(self._places, dtype=torch.int64, device=next(iter(params.values())).device)
        self._values = {
            name: tensor.detach()[self._places].clone()
            for name, tensor in params.items()
            if self._places and not name.startswith("classifier.")
        }

    def without(self, gradients: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The gradients, with zeros for frozen parameters, which then add nothing to the norm that clipping goes by."""
        if not self._places:
            return gradients
        return {
            name: gradient.index_fill(0, self._index, 0.0) if name in self._values else gradient
            for name, gradient in gradients.items()
        }

    @torch.no_grad()
    def put_back(self, params: Parameters) -> None:
        """Set frozen parameters back to their values: weight decay, or momentum, may have moved them in a step."""
        for name, values in self._values.items():
            params[name].index_copy_(0, self._index, values)

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these (ascending places)."""
        rows = [row for row, place in enumerate(self._places) if place in lanes]
        self._values = {name: values[rows] for name, values in self._values.items()} if rows else {}
        self._places = [lanes.index(self._places[row]) for row in rows]
        self._index = torch.tensor(self._places, dtype=torch.int64, device=self._index.device)
