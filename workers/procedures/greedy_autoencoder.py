"""Greedy layer-wise pretraining by autoencoders (Bengio et al. 2007), or denoising ones (Vincent et al. 2008).

Legend: L lanes, B examples, N inputs of a layer, M outputs.
"""

from pathlib import Path

import torch
from torch import Tensor

from actinium.errors import InvalidInput
from actinium.frame import layer_series
from actinium.levels import stands_after
from actinium.trial import Training, TrialConfig
from workers.draws import StepDraws
from workers.layers import LaneModel, LayerwiseModel, Parameters, Pass
from workers.seeding import pretraining_order_stream
from workers.training.batches import PackData, epoch_order
from workers.training.optimizers import OPTIMIZERS


def train_greedily(model: LaneModel, data: PackData, data_root: Path | None) -> list[dict[str, float]]:
    """Layer by layer, lowest first: minimise the mean of (x - phi(W h + c))^2, by the variance of x, where x [B, N] is
    what the layer with weights W [N, M] receives and h [B, M] what it makes of it, normalization included.

    The decoder ends in the activation phi whose outputs x are: weights that only shared W with a linear decoder would
    shrink, layer by layer, what a saturating phi hands on. Where x are data, or normalized, it is linear.
    With `corruption`, each of the inputs that h is made of is 0 with that chance; the x to be reconstructed is whole.
    Everything of the layer is learned, by Adam in batches of the trial's size; the decoder's biases c are then
    forgotten. Measured: each layer's loss over the last epoch.
    """
    if not isinstance(model, LayerwiseModel):
        raise InvalidInput(f"the networks of a {model.configs[0].model.kind} have no layers that are computed alone")
    measured: list[dict[str, float]] = [{} for _ in model.configs]
    for number, layer in enumerate(model.hidden_names):
        losses = _Autoencoder(model, data, number, layer).train().tolist()
        for metrics, loss in zip(measured, losses, strict=True):
            metrics[layer_series("reconstruction_loss", number + 1)] = loss
    return measured


class _Autoencoder:
    """One layer of every lane in training."""

    def __init__(self, model: LayerwiseModel, data: PackData, number: int, layer: str) -> None:
        self._model, self._data, self._number, self._layer = model, data, number, layer
        self._levels = [config.initialization for config in model.configs]
        corruption = torch.tensor([level.number("corruption") for level in self._levels])
        self._corruption = corruption.to(data.scale).view(-1, 1, 1)
        self._corrupts = bool((corruption > 0).any())
        unactivated = [stands_after(config.normalization) for config in model.configs]
        self._received_activated = ~torch.tensor(unactivated, device=data.scale.device).view(-1, 1, 1)
        width = model.params[f"{layer}.weight"].shape[1]
        self._learned: Parameters = {
            name: tensor for name, tensor in model.params.items() if name.startswith(f"{layer}.")
        }
        self._learned["decoder.bias"] = data.scale.new_zeros(len(model.configs), width).requires_grad_()
        self._optimizer = OPTIMIZERS["adam"](self._learned, [_adam(config) for config in model.configs])

    def train(self) -> Tensor:
        """All epochs; the mean loss over the last one, [L]."""
        configs, size = self._model.configs, self._model.configs[0].training.batch_size
        batches, step = self._data.train.shape[1] // size, 0
        losses = self._data.scale.new_zeros(len(configs))
        for epoch in range(int(self._levels[0].number("epochs"))):
            order = epoch_order(self._data, configs, epoch, stream=pretraining_order_stream)
            losses.zero_()
            for batch in range(batches):
                losses += self._step(order[:, batch * size : (batch + 1) * size], step) / batches
                step += 1
        return losses

    def _step(self, index: Tensor, step: int) -> Tensor:
        with torch.no_grad():
            x = self._data.take(index)[0].flatten(2)
            for below in range(self._number):
                x = self._model.layer(self._model.params, below, x, Pass.measuring())
        h = self._model.layer(self._model.params, self._number, self._corrupted(x, step), Pass.measuring())
        bias, weight = self._learned["decoder.bias"].unsqueeze(1), self._learned[f"{self._layer}.weight"]
        decoded = torch.baddbmm(bias, h, weight.mT)
        if self._number:
            activated = self._model.activated(self._model.params, self._number - 1, decoded)
            decoded = torch.where(self._received_activated, activated, decoded)
        variance = x.var(1, correction=0).mean(1)
        losses = (decoded - x).square().mean((1, 2)) / torch.where(variance > 0, variance, 1.0)
        gradients = torch.autograd.grad(losses.sum(), list(self._learned.values()), materialize_grads=True)
        self._optimizer.step(self._learned, dict(zip(self._learned, gradients, strict=True)))
        return losses.detach()

    def _corrupted(self, x: Tensor, step: int) -> Tensor:
        """x [L, B, N] with inputs set to 0 by chance."""
        if not self._corrupts:
            return x
        seeds = [config.seed for config in self._model.configs]
        draws = StepDraws(seeds, step, device=x.device, dtype=x.dtype)
        return x * (draws.uniform("corruption", self._layer, slice(None), x.shape[1:]) >= self._corruption)


def _adam(config: TrialConfig) -> Training:
    return Training(optimizer="adam", learning_rate=config.initialization.number("learning_rate"))
