"""The pack as families of probes see it: its networks and data in groups, and what is remembered between frames.

Legend: L lanes, K probe examples, U units of all hidden layers, C of one, D hidden layers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor

from actinium.frame import layer_series
from actinium.trial import TrialConfig
from workers.layers import LaneModel, Parameters
from workers.normalizations.apply import keeps_statistics
from workers.probes.schedule import averaged_steps, in_batches, probe_examples
from workers.training.batches import PackData

Stepped: TypeAlias = Callable[[Parameters, Mapping[str, Tensor]], Parameters]
"""All lanes' parameters as one step with these gradients would leave them; nothing else changes."""

ELEMENTS_AT_ONCE = {"cpu": 2**18, "cuda": 2**26}
"""Values of the widest layer in one pass, so that on a CPU they stay in the cache, and on a GPU in its memory."""


def averages(widths: Sequence[int]) -> Tensor:
    """[U, 1 + D] float64: what turns values of all units into the network's mean and each of the D layers'."""
    layer = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(widths))
    by_layer = torch.nn.functional.one_hot(layer).double() / torch.tensor(widths)
    return torch.cat([torch.full((sum(widths), 1), 1.0 / sum(widths), dtype=torch.float64), by_layer], 1)


class ProbedPack:
    """The living lanes of a pack, in the model's order. `model` and `data` are the pack's own."""

    def __init__(
        self, *, configs: Sequence[TrialConfig], model: LaneModel, data: PackData, stepped: Stepped | None
    ) -> None:
        """`stepped` is the training's next step, on copies."""
        self.config, self.model, self.data, self.stepped = configs[0], model, data, stepped
        self.examples = probe_examples(self.config)
        """K."""
        self.elements = ELEMENTS_AT_ONCE[data.inputs.device.type]
        self.averaged_steps = averaged_steps(self.config)
        linear, activated = self.config.layers(), self.config.activated()
        self.widths = [min(z, h) for (z, _), (h, _) in zip(linear, activated, strict=True)]
        """Units of every layer; where activations double the channels or halve them, pairs."""
        self.batch = self.config.training.batch_size
        """Examples that share the statistics of a batch normalization in training."""
        self.trajectory = frozenset(self.config.trajectory_steps())
        self.steps: list[int] = []
        """Those of the trajectory until now."""
        self.dead: list[Tensor] = []
        """At each of them, [L, U] bool, where dead units are measured."""
        self.dead_now: Tensor | None = None
        """At the step that is being measured."""
        self.looked_at = False
        """Whether anything was measured yet."""
        self.memory: dict[str, Tensor] = {}
        """What families remember from one frame to the next, by a name of their own: [L, ...]."""
        self.finite = torch.ones(len(model.configs), dtype=torch.bool, device=data.scale.device)
        """[L] whether all outputs of the last shared pass were finite."""
        self._averages: dict[tuple[int, ...], Tensor] = {}

    @property
    def per_example(self) -> int:
        """Outputs of all hidden layers, one example, one lane: the mean of linear ones and activations."""
        return self.config.held() // 2

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these (ascending positions in the present order)."""
        kept = torch.as_tensor(lanes, device=self.data.scale.device)
        self.dead = [dead[kept] for dead in self.dead]
        self.memory = {name: tensor[kept] for name, tensor in self.memory.items()}
        self.finite = self.finite[kept]
        self.dead_now = None if self.dead_now is None else self.dead_now[kept]

    def groups(self, values_per_lane: int) -> Iterator[tuple[LaneModel, PackData]]:
        """The pack in groups of neighbouring lanes that are small enough to be passed through at once.

        They begin where the levels change, if they can: lanes that are alike are passed through at the least cost.
        """
        size = max(1, self.elements // values_per_lane)
        cuts = [0]
        for run in self.model.alike():
            if run.stop - cuts[-1] > size and run.start > cuts[-1]:
                cuts.append(run.start)
            cuts += range(cuts[-1] + size, run.stop, size)
        for first, end in pairwise([*cuts, len(self.model.configs)]):
            yield self.model.narrow(first, end - first), self.data.narrow(first, end - first)

    def examples_of(self, data: PackData, first: int, end: int) -> Tensor:
        """Those of the probe set from `first` to `end`, [l, n] positions in the dataset.

        The probe set is laid out in batches of the training's size, each of its examples in one at least: what is
        missing in the last batch are the first examples once more.
        """
        places = torch.arange(first, end, device=data.train.device) % self.examples
        return data.train[:, places]

    def inseparable(self, model: LaneModel) -> int:
        """How many examples must be passed through these lanes at once, at least: a batch, where statistics are its."""
        return self.batch if any(keeps_statistics(config.normalization) for config in model.configs) else 1

    @property
    def laid_out(self) -> int:
        """Examples of the probe set as it is laid out in whole batches."""
        return in_batches(self.examples, self.config)

    def shown(self, examples: int) -> Iterator[tuple[LaneModel, PackData, Tensor, Tensor]]:
        """Groups with so many of their first examples, in whole batches: inputs, and targets."""
        whole = in_batches(min(examples, self.examples), self.config)
        for model, data in self.groups(self.per_example * whole):
            yield model, data, *data.take(self.examples_of(data, 0, whole))

    def by_layer(self, units: Tensor) -> Sequence[Tensor]:
        """Of values [L, U] of all units, those of each layer."""
        return torch.split_with_sizes(units, self.widths, 1)

    def means(self, name: str, layers: Sequence[Tensor]) -> dict[str, Tensor]:
        """Means over the network's and each layer's units, [L] by series name, of the layers' values [L, C]."""
        widths = tuple(values.shape[1] for values in layers)
        if widths not in self._averages:
            self._averages[widths] = averages(widths).to(self.data.inputs.device)
        network, *means = (torch.cat(list(layers), 1) @ self._averages[widths]).unbind(1)
        return {name: network, **{layer_series(name, layer): mean for layer, mean in enumerate(means, start=1)}}
