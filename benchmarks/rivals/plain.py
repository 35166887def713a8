"""The benchmark's trial as a researcher writes it by hand: torch.nn, one trial, an epoch at a time. No probes."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.datasets.digits import read_digits

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"relu": nn.ReLU, "elu": nn.ELU}
NORMALIZATIONS: Mapping[str, Callable[[int], nn.Module]] = {
    "none": lambda _: nn.Identity(),
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}
SEEDS = 4
WIDTH, DEPTH, BATCH, EPOCHS, RATE, MOMENTUM = 128, 4, 64, 20, 0.05, 0.9
GRID = [
    {"activation": activation, "normalization": normalization, "seed": seed}
    for activation in ACTIVATIONS
    for normalization in NORMALIZATIONS
    for seed in range(SEEDS)
]
"""24 trials of 64-128x4-10."""


def network(activation: str, normalization: str) -> nn.Sequential:
    """64-128x4-10: linear, normalization, activation, four times; then a linear classifier; He's weights."""
    layers: list[nn.Module] = []
    inputs = 64
    for _ in range(DEPTH):
        linear = nn.Linear(inputs, WIDTH)
        nn.init.kaiming_normal_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, NORMALIZATIONS[normalization](WIDTH), ACTIVATIONS[activation]()]
        inputs = WIDTH
    return nn.Sequential(*layers, nn.Linear(inputs, 10))


def digits(seed: int) -> list[tuple[Tensor, Tensor]]:
    """Training, validation and test part (60/20/20) of the digits, z-scored on the training part."""
    images, labels = read_digits()
    inputs, targets = torch.from_numpy(images).float().flatten(1), torch.from_numpy(labels).long()
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    parts = order.tensor_split([1079, 1438])
    mean, std = inputs[parts[0]].mean(), inputs[parts[0]].std()
    return [((inputs[part] - mean) / std, targets[part]) for part in parts]


def train(config: Mapping[str, object], report: Callable[[dict[str, float], int], None]) -> None:
    """One trial; `report(metrics, epoch)` after every epoch."""
    seed = int(str(config["seed"]))
    torch.manual_seed(seed)
    (inputs, labels), validation, test = digits(seed)
    model = network(str(config["activation"]), str(config["normalization"]))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        batches = torch.randperm(len(inputs))[: len(inputs) // BATCH * BATCH].view(-1, BATCH)
        for batch in batches:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(inputs[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            total += loss.item()
        metrics = {"train_loss": total / len(batches)}
        metrics |= scores(model, *validation, prefix="validation")
        if epoch == EPOCHS - 1:
            metrics |= scores(model, *test, prefix="test")
        report(metrics, epoch)


@torch.no_grad()
def scores(model: nn.Module, inputs: Tensor, labels: Tensor, *, prefix: str) -> dict[str, float]:
    """Loss and accuracy in evaluation mode."""
    model.eval()
    logits = model(inputs)
    accuracy = (logits.argmax(1) == labels).float().mean().item()
    return {f"{prefix}_loss": functional.cross_entropy(logits, labels).item(), f"{prefix}_accuracy": accuracy}
