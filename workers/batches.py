"""A pack's examples: one dataset on the device, and for every lane its split, order and scaling.

Legend: L lanes, B examples, D dataset size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class PackData:
    """The data of a pack, lanes in the model's order.

    inputs [D, C, H, W] as stored; labels [D]; shift and scale [L, ...] broadcast to [L, C, H, W], so that
    x * scale + shift is z-scored on the lane's training part; train, validation, test [L, n] int64 positions.
    """

    inputs: Tensor
    labels: Tensor
    shift: Tensor
    scale: Tensor
    train: Tensor
    validation: Tensor
    test: Tensor
    lane_axis: int

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The examples at `index` [L, B]: inputs in the model's layout ([L, B, ...] or [B, L, ...]), labels [L, B]."""
        labels = self.labels[index]
        if self.lane_axis == 1:
            return torch.addcmul(self.shift, self.inputs[index.T], self.scale), labels
        return torch.addcmul(self.shift.unsqueeze(1), self.inputs[index], self.scale.unsqueeze(1)), labels

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these."""
        kept = torch.as_tensor(lanes, device=self.train.device)
        self.shift, self.scale = self.shift[kept], self.scale[kept]
        self.train, self.validation, self.test = self.train[kept], self.validation[kept], self.test[kept]
