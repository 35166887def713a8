"""Generated sequences: inputs [N, F, T, 1], T time steps of F features. Legend: N examples."""

import torch
from torch import Tensor

from workers.datasets.example_draws import Draws


def adding_task(draws: Draws) -> tuple[Tensor, Tensor]:
    """Values, two of which are marked; the target is their sum, [N, 1]."""
    marked = draws.uniform(2)
    return _sequences(draws, marked, draws.whole("length")), marked.sum(1, keepdim=True)


def adding_task_at_test_length(draws: Draws, inputs: Tensor) -> Tensor:
    """Other sequences with the marked values of `inputs`, and hence their targets, [N, 2, T', 1]."""
    values, markers = inputs[:, 0, :, 0], inputs[:, 1, :, 0]
    marked = values[markers == 1].view(len(inputs), 2)
    return _sequences(draws, marked, draws.whole("test_length"))


def _sequences(draws: Draws, marked: Tensor, steps: int) -> Tensor:
    """[N, 2, steps, 1] with the values `marked` [N, 2] at a step of the first half, and at one of the second."""
    half = steps // 2
    places = draws.uniform(2)
    first, second = (places[:, 0] * half).long(), half + (places[:, 1] * (steps - half)).long()
    chosen = torch.stack([first, second], 1)
    values = draws.uniform(steps).scatter(1, chosen, marked)
    markers = torch.zeros_like(values).scatter(1, chosen, 1.0)
    return torch.stack([values, markers], 1).unsqueeze(3)
