"""VGG-11, ResNet-20 and ResNet-50 in mixed packs against modules written as anybody would write them."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from actinium.levels import Activation, Normalization
from actinium.trial import Model, Probes, ResNet20, ResNet50, Schedule, Task, Training, TrialConfig, Vgg11
from workers.layers import Pass, Trace
from workers.models import build_model
from workers.models.slices import lane_order
from workers.models.start import parameter_count
from workers.packing import most_lanes, weight_count
from workers.training.train import train_pack

LEVELS = [
    ("relu", "batch"),
    ("tanh", "none"),
    ("prelu", {"name": "batch", "position": "post"}),
    ("elu", "layer"),
    ("relu", {"name": "group", "groups": 2}),
]
MODELS: dict[str, Model] = {
    "vgg11": Vgg11(width=4),
    "resnet20": ResNet20(width=4),
    "resnet50": ResNet50(width=4),
}


class Unit(nn.Module):
    """Convolution, then normalization and activation in the order of the lane's levels."""

    def __init__(self, config: TrialConfig, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        normal = config.normalization
        self.post = normal.parameters.get("position") == "post"
        biased = self.post or normal.name != "batch"
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=biased)
        makers = {
            "none": lambda: nn.Identity(),
            "batch": lambda: nn.BatchNorm2d(outputs),
            "layer": lambda: nn.GroupNorm(1, outputs),
            "group": lambda: nn.GroupNorm(2, outputs),
        }
        self.norm = makers[normal.name]()
        phi = {"relu": nn.ReLU, "tanh": nn.Tanh, "elu": nn.ELU, "prelu": lambda: nn.PReLU(outputs)}
        self.phi = phi[config.activation.name]()

    def linear(self, x: Tensor) -> Tensor:
        """What a shortcut may be: without the activation, and without what stands behind it."""
        return self.conv(x) if self.post else self.norm(self.conv(x))

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        h = self.phi(self.linear(x) if shortcut is None else self.linear(x) + shortcut)
        return self.norm(h) if self.post else h


class PlainVgg(nn.Module):
    def __init__(self, config: TrialConfig, width: int) -> None:
        super().__init__()
        w = width
        sizes = [1, w, 2 * w, 4 * w, 4 * w, 8 * w, 8 * w, 8 * w, 8 * w]
        self.units = nn.ModuleList(Unit(config, i, o, 3) for i, o in pairwise(sizes))
        self.shortcuts = nn.ModuleList()
        self.classifier = nn.Linear(8 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        for number, unit in enumerate(self.units, start=1):
            x = unit(x)
            if number in (1, 2, 4, 6, 8) and x.shape[-1] > 1:
                x = functional.max_pool2d(x, 2)
        return self.classifier(x.mean((2, 3)))


class PlainResNet(nn.Module):
    """Two 3x3 convolutions a block (20 layers), or 1x1, 3x3, 1x1 (50 layers)."""

    def __init__(self, config: TrialConfig, width: int, *, bottleneck: bool) -> None:
        super().__init__()
        self.units, self.shortcuts = nn.ModuleList([Unit(config, 1, width, 3)]), nn.ModuleList()
        self.blocks: list[tuple[list[Unit], Unit | None, int]] = []
        inputs = width
        for stage, blocks in enumerate((3, 4, 6, 3) if bottleneck else (3, 3, 3)):
            planes = width * 2**stage
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                outputs = 4 * planes if bottleneck else planes
                if bottleneck:
                    row = [
                        Unit(config, inputs, planes, 1),
                        Unit(config, planes, planes, 3, stride),
                        Unit(config, planes, outputs, 1),
                    ]
                else:
                    row = [Unit(config, inputs, planes, 3, stride), Unit(config, planes, planes, 3)]
                projection = Unit(config, inputs, outputs, 1, stride) if bottleneck and block == 0 else None
                self.units.extend(row)
                if projection is not None:
                    self.shortcuts.append(projection)
                self.blocks.append((row, projection, outputs))
                inputs = outputs
        self.classifier = nn.Linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.units[0](x)
        for row, projection, outputs in self.blocks:
            if projection is not None:
                shortcut = projection.linear(x)
            elif outputs != x.shape[1]:
                shortcut = torch.cat([x[:, :, ::2, ::2], torch.zeros_like(x[:, :, ::2, ::2])], 1)
            else:
                shortcut = x
            y = x
            for unit in row[:-1]:
                y = unit(y)
            x = row[-1](y, shortcut)
        return self.classifier(x.mean((2, 3)))


def plain(config: TrialConfig) -> PlainVgg | PlainResNet:
    match config.model:
        case Vgg11(width=width):
            return PlainVgg(config, width)
        case ResNet20(width=width) | ResNet50(width=width):
            return PlainResNet(config, width, bottleneck=config.model.kind == "resnet50")
    raise AssertionError(config.model)


def load_lane(network: PlainVgg | PlainResNet, params: dict[str, Tensor], lane: int) -> list[tuple[str, nn.Parameter]]:
    """Every parameter of the lane into the network; the names and parameters that were matched."""
    named: list[tuple[str, nn.Parameter]] = [("classifier.weight", network.classifier.weight)]
    named.append(("classifier.bias", network.classifier.bias))
    for prefix, units in (("layer", network.units), ("projection", network.shortcuts)):
        for number, unit in enumerate(units, start=1):
            name = f"{prefix}_{number:02d}"
            named.append((f"{name}.weight", unit.conv.weight))
            if unit.conv.bias is not None:
                named.append((f"{name}.bias", unit.conv.bias))
            if not isinstance(unit.norm, nn.Identity) and not (prefix == "projection" and unit.post):
                named += [(f"{name}.gamma", unit.norm.weight), (f"{name}.beta", unit.norm.bias)]
            if isinstance(unit.phi, nn.PReLU) and prefix == "layer":
                slope = next(key for key in params if key.startswith(f"{name}.") and "slope" in key)
                named.append((slope, unit.phi.weight))
    with torch.no_grad():
        for name, parameter in named:
            assert parameter.shape == params[name][lane].shape, name
            parameter.copy_(params[name][lane])
    return named


def configs_of(model: Model, **fields: object) -> list[TrialConfig]:
    configs = [
        TrialConfig(
            model=model,
            activation=Activation.of(activation),
            normalization=Normalization.of(normalization),
            seed=lane % 2,
            **fields,
        )
        for lane, (activation, normalization) in enumerate(LEVELS)
    ]
    return [configs[lane] for lane in lane_order(configs)]


@pytest.mark.parametrize("kind", MODELS)
def test_a_mixed_pack_is_its_lanes_modules(kind: str) -> None:
    """Logits in training and evaluation and every parameter's gradient, in float64."""
    configs = configs_of(MODELS[kind])
    assert not any(config.invalid_design() for config in configs)
    pack = build_model(configs, dtype=torch.float64)
    source = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in pack.params.items():
            if not name.endswith(".weight"):
                tensor += 0.1 * torch.randn(tensor.shape, dtype=torch.float64, generator=source)
    images = torch.randn(6, len(configs), 1, 8, 8, dtype=torch.float64, generator=source)
    trace = Trace()
    logits = pack.forward(pack.params, images, Pass.step(trace=trace))
    shapes = [(z.shape[2], z.shape[3] * z.shape[4]) for z in trace.preactivations]
    assert shapes == configs[0].layers() == [(h.shape[2], h.shape[3] * h.shape[4]) for h in trace.activations]
    target = torch.randn(logits.shape, dtype=torch.float64, generator=source)
    gradients = dict(
        zip(
            pack.params,
            torch.autograd.grad((logits * target).sum(), list(pack.params.values()), materialize_grads=True),
            strict=True,
        )
    )
    for lane, config in enumerate(configs):
        network = plain(config).double()
        named = load_lane(network, pack.params, lane)
        expected = network(images[:, lane])
        torch.testing.assert_close(logits[lane], expected, rtol=1e-7, atol=1e-8, msg=config.run_name())
        wanted = torch.autograd.grad((expected * target[lane]).sum(), [parameter for _, parameter in named])
        for (name, _), gradient in zip(named, wanted, strict=True):
            torch.testing.assert_close(gradients[name][lane], gradient, rtol=1e-6, atol=1e-7)
        unused = [name for name in gradients if name not in dict(named)]
        assert not any(gradients[name][lane].any() for name in unused)
        assert parameter_count(config, pack.params) == sum(parameter.numel() for _, parameter in named)
        evaluated = pack.forward(pack.params, images, Pass.evaluation())
        torch.testing.assert_close(evaluated[lane], network.eval()(images[:, lane]), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    ("model", "count", "layers"),
    [(ResNet20(), 269_722, 19), (Vgg11(), 9_228_362, 8), (ResNet50(), 23_520_842, 49)],
    ids=["resnet20", "vgg11", "resnet50"],
)
def test_the_cifar_forms_have_their_published_sizes(model: Model, count: int, layers: int) -> None:
    """With batch normalization and no biases before it: 0.27 (He et al. 2016, table 6), 9.2 and 23.5 million."""
    task = Task(dataset="cifar10")
    config = TrialConfig(model=model, task=task, normalization=Normalization.of("batch"))
    hidden = config.layers()
    assert len(hidden) == layers
    projected = [place.outputs for place in model.architecture((3, 32, 32)).projections()]
    affine = 2 * (sum(channels for channels, _ in hidden) + sum(projected))
    assert weight_count(config) + affine + 10 == count
    assert hidden[-1][1] == {"resnet20": 64, "vgg11": 4, "resnet50": 16}[model.kind]


def test_odd_and_tiny_images_keep_at_least_one_position() -> None:
    for model in (ResNet20(width=2), ResNet50(width=2), Vgg11(width=2)):
        for shape in ((1, 28, 28), (3, 7, 5), (1, 1, 1)):
            architecture = model.architecture(shape)
            for place in (*architecture.hidden(), *architecture.projections()):
                assert place.height >= 1 and place.wide >= 1
            for block in architecture.blocks:
                last = block.convolutions[-1]
                if block.projection is not None:
                    assert (block.projection.outputs, block.projection.height) == (last.outputs, last.height)


def test_a_deep_pack_minds_what_a_backward_pass_holds() -> None:
    config = TrialConfig(model=ResNet50(), task=Task(dataset="cifar10"), training=Training(batch_size=128))
    held = 128 * sum(channels * positions for channels, positions in config.layers())
    assert 1 <= most_lanes(config, "NVIDIA H200") <= 2**32 // held
    assert most_lanes(config, "cpu") == 1


@pytest.mark.parametrize("model", [ResNet20(width=2), Vgg11(width=2)], ids=["resnet20", "vgg11"])
def test_it_trains_and_is_measured(model: Model) -> None:
    configs = configs_of(
        model,
        task=Task(train_examples=64),
        training=Training(batch_size=16, epochs=2, learning_rate=0.01),
        probes=Probes(schedule=Schedule(points=3)),
    )
    *_, last = train_pack(configs)
    assert {f"dead_unit_rate/layer_{len(configs[0].layers()):02d}", "test_error"} <= last.summary.metrics.keys()
