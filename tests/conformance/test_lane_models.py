"""Whole networks and whole training runs against plain torch: nn.Module, torch.optim, one trial at a time."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from actinium.datasets.table import DATASETS
from actinium.frame import PackFrames
from actinium.levels import Activation, Initialization, Normalization, groups_for
from actinium.trial import Cnn, Mlp, Task, Training, TrialConfig
from workers.datasets import load, split
from workers.layers import Pass, Trace
from workers.models import build_model
from workers.models.slices import lane_order, slices_of
from workers.objectives import cross_entropy
from workers.probes.chunk import only_units
from workers.seeding import generator, order_stream
from workers.training.optimizers import OPTIMIZERS
from workers.training.train import pack_layout, train_pack

MLP_LEVELS: list[tuple[object, object, object]] = [
    ("relu", "none", "he"),
    ("tanh", "batch", "xavier"),
    ("elu", {"name": "batch", "position": "post"}, "he"),
    ("prelu", "layer", "he"),
    ({"name": "prelu", "per": "layer", "initial_slope": 0.1}, {"name": "group", "groups": 4}, "orthogonal"),
    ("sigmoid", "none", {"name": "normal", "std": 0.5}),
    ("leaky_relu", "batch", "he"),
    ("linear", "none", "xavier"),
]
CNN_LEVELS = [*MLP_LEVELS[:4], ("relu", "instance", "he"), ("prelu", {"name": "group", "groups": 2}, "orthogonal")]


def configs_of(levels: list[tuple[object, object, object]], **fields: object) -> list[TrialConfig]:
    found = [
        TrialConfig(
            activation=Activation.of(activation),
            normalization=Normalization.of(normalization),
            initialization=Initialization.of(initialization),
            seed=number % 2,
            **fields,
        )
        for number, (activation, normalization, initialization) in enumerate(levels)
    ]
    return [found[lane] for lane in lane_order(found)]


def activation_module(level: Activation, channels: int) -> nn.Module:
    match level.name:
        case "linear":
            return nn.Identity()
        case "sigmoid":
            return nn.Sigmoid()
        case "tanh":
            return nn.Tanh()
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(level.number("negative_slope"))
        case "elu":
            return nn.ELU(level.number("alpha"))
        case "prelu":
            count = 1 if level.parameters["per"] == "layer" else channels
            return nn.PReLU(count, init=level.number("initial_slope"))
    raise AssertionError(level.name)


def normalization_module(level: Normalization, channels: int, conv: bool) -> nn.Module:
    match level.name:
        case "batch":
            return (nn.BatchNorm2d if conv else nn.BatchNorm1d)(channels)
        case "layer":
            return nn.GroupNorm(1, channels)
        case "instance":
            return nn.InstanceNorm2d(channels, affine=True)
        case "group":
            return nn.GroupNorm(groups_for(level, channels), channels)
    return nn.Identity()


class PlainNetwork(nn.Module):
    """One trial's network as anybody would write it."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.config, self.conv = config, isinstance(config.model, Cnn)
        normal, dataset = config.normalization, DATASETS[config.task.dataset]
        self.post = normal.parameters.get("position") == "post"
        biased = self.post or normal.name not in ("batch", "instance")
        widths = [channels for channels, _ in config.layers()]
        first = dataset.shape[0] if self.conv else dataset.shape[0] * dataset.shape[1] * dataset.shape[2]
        if self.conv:
            sizes = zip(pairwise([first, *widths]), (5, 3), strict=True)
            linears = [nn.Conv2d(i, o, k, padding="same", bias=biased) for (i, o), k in sizes]
        else:
            linears = [nn.Linear(i, o, bias=biased) for i, o in pairwise([first, *widths])]
        self.linears = nn.ModuleList(linears)
        self.normals = nn.ModuleList(normalization_module(normal, width, self.conv) for width in widths)
        self.activations = nn.ModuleList(activation_module(config.activation, width) for width in widths)
        self.classifier = nn.Linear(widths[-1], dataset.classes)

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.conv else x.flatten(1)
        for number, parts in enumerate(zip(self.linears, self.normals, self.activations, strict=True)):
            linear, normal, activation = parts
            y = linear(x)
            y = normal(activation(y)) if self.post else activation(normal(y))
            x = x + y if getattr(self.config.model, "residual", False) and number else y
            if self.conv and number == 0:
                x = functional.max_pool2d(x, 2)
        return self.classifier(x.mean((2, 3)) if self.conv else x)

    def load_lane(self, params: dict[str, Tensor], lane: int) -> None:
        """The starting weights of a lane; everything else starts as torch's modules do."""
        with torch.no_grad():
            for number, linear in enumerate(self.linears, start=1):
                weight = params[f"layer_{number:02d}.weight"][lane]
                linear.weight.copy_(weight if self.conv else weight.T)
                if linear.bias is not None:
                    linear.bias.zero_()
            self.classifier.weight.copy_(params["classifier.weight"][lane])
            self.classifier.bias.zero_()

    def decayed(self) -> list[nn.Parameter]:
        return [module.weight for module in [*self.linears, self.classifier]]


def torch_optimizer(network: PlainNetwork, training: Training) -> torch.optim.Optimizer:
    decayed = network.decayed()
    others = [p for p in network.parameters() if not any(p is q for q in decayed)]
    groups = [{"params": decayed, "weight_decay": training.weight_decay}, {"params": others, "weight_decay": 0.0}]
    rate = training.effective_learning_rate()
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=training.momentum)
    return torch.optim.Adam(
        groups, lr=rate, betas=(training.beta1, training.beta2), eps=training.adam_epsilon, foreach=False
    )


MODELS = {
    "mlp": (MLP_LEVELS, Mlp(depth=3, width=16)),
    "residual": (MLP_LEVELS, Mlp(depth=4, width=16, residual=True)),
    "cnn": (CNN_LEVELS, Cnn(width=4)),
}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("kind", MODELS)
def test_a_mixed_pack_trains_as_its_lanes_do_in_plain_torch(kind: str, optimizer: str) -> None:
    """Six steps in float64: logits, running statistics and every parameter stay equal to 1e-8."""
    levels, model = MODELS[kind]
    configs = configs_of(levels, model=model)
    for number, config in enumerate(configs):
        training = Training(
            optimizer=optimizer,
            batch_size=8,
            learning_rate=(0.02 if optimizer == "sgd" else 0.003) * (1 + number),
            momentum=(0.0, 0.9, 0.5)[number % 3],
            weight_decay=(0.0, 0.05)[number % 2],
            learning_rate_rule=("fixed", "linear")[number // 2 % 2],
            reference_batch_size=16,
            beta1=(0.9, 0.8)[number % 2],
        )
        configs[number] = config.model_copy(update={"training": training})
    lanes = build_model(configs, dtype=torch.float64)
    stepper = OPTIMIZERS[optimizer](lanes.params, [config.training for config in configs])
    plain = [PlainNetwork(config).double() for config in configs]
    for lane, network in enumerate(plain):
        network.load_lane(lanes.params, lane)
    steppers = [torch_optimizer(n, c.training) for n, c in zip(plain, configs, strict=True)]

    draws = torch.Generator().manual_seed(7)
    for _ in range(6):
        images = torch.randn(len(configs), 8, 1, 8, 8, dtype=torch.float64, generator=draws)
        labels = torch.randint(10, (len(configs), 8), generator=draws)
        inputs = images.transpose(0, 1) if lanes.lane_axis else images
        logits = lanes.forward(lanes.params, inputs, Pass.step())
        losses = cross_entropy(logits, labels)
        gradients = torch.autograd.grad(losses.sum(), list(lanes.params.values()), materialize_grads=True)
        stepper.step(lanes.params, dict(zip(lanes.params, gradients, strict=True)))
        for lane, (network, step) in enumerate(zip(plain, steppers, strict=True)):
            expected = network(images[lane])
            torch.testing.assert_close(logits[lane], expected, rtol=1e-8, atol=1e-8)
            step.zero_grad()
            functional.cross_entropy(expected, labels[lane]).backward()
            step.step()

    lanes_eval = lanes.forward(lanes.params, inputs, Pass.evaluation())
    for lane, network in enumerate(plain):
        torch.testing.assert_close(lanes_eval[lane], network.eval()(images[lane]), rtol=1e-8, atol=1e-8)
        for number, linear in enumerate(network.linears, start=1):
            weight = lanes.params[f"layer_{number:02d}.weight"][lane]
            torch.testing.assert_close(weight if network.conv else weight.T, linear.weight, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", MODELS)
def test_a_trace_holds_the_layers_and_changes_nothing(kind: str) -> None:
    levels, model = MODELS[kind]
    configs = configs_of(levels, model=model)
    lanes = build_model(configs)
    images = torch.randn(len(configs), 8, 1, 8, 8)
    inputs = images.transpose(0, 1) if lanes.lane_axis else images
    trace = Trace()
    traced = lanes.forward(lanes.params, inputs, Pass.measuring(trace=trace))
    bare = lanes.forward(lanes.params, inputs, Pass.measuring())
    torch.testing.assert_close(traced, bare)
    assert len(trace.preactivations) == len(trace.activations) == len(configs[0].layers())
    for layer, z in enumerate(trace.preactivations):
        assert z.shape[lanes.lane_axis] == len(configs)
        (steepness,) = torch.autograd.grad(trace.activations[layer].sum(), z, retain_graph=True)
        torch.testing.assert_close(lanes.derivative(lanes.params, layer, z), steepness)
        assert lanes.steepest(lanes.params, layer).shape == (len(configs), configs[0].layers()[layer][0])


@pytest.mark.parametrize("kind", MODELS)
def test_the_derivative_of_some_units_is_theirs_among_all(kind: str) -> None:
    levels, model = MODELS[kind]
    lanes = build_model(configs_of(levels, model=model))
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in lanes.params.values():
            tensor += torch.randn(tensor.shape, generator=draws)
        for layer, (channels, _) in enumerate(lanes.configs[0].layers()):
            shape = (len(levels), 5, channels) if lanes.lane_axis == 0 else (5, len(levels), channels, 2, 3)
            z = torch.randn(shape, generator=draws)
            units = torch.rand((len(levels), channels), generator=draws).argsort(1)[:, :3]
            every = lanes.derivative(lanes.params, layer, z)
            some = lanes.derivative(lanes.params, layer, only_units(z, units, lanes.lane_axis), units)
            for lane, row in enumerate(units):
                of_lane = (slice(None), lane) if lanes.lane_axis else lane
                torch.testing.assert_close(some[of_lane], every[of_lane][:, row])


def test_lanes_that_stay_are_slices_as_if_they_had_been_alone() -> None:
    doubled = configs_of([level for level in MLP_LEVELS for _ in range(3)])
    pack = build_model(doubled)
    for first, count in ((0, 24), (1, 4), (2, 1), (5, 19), (3, 3)):
        part = pack.narrow(first, count)
        assert part.slices == slices_of(part.configs)
        assert [len(run) for run in part.alike()] == [piece.lanes for piece in part.slices]
        kept = [lane for lane in range(count) if lane % 3 != 1] or [0]
        part.keep(kept)
        assert part.slices == slices_of(part.configs)


def plain_validation_losses(config: TrialConfig, start: dict[str, Tensor], lane: int) -> list[tuple[float, float]]:
    """A trial's losses at every step, from a plain script with its own scaling, batches and loop: on the first 64
    examples of the validation part, and on all of it.
    """
    arrays = load(config.task.dataset, None)
    parts = split(config.task, arrays.labels, config.seed)
    mean, std = arrays.inputs[parts.train].mean(0), arrays.inputs[parts.train].std(0, correction=0)
    inputs = (arrays.inputs - mean) / torch.where(std == 0, 1.0, std)
    network = PlainNetwork(config)
    network.load_lane(start, lane)
    optimizer = torch_optimizer(network, config.training)
    losses: list[tuple[float, float]] = []

    def validate() -> None:
        held = copy.deepcopy(network).eval()
        with torch.no_grad():
            of_each = functional.cross_entropy(
                held(inputs[parts.validation]), arrays.labels[parts.validation], reduction="none"
            )
        losses.append((float(of_each[:64].mean()), float(of_each.mean())))

    validate()
    for epoch in range(config.training.epochs):
        order = torch.randperm(len(parts.train), generator=generator(config.seed, order_stream(epoch)))
        for batch in torch.split(parts.train[order], config.training.batch_size):
            if len(batch) < config.training.batch_size:
                continue
            optimizer.zero_grad()
            functional.cross_entropy(network.train()(inputs[batch]), arrays.labels[batch]).backward()
            optimizer.step()
            validate()
    return losses


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_train_pack_is_a_plain_training_script(kind: str) -> None:
    """Two epochs in float32. Rounding differs by the order of sums, and training amplifies it: 2e-3 relative, where a
    different batch, scaling or statistic changes the first digits.
    """
    levels, model = MODELS[kind]
    configs = configs_of(
        levels[:4],
        model=model,
        training=Training(batch_size=32, epochs=2, learning_rate=0.02, weight_decay=1e-3),
        task=Task(train_examples=300),
    )
    start = {name: tensor.detach().clone() for name, tensor in build_model(configs).params.items()}
    plain = [plain_validation_losses(config, start, lane) for lane, config in enumerate(configs)]
    series = pack_layout(configs[0]).series
    evaluated, validated = configs[0].evaluation_steps(), []
    for event in train_pack(configs):
        if not isinstance(event, PackFrames):
            continue
        for lane, row in zip(event.lanes, event.values, strict=True):
            name = f"{configs[lane].run_name()} at step {event.step}"
            on_few, on_all = (float(row[series.index(loss)]) for loss in ("evaluation_loss", "validation_loss"))
            wanted_on_few, wanted_on_all = plain[lane][event.step]
            if event.step in evaluated:
                assert on_few == pytest.approx(wanted_on_few, rel=2e-3), name
            else:
                assert math.isnan(on_few)
            if not math.isnan(on_all):
                assert on_all == pytest.approx(wanted_on_all, rel=2e-3), name
                validated.append(event.step)
    assert len(set(validated)) == 8 and {0, configs[0].steps()} <= set(validated), "eight of the schedule's points"
