"""Autoencoders and denoisers against torch.nn, principal components and the identity."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from actinium.frame import LaneFinished, Outcome, PackFrames
from actinium.levels import Activation, Initialization, Normalization
from actinium.objectives import OBJECTIVES
from actinium.trial import Augmentation, Autoencoder, Denoiser, Mlp, Shift, Task, Training, TrialConfig
from workers.datasets import load_task
from workers.initializations.weights import initial_weight
from workers.layers import Pass
from workers.models import build_model, parameter_count
from workers.models.slices import lane_order
from workers.models.start import base_draws
from workers.packing import weight_count
from workers.training.batches import epoch_order, pack_data
from workers.training.evaluation import evaluate
from workers.training.steps import Steps
from workers.training.train import train_pack

NOISY = Task(dataset="brightness_denoising", parameters={"examples": 300, "noise": 0.1})
AUTOENCODER = TrialConfig(model=Autoencoder(depth=1, width=24, bottleneck=6), task=Task(train_examples=200))
DENOISER = TrialConfig(model=Denoiser(depth=3, width=6), task=NOISY)
PHI: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


def lanes_of(config: TrialConfig) -> list[TrialConfig]:
    """Mixed levels, in the model's order."""
    levels = [("relu", "none"), ("tanh", "batch"), ("relu", "batch"), ("tanh", {"name": "group", "groups": 2})]
    configs = [
        config.model_copy(
            update={"activation": Activation.of(phi), "normalization": Normalization.of(level), "seed": seed}
        )
        for seed, (phi, level) in enumerate(levels)
    ]
    return [configs[lane] for lane in lane_order(configs)]


def layer_of(config: TrialConfig, linear: nn.Module, channels: int) -> list[nn.Module]:
    """A hidden layer of torch's modules."""
    flat = isinstance(linear, nn.Linear)
    norms = {
        "none": nn.Identity(),
        "batch": nn.BatchNorm1d(channels) if flat else nn.BatchNorm2d(channels),
        "group": nn.GroupNorm(2, channels),
    }
    return [linear, norms[config.normalization.name], PHI[config.activation.name]()]


class ByHand(nn.Module):
    """The network of a config, of torch's modules."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        model, (channels, height, wide) = config.model, config.task.definition().shape
        self.skips = isinstance(model, Denoiser) and model.residual
        modules: list[nn.Module] = []
        if isinstance(model, Autoencoder):
            widths = [
                channels * height * wide,
                *[model.width] * model.depth,
                model.bottleneck,
                *[model.width] * model.depth,
            ]
            for below, above in pairwise(widths):
                modules += layer_of(config, nn.Linear(below, above), above)
            modules.append(nn.Linear(widths[-1], widths[0]))
        else:
            assert isinstance(model, Denoiser)
            widths = [channels, *[model.width] * model.depth]
            for below, above in pairwise(widths):
                modules += layer_of(config, nn.Conv2d(below, above, 3, padding=1), above)
            modules.append(nn.Conv2d(widths[-1], channels, 3, padding=1))
        self.net = nn.Sequential(*modules)
        self.flat = isinstance(model, Autoencoder)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.net(x.flatten(1) if self.flat else x)
        return (x + y if self.skips else y).flatten(1)

    def take_over(self, params: dict[str, Tensor], lane: int) -> None:
        """The weights of a lane; biases 0."""
        linear = [module for module in self.net if isinstance(module, nn.Linear | nn.Conv2d)]
        names = [*(f"layer_{number:02d}" for number in range(1, len(linear))), "classifier"]
        with torch.no_grad():
            for name, module in zip(names, linear, strict=True):
                weight = params[f"{name}.weight"][lane]
                hidden = self.flat and name != "classifier"
                module.weight.copy_(weight.T if hidden else weight)
                nn.init.zeros_(module.bias)


def weights_of(network: ByHand) -> list[Tensor]:
    """All matrices and kernels."""
    return [module.weight for module in network.net if isinstance(module, nn.Linear | nn.Conv2d)]


@pytest.mark.parametrize(
    "config",
    [AUTOENCODER, DENOISER, DENOISER.model_copy(update={"model": Denoiser(depth=2, width=4, residual=False)})],
    ids=["autoencoder", "denoiser", "denoiser without skip"],
)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_lanes_are_torchs_networks_forward_and_backward(config: TrialConfig, training: bool) -> None:
    configs = lanes_of(config)
    pack = build_model(configs, dtype=torch.float64)
    images = torch.randn(4, 12, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outputs = pack.forward(
        pack.params,
        images if pack.lane_axis == 0 else images.transpose(0, 1),
        Pass.measuring() if training else Pass.evaluation(),
    )
    names = [*(f"{layer}.weight" for layer in pack.hidden_names), "classifier.weight"]
    gradients = torch.autograd.grad(outputs.square().sum(), [pack.params[name] for name in names])
    assert outputs.shape == (4, 12, 64)
    for lane, one in enumerate(configs):
        network = ByHand(one).double().train(training)
        network.take_over(pack.params, lane)
        expected = network(images[lane])
        torch.testing.assert_close(outputs[lane], expected, rtol=1e-9, atol=1e-9)
        wanted = torch.autograd.grad(expected.square().sum(), weights_of(network))
        for name, got, right in zip(names, gradients, wanted, strict=True):
            mine = got[lane].T if network.flat and name != "classifier.weight" else got[lane]
            torch.testing.assert_close(mine, right, rtol=1e-7, atol=1e-8)
        assert parameter_count(one, pack.params) == sum(p.numel() for p in network.parameters()) - (
            sum(c for c, _ in one.layers()) if one.normalization.name == "batch" else 0
        )
        assert weight_count(one) == sum(weight.numel() for weight in weights_of(network))


@pytest.mark.parametrize("config", [AUTOENCODER, DENOISER], ids=["autoencoder", "denoiser"])
def test_training_is_torchs(config: TrialConfig) -> None:
    """SGD with momentum on mean squared errors, side by side; losses of every evaluation, and PSNR in raw units."""
    training = Training(learning_rate=0.05, epochs=8, batch_size=20)
    config = config.model_copy(update={"training": training, "normalization": Normalization.of("batch")})
    pack = build_model([config])
    data = pack_data([config], lane_axis=pack.lane_axis, device="cpu", data_root=None)
    network = ByHand(config)
    network.take_over(pack.params, 0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)

    def shown(index: Tensor) -> tuple[Tensor, Tensor]:
        inputs, targets = data.take(index)
        return inputs[0] if pack.lane_axis == 0 else inputs[:, 0], targets[0]

    losses = []
    for epoch in range(8):
        for batch in epoch_order(data, [config], epoch)[:, : 20 * (data.train.shape[1] // 20)].split(20, dim=1):
            inputs, targets = shown(batch)
            loss = functional.mse_loss(network(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    *frames, finished = train_pack([config])
    assert isinstance(finished, LaneFinished)
    rows = [event for event in frames if isinstance(event, PackFrames) and event.step in config.evaluation_steps()]
    assert len(rows) == 21, "16 in the first four of 8 epochs, then 4, and one before the first step"
    for before, after in pairwise(rows):
        mean = sum(losses[before.step : after.step]) / (after.step - before.step)
        assert after.values[0, 0] == pytest.approx(mean, rel=1e-3)
    inputs, targets = shown(data.test)
    outputs = network.eval()(inputs).detach()
    metrics = finished.summary.metrics
    assert metrics["test_loss"] == pytest.approx(functional.mse_loss(outputs, targets).item(), rel=1e-3)
    total = (targets - targets.mean(0)).square().sum()
    assert metrics["test_error"] == pytest.approx(((outputs - targets).square().sum() / total).item(), rel=1e-3)
    raw = (outputs - targets) / data.scale.expand(1, 1, 8, 8).flatten(1)
    peak = 16.0 if config is not DENOISER and config.task.dataset == "digits" else 1.0
    assert metrics["psnr"] == pytest.approx(10 * math.log10(peak**2 / raw.square().mean().item()), rel=1e-3)


def test_a_linear_autoencoder_finds_the_principal_components() -> None:
    """Its least unexplained variance is the share of the eigenvalues behind the bottleneck's (Baldi & Hornik 1989)."""
    config = TrialConfig(
        model=Autoencoder(depth=1, width=32, bottleneck=3),
        activation=Activation.of("linear"),
        initialization=Initialization.of("orthogonal"),
        task=Task(train_examples=300),
        training=Training(optimizer="adam", learning_rate=0.01, epochs=250, batch_size=300),
    )
    model = build_model([config])
    data = pack_data([config], lane_axis=0, device="cpu", data_root=None)
    Steps(model, data).train_to(config.steps())
    error = evaluate(model, data, data.train).error.item()
    x = data.take(data.train)[0][0].flatten(1).double()
    values = torch.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0)))
    least = (values[:-3].sum() / values.sum()).item()
    assert least - 1e-6 < error < least * 1.01


def test_an_untrained_skip_is_the_identity_and_no_success() -> None:
    """The noisy image has a PSNR of -20 log10(noise) and leaves 32 noise^2 of the variance: the best constant is worse,
    and yet nothing was learned.
    """
    config = TrialConfig(
        model=Denoiser(depth=2, width=4),
        task=Task(dataset="brightness_denoising", parameters={"examples": 3000, "noise": 0.08}),
        initialization=Initialization.of("zero"),
        training=Training(learning_rate=1e-9, epochs=1, batch_size=600),
    )
    *_, finished = train_pack([config])
    assert isinstance(finished, LaneFinished)
    assert finished.summary.metrics["psnr"] == pytest.approx(-20 * math.log10(0.08), abs=0.1)
    assert finished.summary.metrics["test_error"] == pytest.approx(32 * 0.08**2, rel=0.08)
    assert finished.summary.outcome is Outcome.STALLED


@pytest.mark.slow
def test_a_small_study_of_denoising_learns() -> None:
    """Six trials as one pack, as each alone; without normalization several decibels over the noisy image's 20."""
    configs = [
        DENOISER.model_copy(
            update={
                "normalization": Normalization.of(level),
                "seed": seed,
                "training": Training(optimizer="adam", learning_rate=0.01, epochs=12, batch_size=20),
            }
        )
        for level in ("none", "batch", "layer")
        for seed in (0, 1)
    ]
    together = [event for event in train_pack(configs) if isinstance(event, LaneFinished)]
    by_lane = {event.lane: event.summary for event in together}
    for lane in (0, 1):
        assert by_lane[lane].outcome is Outcome.LEARNED
        assert by_lane[lane].metrics["psnr"] > 22.0
    *_, alone = train_pack([configs[2]])
    assert isinstance(alone, LaneFinished)
    for name in ("test_loss", "test_error", "psnr", "train_eval_gap", "dead_unit_rate"):
        assert by_lane[2].metrics[name] == pytest.approx(alone.summary.metrics[name], rel=2e-3, abs=1e-4)
    assert set(OBJECTIVES["reconstruction"].end_metrics) <= set(alone.summary.metrics)


def test_target_images_are_scaled_shifted_and_moved_as_their_inputs() -> None:
    """Without noise targets are inputs, whatever becomes of them."""
    task = Task(
        dataset="brightness_denoising",
        parameters={"examples": 100, "noise": 0.0},
        shift=Shift(scale=0.5, offset=1.0),
        augmentation=Augmentation(flip=True, crop=2),
    )
    config = TrialConfig(model=Denoiser(depth=1, width=2), task=task, training=Training(batch_size=20, epochs=1))
    model = build_model([config])
    data = pack_data([config], lane_axis=1, device="cpu", data_root=None)
    inputs, targets = data.take(data.test)
    assert torch.equal(inputs[:, 0].flatten(1), targets[0])
    steps = Steps(model, data)
    inputs, targets = steps._examples(steps._batch(), steps._draws())
    assert torch.equal(inputs[:, 0].flatten(1), targets[0])
    assert bool((inputs == 0).any()), "the border shows"


def test_clean_images_keep_their_brightness() -> None:
    arrays = load_task(Task(dataset="brightness_denoising", parameters={"examples": 20_000, "noise": 0.2}), seed=3)
    assert arrays.targets is not None
    clean = arrays.targets.double()
    assert float(clean.min()) >= 0.0 and float(clean.max()) <= 1.0
    assert float((arrays.inputs.double() - clean).square().mean()) == pytest.approx(0.04, rel=0.02)
    assert float(clean.var(0, correction=0).mean()) == pytest.approx(1 / 32, rel=0.03)
    assert float(clean.mean((1, 2, 3)).std()) > 0.12, "brightness is an image's own"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model": Denoiser(), "task": Task()}, "needs target images"),
        ({"model": Denoiser(), "task": NOISY.model_copy(update={"scaling": "zca"})}, "pixel by pixel"),
        ({"model": Denoiser(), "task": NOISY, "initialization": Initialization.of("lsuv")}, "adds its input"),
        ({"model": Autoencoder(), "initialization": Initialization.of("delta_orthogonal")}, "need kernels"),
        ({"model": Autoencoder(), "normalization": Normalization.of("instance")}, "layer 1"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(fields: dict[str, Any], reason: str) -> None:
    found = TrialConfig(**fields).invalid_design()
    assert found is not None and reason in found


def test_whose_word_decides_what_is_learned() -> None:
    """An autoencoder gives back its input whatever the labels are; other models do what the dataset says."""
    assert TrialConfig(model=Autoencoder()).objective() == "reconstruction"
    assert TrialConfig(model=Mlp(), task=NOISY).objective() == "reconstruction"
    assert TrialConfig(model=Mlp(), task=NOISY).outputs() == 64
    config = TrialConfig(model=Autoencoder(depth=1, width=4, bottleneck=2), task=Task(dataset="regression_1d"))
    data = pack_data([config], lane_axis=0, device="cpu", data_root=None)
    inputs, targets = data.take(data.test)
    assert torch.equal(inputs.flatten(2), targets) and config.outputs() == 1
    whitened = TrialConfig(model=Autoencoder(depth=1, width=8, bottleneck=4), task=Task(scaling="zca"))
    *_, finished = train_pack([whitened.model_copy(update={"training": Training(epochs=1, learning_rate=0.01)})])
    assert isinstance(finished, LaneFinished) and "psnr" not in finished.summary.metrics


def test_the_last_kernel_starts_by_the_rule_from_its_own_draws() -> None:
    model = build_model([DENOISER])
    shape = (1, 6, 3, 3)
    assert torch.equal(
        model.params["classifier.weight"][0],
        initial_weight(base_draws(DENOISER.seed, 4, shape), DENOISER.initialization),
    )
