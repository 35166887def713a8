"""Optimizers over lanes: every lane has its own rate, momentum and decay; the arithmetic is torch.optim's.

Legend: L lanes. A parameter is [L, ...]; per-lane scalars are [L, 1, ...]. Penalties touch only `*.weight`: never
biases, normalization parameters or learned slopes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from actinium.trial import Training
from workers.layers import Parameters


class Optimizer(Protocol):
    """Moves parameters in place; its state has the parameters' shapes."""

    def step(self, params: Parameters, gradients: Mapping[str, Tensor]) -> None:
        """One step; gradients are consumed (their memory may be reused)."""
        ...

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What it remembers, by names of its own: its own tensors, shaped as the parameters."""
        ...

    def restore(self, *, steps: int) -> None:
        """It has taken so many steps; what `state` gives has been overwritten."""
        ...


class PerLane:
    """Hyperparameters of the lanes as vectors [L], handed out with the axes that a parameter needs."""

    def __init__(self, trainings: Sequence[Training], like: Tensor, **fields: Callable[[Training], float]) -> None:
        self._vectors = {
            name: torch.tensor([read(t) for t in trainings], dtype=torch.float64).to(like.device, like.dtype)
            for name, read in fields.items()
        }
        self._present = {name: bool((vector != 0).any()) for name, vector in self._vectors.items()}

    def __getitem__(self, name: str) -> Tensor:
        return self._vectors[name]

    def shaped(self, name: str, like: Tensor) -> Tensor:
        """The vector as [L, 1, ...], with as many axes as `like`."""
        return self._vectors[name].view(-1, *[1] * (like.dim() - 1))

    def any(self, name: str) -> bool:
        """Whether any lane has a value other than zero (known on the host)."""
        return self._present[name]

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these."""
        self._vectors = {name: _kept(vector, lanes) for name, vector in self._vectors.items()}


def _kept(tensor: Tensor, lanes: Sequence[int]) -> Tensor:
    return tensor[torch.as_tensor(lanes, device=tensor.device)]


def _penalized(name: str, parameter: Tensor, gradient: Tensor, lane: PerLane) -> Tensor:
    """The gradient of the loss and of (decay / 2) sum w^2 + l1 sum |w|; the latter's at 0 is 0."""
    if not name.endswith(".weight"):
        return gradient
    if lane.any("decay"):
        gradient = torch.addcmul(gradient, parameter, lane.shaped("decay", parameter))
    if lane.any("l1"):
        gradient = torch.addcmul(gradient, parameter.sign(), lane.shaped("l1", parameter))
    return gradient


CLIP_EPSILON = 1e-6
"""Added to a norm before it divides, as torch.nn.utils.clip_grad_norm_ does."""


class Clipping:
    """Scales each lane's gradients so that their norm over all its parameters is at most `gradient_clip`."""

    def __init__(self, trainings: Sequence[Training], like: Tensor) -> None:
        clips = [t.gradient_clip for t in trainings]
        self._wanted = any(clip is not None for clip in clips)
        most = [math.inf if clip is None else clip for clip in clips]
        self._most = torch.tensor(most, dtype=torch.float64).to(like.device, like.dtype)

    @torch.no_grad()
    def __call__(self, gradients: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The gradients, clipped; a lane whose norm is not finite becomes NaN as a whole, alone."""
        if not self._wanted:
            return gradients
        norms = [torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients.values()]
        whole = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        share = (self._most / (whole + CLIP_EPSILON)).clamp(max=1.0)
        return {name: g * share.view(-1, *[1] * (g.dim() - 1)) for name, g in gradients.items()}

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these."""
        self._most = _kept(self._most, lanes)


class Sgd:
    """v = momentum v + g; w -= rate v (torch.optim.SGD without dampening or Nesterov)."""

    def __init__(self, params: Parameters, trainings: Sequence[Training]) -> None:
        self._lane = PerLane(
            trainings,
            next(iter(params.values())),
            rate=lambda t: -t.effective_learning_rate(),
            momentum=lambda t: t.momentum,
            decay=lambda t: t.weight_decay,
            l1=lambda t: t.l1,
        )
        self._velocity = {
            name: torch.zeros_like(parameter, requires_grad=False)
            for name, parameter in params.items()
            if self._lane.any("momentum")
        }

    @torch.no_grad()
    def step(self, params: Parameters, gradients: Mapping[str, Tensor]) -> None:
        """One step of every lane."""
        for name, parameter in params.items():
            move = _penalized(name, parameter, gradients[name], self._lane)
            if self._velocity:
                velocity = self._velocity[name]
                momentum = self._lane.shaped("momentum", parameter)
                move = torch.addcmul(move, velocity, momentum, out=velocity)
            parameter.addcmul_(move, self._lane.shaped("rate", parameter))

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these."""
        self._lane.keep(lanes)
        self._velocity = {name: _kept(tensor, lanes) for name, tensor in self._velocity.items()}

    def state(self) -> dict[str, Tensor]:
        """The velocities."""
        return {f"velocity/{name}": tensor for name, tensor in self._velocity.items()}

    def restore(self, *, steps: int) -> None:
        """Steps are not counted."""


class Adam:
    """torch.optim.Adam: bias-corrected first and second moments, coupled decay; or, `decoupled`, torch.optim.AdamW,
    where w -= rate decay w comes before the step and decay stays out of the moments.
    """

    def __init__(self, params: Parameters, trainings: Sequence[Training], *, decoupled: bool = False) -> None:
        self._decoupled = decoupled
        self._lane = PerLane(
            trainings,
            next(iter(params.values())),
            rate=lambda t: t.effective_learning_rate(),
            beta1=lambda t: t.beta1,
            beta2=lambda t: t.beta2,
            one_less_beta1=lambda t: 1.0 - t.beta1,
            one_less_beta2=lambda t: 1.0 - t.beta2,
            epsilon=lambda t: t.adam_epsilon,
            decay=lambda t: 0.0 if decoupled else t.weight_decay,
            shrink=lambda t: -t.effective_learning_rate() * t.weight_decay,
            l1=lambda t: t.l1,
        )
        self._first = {name: torch.zeros_like(parameter, requires_grad=False) for name, parameter in params.items()}
        self._second = {name: torch.zeros_like(parameter, requires_grad=False) for name, parameter in params.items()}
        self._steps = 0

    @torch.no_grad()
    def step(self, params: Parameters, gradients: Mapping[str, Tensor]) -> None:
        """One step of every lane."""
        self._steps += 1
        lane = self._lane
        size = -lane["rate"] / (1.0 - lane["beta1"].double() ** self._steps)
        root = (1.0 - lane["beta2"].double() ** self._steps).sqrt()
        for name, parameter in params.items():
            axes = [1] * (parameter.dim() - 1)
            if self._decoupled and name.endswith(".weight"):
                parameter.mul_(1.0 + lane.shaped("shrink", parameter))
            gradient = _penalized(name, parameter, gradients[name], lane)
            first, second = self._first[name], self._second[name]
            first.lerp_(gradient, lane.shaped("one_less_beta1", parameter))
            second.mul_(lane.shaped("beta2", parameter)).addcmul_(
                gradient * lane.shaped("one_less_beta2", parameter), gradient
            )
            denominator = second.sqrt().div_(root.to(second.dtype).view(-1, *axes))
            denominator.add_(lane.shaped("epsilon", parameter))
            parameter.addcdiv_(first * size.to(first.dtype).view(-1, *axes), denominator)

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these."""
        self._lane.keep(lanes)
        self._first = {name: _kept(tensor, lanes) for name, tensor in self._first.items()}
        self._second = {name: _kept(tensor, lanes) for name, tensor in self._second.items()}

    def state(self) -> dict[str, Tensor]:
        """Both moments."""
        first = {f"first/{name}": tensor for name, tensor in self._first.items()}
        return first | {f"second/{name}": tensor for name, tensor in self._second.items()}

    def restore(self, *, steps: int) -> None:
        """The bias correction goes by the number of steps."""
        self._steps = steps


OPTIMIZERS: Mapping[str, Callable[[Parameters, Sequence[Training]], Optimizer]] = {
    "sgd": Sgd,
    "adam": Adam,
    "adamw": partial(Adam, decoupled=True),
}
