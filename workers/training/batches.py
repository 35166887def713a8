"""A pack's examples: its datasets on the device, and for every lane its split, order and scaling.

Legend: L lanes, B examples, D dataset size, n examples of a part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from actinium.objectives import ObjectiveName
from actinium.trial import Task, TrialConfig
from workers.datasets import differs_by_seed, load_task, split
from workers.datasets.scaling import location_and_spread, nearness, stretched, whitened
from workers.datasets.shift import shifted, tested_on_shifted
from workers.objectives import OBJECTIVE_FUNCTIONS, Measure, ObjectiveFunctions, Tally
from workers.seeding import generator, order_stream


@dataclass
class PackData:
    """The data of a pack, lanes in the model's order.

    inputs [D, C, H, W] as stored, one dataset after the other where seeds have their own; labels [D]; shift and scale
    [L, C, H or 1, W or 1], so that x * scale + shift is scaled as the task says; train, validation, test
    [L, n] int64 positions in the inputs. targets: [D, K], or images as the inputs, which are scaled as those are; None
    where the labels are what is learned or, with `reconstruction`, the inputs themselves. value_range: how far pixels
    can be apart, before they are scaled; None: pixels were mixed. unit: [1, C, 1, 1], in that of the dataset, that of
    the inputs; None: theirs is the dataset's.
    """

    inputs: Tensor
    labels: Tensor
    shift: Tensor
    scale: Tensor
    train: Tensor
    validation: Tensor
    test: Tensor
    lane_axis: int
    objective: ObjectiveName = "classification"
    targets: Tensor | None = None
    test_inputs: Tensor | None = None
    """Where test examples have another height H': [D, C, H', W], to be taken in the place of the inputs."""
    tolerance: float | None = None
    value_range: float | None = None
    unit: Tensor | None = None

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The examples at `index` [L, B]: inputs in the model's layout ([L, B, ...] or [B, L, ...]), and what its
        outputs should be: labels [L, B], or numbers [L, B, K].
        """
        inputs = self._scaled(self.inputs, index)
        match self.objective:
            case "classification":
                return inputs, self.labels[index]
            case "regression":
                assert self.targets is not None
                return inputs, self.targets[index]
            case "reconstruction":
                return inputs, self.by_lane(inputs if self.targets is None else self._scaled(self.targets, index))

    def _scaled(self, images: Tensor, index: Tensor) -> Tensor:
        if self.lane_axis == 1:
            return torch.addcmul(self.shift, images[index.T], self.scale)
        return torch.addcmul(self.shift.unsqueeze(1), images[index], self.scale.unsqueeze(1))

    def by_lane(self, images: Tensor) -> Tensor:
        """Images in the model's layout as rows of numbers, [L, B, K]."""
        return (images if self.lane_axis == 0 else images.transpose(0, 1)).flatten(2)

    def functions(self) -> ObjectiveFunctions:
        """How its outputs are judged."""
        return OBJECTIVE_FUNCTIONS[self.objective]

    def tally(self) -> Tally:
        """An empty tally of outputs of all lanes."""
        if self.objective != "reconstruction":
            return self.functions().tally(Measure(tolerance=self.tolerance))
        if self.value_range is None:
            return self.functions().tally(Measure())
        scale = self.scale if self.unit is None else self.scale / self.unit
        units = (1.0 / scale).expand(-1, *self.inputs.shape[1:]).flatten(1)
        return self.functions().tally(Measure(units=units, value_range=self.value_range))

    def tested(self) -> "PackData":
        """The data as test examples are taken from it; shares memory."""
        return self if self.test_inputs is None else replace(self, inputs=self.test_inputs)

    def narrow(self, first: int, count: int) -> "PackData":
        """The data of `count` neighbouring lanes; shares memory."""
        lanes = slice(first, first + count)
        return replace(
            self,
            shift=self.shift[lanes],
            scale=self.scale[lanes],
            train=self.train[lanes],
            validation=self.validation[lanes],
            test=self.test[lanes],
        )

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these."""
        kept = torch.as_tensor(lanes, device=self.train.device)
        self.shift, self.scale = self.shift[kept], self.scale[kept]
        self.train, self.validation, self.test = self.train[kept], self.validation[kept], self.test[kept]


def pack_data(
    configs: Sequence[TrialConfig], *, lane_axis: int, device: str | torch.device, data_root: Path | None
) -> PackData:
    """The data of a pack, on the device. Raises DatasetMissing where the dataset's files are not there."""
    task = configs[0].task
    seeds = [config.seed for config in configs]
    distinct = list(dict.fromkeys(seeds))
    raw = {seed: stretched(load_task(task, data_root, seed=seed), task) for seed in distinct}
    parts = {seed: split(task, raw[seed].labels, seed) for seed in distinct}
    near = nearness(task, raw[distinct[0]].inputs)  # float64 is of stored datasets, which are one for all seeds
    examples = raw if near is None else dict.fromkeys(distinct, near.of(raw[distinct[0]]))
    scaling = {seed: location_and_spread(task, examples[seed].inputs, parts[seed].train) for seed in distinct}
    blocks = distinct if differs_by_seed(task) else distinct[:1]
    if task.shift is not None:
        parts = {seed: tested_on_shifted(parts[seed], examples[seed].labels.numel()) for seed in distinct}
        raw = raw | {seed: shifted(raw[seed], task.shift) for seed in blocks}
        examples = raw if near is None else {seed: near.of(raw[seed]) for seed in blocks}
    unscaled = [raw[seed].inputs for seed in blocks]
    if task.scaling == "zca":
        for seed in blocks:  # on the device: its time grows with the cube of an example's inputs
            mixed, train = examples[seed].inputs.to(device), parts[seed].train.to(device)
            examples[seed] = replace(examples[seed], inputs=whitened(mixed, train, task.zca_epsilon))
    inputs = [examples[seed].inputs for seed in blocks]
    targets = [wanted for seed in blocks if (wanted := examples[seed].targets) is not None]
    if configs[0].objective() != task.definition().objective:
        targets = []  # the model's own objective is of its inputs
    longer = [other for seed in blocks if (other := examples[seed].test_inputs) is not None]
    labels = [examples[seed].labels for seed in blocks]
    block = labels[0].numel() if len(blocks) > 1 else 0
    begins = {seed: place * block for place, seed in enumerate(distinct)}

    def positions(part: str) -> Tensor:
        return torch.stack([getattr(parts[seed], part) + begins[seed] for seed in seeds]).to(device)

    mean = torch.cat([scaling[seed][0] for seed in seeds])
    std = torch.cat([scaling[seed][1] for seed in seeds])
    return PackData(
        inputs=(inputs[0] if len(blocks) == 1 else torch.cat(inputs)).to(device),
        labels=(labels[0] if len(blocks) == 1 else torch.cat(labels)).to(device),
        shift=(-mean / std).to(device),
        scale=(1.0 / std).to(device),
        train=positions("train"),
        validation=positions("validation"),
        test=positions("test"),
        lane_axis=lane_axis,
        objective=configs[0].objective(),
        targets=torch.cat(targets).to(device) if targets else None,
        test_inputs=torch.cat(longer).to(device) if longer else None,
        tolerance=task.definition().tolerance,
        value_range=value_range(task, targets or unscaled),
        unit=None if near is None else near.unit.float().to(device),
    )


def value_range(task: Task, images: Sequence[Tensor]) -> float | None:
    """How far pixels can be apart in the dataset's units: what its format says, else what there is; None: whitened."""
    if task.scaling == "zca" or images[0].dim() != 4:
        return None
    full_range = task.definition().full_range
    return float(max(x.max() for x in images) - min(x.min() for x in images)) if full_range is None else full_range


def epoch_order(
    data: PackData, configs: Sequence[TrialConfig], epoch: int, *, stream: Callable[[int], str] = order_stream
) -> Tensor:
    """The training examples of an epoch in each lane's order: [L, n] positions in the dataset, on the device.

    Lanes of one seed have one order, whatever their levels.
    """
    count = data.train.shape[1]
    orders = {
        seed: torch.randperm(count, generator=generator(seed, stream(epoch)))
        for seed in {config.seed for config in configs}
    }
    shuffled = torch.stack([orders[config.seed] for config in configs]).to(data.train.device, non_blocking=True)
    return data.train.gather(1, shuffled)
