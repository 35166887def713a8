"""A training step as one CUDA graph: a pure function of static tensors, recorded once and replayed.

Small networks spend their time on launching kernels; a graph launches all of a step's at once. What a graph records is
addresses: every tensor of the step must stay where it is, and nothing may be decided on the host.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from actinium.errors import InvalidInput
from actinium.trial import TrialConfig
from workers.activations import ACTIVATION_FUNCTIONS
from workers.draws import StepDraws

WARM_UP = 3
"""Steps taken without a graph, on a stream of their own, as torch asks before it records."""


class NoDraws(StepDraws):
    """The draws of a captured step: none, because a graph would replay the same numbers for ever."""

    def _stacked(self, name: str, *_: object) -> Tensor:
        raise InvalidInput(f"a captured step draws nothing, and {name!r} wants to; train without capture")


def check_capturable(configs: Sequence[TrialConfig]) -> None:
    """InvalidInput where a step of these trials decides something on the host. Draws are refused once asked for."""
    for config in configs:
        if config.training.optimizer != "sgd":
            raise InvalidInput(f"{config.training.optimizer} counts its steps on the host; capture steps of sgd")
        if ACTIVATION_FUNCTIONS[config.activation.name].frozen_epochs(config.activation):
            raise InvalidInput(f"{config.activation.name} thaws at a step; train without capture")


class CapturedStep:
    """`step` as a function of one static tensor, the batch. On a CPU, the same function of the same static tensor."""

    def __init__(self, step: Callable[[Tensor], None]) -> None:
        self._step = step
        self._batch: Tensor | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._taken = 0

    def __call__(self, batch: Tensor) -> None:
        """One step on `batch`; its shape never changes between two calls of `forget`."""
        if self._batch is None:
            self._batch = torch.empty_like(batch, memory_format=torch.contiguous_format)
        self._batch.copy_(batch)
        if batch.device.type != "cuda":
            self._step(self._batch)
        elif self._taken < WARM_UP:
            self._warm_up(self._batch)
        else:
            self._graph = self._graph or self._recorded(self._batch)
            self._graph.replay()
        self._taken += 1

    def forget(self) -> None:
        """The tensors of the step are others from now on."""
        self._batch, self._graph, self._taken = None, None, 0

    def _warm_up(self, batch: Tensor) -> None:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call] # torch gives it no types
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._step(batch)
        torch.cuda.current_stream().wait_stream(stream)

    def _recorded(self, batch: Tensor) -> torch.cuda.CUDAGraph:
        """Recording runs nothing. What cannot be recorded raises here."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step(batch)
        return graph
