"""Networks of convolutions with or without shortcuts, lane-first: lanes are groups of one grouped convolution.

Legend: L lanes, B examples, C channels, H, W positions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from actinium.models.architectures import Block, Convolution
from actinium.models.feedforward import Convolutional
from actinium.trial import TrialConfig
from workers.layers import Parameters, Pass, classify
from workers.models.lanes import PackedNetworks


class LaneConvolutional(PackedNetworks):
    """The stem, the blocks, global average pooling and a linear classifier of an `Architecture`."""

    lane_axis = 1

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        model = configs[0].sized_model()
        assert isinstance(model, Convolutional)
        self.architecture = model.architecture(configs[0].task.definition().shape, configs[0].activation.ratio)
        self._pool = functional.max_pool2d if self.architecture.pooling == "max" else functional.avg_pool2d
        super().__init__(configs, device=device, dtype=dtype)

    def forward(self, params: Parameters, inputs: Tensor, pass_: Pass) -> Tensor:
        """Outputs [L, B, K] of inputs [B, L, C, H, W]."""

        def layer(place: Convolution, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
            y = self.hidden(params, place.name, self._convolved(params, place, x), pass_, shortcut=shortcut)
            return self._pooled(y) if place.pooled else y

        def shortcut(block: Block, x: Tensor) -> Tensor:
            if block.projection is None:
                return subsampled(x, block.stride, block.convolutions[-1].outputs)
            u = self._convolved(params, block.projection, x)
            return self.projected(params, block.projection.name, u, pass_)

        x = inputs
        for place in self.architecture.stem:
            x = layer(place, x)
        for block in self.architecture.blocks:
            y = x
            for place in block.convolutions[:-1]:
                y = layer(place, y)
            x = layer(block.convolutions[-1], y, shortcut(block, x))
        features = self.shifted(params, "classifier", x.mean(dim=(3, 4)).transpose(0, 1), lane_axis=0)
        return classify(features, params["classifier.weight"], params["classifier.bias"])

    def _convolved(self, params: Parameters, place: Convolution, x: Tensor) -> Tensor:
        """[B, L, C_out, H', W'] from x [B, L, C_in, H, W]: every lane with its kernels and biases."""
        u = functional.conv2d(
            self.shifted(params, place.name, x).flatten(1, 2),
            self.weight(params, place.name).flatten(0, 1),
            self.bias(params, place.name).flatten(),
            stride=place.stride,
            padding=place.kernel // 2,
            groups=x.shape[1],
        )
        return u.view(*x.shape[:2], -1, *u.shape[2:])

    def _pooled(self, x: Tensor) -> Tensor:
        """One number for every 2x2 positions of [B, L, C, H, W]: the largest, or the mean."""
        halved = self._pool(x.flatten(1, 2), 2)
        return halved.view(*x.shape[:3], *halved.shape[2:])


def subsampled(x: Tensor, stride: int, channels: int) -> Tensor:
    """Every `stride`-th position of [B, L, C, H, W], with zeros for the channels from C on."""
    missing = channels - x.shape[2]
    x = x[..., ::stride, ::stride] if stride > 1 else x
    return functional.pad(x, (0, 0, 0, 0, 0, missing)) if missing else x
