"""Lanes of a pack as plain networks, for the slow oracles of the probes: torch.nn.functional, one lane at a time.

Nothing of the product computes here but what builds the pack: a lane's network is built of its parameters anew.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from actinium.levels import groups_for
from actinium.trial import TrialConfig
from workers.models import build_model
from workers.models.convolutional import LaneConvolutional
from workers.models.mlp import LaneMlp
from workers.models.slices import lane_order
from workers.training.batches import PackData, pack_data

ACTIVATIONS: list[Any] = [
    "linear",
    "sigmoid",
    "tanh",
    "relu",
    {"name": "leaky_relu", "negative_slope": 0.2},
    {"name": "leaky_relu", "negative_slope": 0.01},
    "prelu",
    {"name": "prelu", "per": "layer"},
    "elu",
    {"name": "elu", "alpha": 1.7},
]
MLP_NORMALIZATIONS: list[Any] = [
    "none",
    "batch",
    {"name": "batch", "position": "post"},
    {"name": "batch", "ghost_batch_size": 5},
    "layer",
    "group",
]
CNN_NORMALIZATIONS: list[Any] = [*MLP_NORMALIZATIONS, "instance"]
BATCH = 20
"""Examples of a training step of `mixed_pack`, which share the statistics of a batch normalization."""


# ---- a lane as a plain network ------------------------------------------------------------------------------------


def phi(config: TrialConfig, slope: Tensor | None) -> Callable[[Tensor], Tensor]:
    """The lane's activation from torch.nn.functional."""
    level = config.activation
    match level.name:
        case "linear":
            return lambda z: z * 1.0
        case "leaky_relu":
            return lambda z: functional.leaky_relu(z, level.number("negative_slope"))
        case "elu":
            return lambda z: functional.elu(z, level.number("alpha"))
        case "prelu":
            assert slope is not None
            return lambda z: functional.prelu(z, slope[:1] if level.parameters["per"] == "layer" else slope)
        case name:
            return {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": functional.relu}[name]


def normalized(config: TrialConfig, x: Tensor, layer: dict[str, Tensor], *, training: bool) -> Tensor:
    """torch's own normalization of one lane's [B, C, ...]."""
    level = config.normalization
    eps = level.number("eps")
    if level.name == "batch":
        running = (None, None) if training else (layer["running_mean"], layer["running_var"])
        size = level.parameters.get("ghost_batch_size") if training else None
        ghosts = [
            functional.batch_norm(ghost, *running, layer["gamma"], layer["beta"], training=training, eps=eps)
            for ghost in x.split(int(size) if size else len(x))
        ]
        return torch.cat(ghosts)
    if level.name == "instance":
        return functional.instance_norm(x, weight=layer["gamma"], bias=layer["beta"], eps=eps)
    groups = groups_for(level, x.shape[1]) if level.name == "group" else 1
    return functional.group_norm(x, groups, layer["gamma"], layer["beta"], eps)


class PlainLane:
    """One lane of a pack as a network of its own; keeps z and h of every hidden layer, and what was normalized."""

    def __init__(self, model: LaneMlp | LaneConvolutional, lane: int) -> None:
        self.config = model.configs[lane]
        self.tensors: dict[str, dict[str, Tensor]] = {}
        for name, tensor in {**model.params, **model.statistics}.items():
            layer, part = name.split(".")
            self.tensors.setdefault(layer, {})[part] = tensor[lane].detach().clone()
        self.z: list[Tensor] = []
        self.h: list[Tensor] = []
        self.before: list[Tensor] = []
        """What each layer's normalization received, where there is one."""
        self._parts: list[list[Tensor]] = []
        """z of every batch of the last `as_trained`."""

    def activation(self, layer: str) -> Callable[[Tensor], Tensor]:
        return phi(self.config, self.tensors[layer].get("slope"))

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        self.z, self.h, self.before = [], [], []
        normalization = self.config.normalization
        position = normalization.parameters.get("position", "pre") if normalization.name != "none" else None
        convolutional = self.config.model.kind == "cnn"
        x = x if convolutional else x.flatten(1)
        for layer, tensors in self.tensors.items():
            if layer == "classifier":
                continue
            if convolutional:
                u = functional.conv2d(x, tensors["weight"], tensors["bias"], padding="same")
            else:
                u = x @ tensors["weight"] + tensors["bias"]
            z = normalized(self.config, u, tensors, training=training) if position == "pre" else u
            z.requires_grad_() if z.is_leaf else z.retain_grad()
            h = self.activation(layer)(z)
            self.z.append(z)
            self.h.append(h)
            self.before += [] if position is None else [u if position == "pre" else h]
            y = normalized(self.config, h, tensors, training=training) if position == "post" else h
            if convolutional:
                x = functional.max_pool2d(y, 2) if layer == "layer_01" else y
            else:
                x = x + y if self.config.model.residual and layer != "layer_01" else y
        classifier = self.tensors["classifier"]
        return functional.linear(x.mean((2, 3)) if convolutional else x, classifier["weight"], classifier["bias"])

    def as_trained(self, x: Tensor, batch: int = BATCH) -> Tensor:
        """The outputs of training passes, one for each batch; z and h are those of all batches, one after the other."""
        assert len(x) % batch == 0, "whole batches"
        outputs, z, h = [], [], []
        for part in x.split(batch):
            outputs.append(self(part, training=True))
            z.append(self.z)
            h.append(self.h)
        self._parts = z
        self.z, self.h = ([torch.cat(of_layer) for of_layer in zip(*parts, strict=True)] for parts in (z, h))
        return torch.cat(outputs)

    def arriving(self) -> list[Tensor]:
        """dL/dz of every hidden layer over all batches of the last `as_trained`, after L's backward pass."""
        return [torch.cat([_gradient(z) for z in of_layer]) for of_layer in zip(*self._parts, strict=True)]

    def recompute_statistics(self, batches: Sequence[Tensor]) -> None:
        """Running statistics become the means over training passes of these batches of their means and unbiased
        variances; those of a batch in ghosts are the means over its ghosts.
        """
        names = [name for name in self.tensors if name != "classifier"]
        found: dict[str, list[Tensor]] = {f"{name}.{part}": [] for name in names for part in ("mean", "var")}
        for x in batches:
            self(x, training=True)
            size = self.config.normalization.parameters.get("ghost_batch_size") or len(x)
            for name, values in zip(names, self.before, strict=True):
                ghosts = [ghost.movedim(1, 0).flatten(1) for ghost in values.detach().split(int(size))]
                found[f"{name}.mean"].append(torch.stack([ghost.mean(1) for ghost in ghosts]).mean(0))
                found[f"{name}.var"].append(torch.stack([ghost.var(1) for ghost in ghosts]).mean(0))
        for name in names:
            for part in ("mean", "var"):
                self.tensors[name][f"running_{part}"] = torch.stack(found[f"{name}.{part}"]).mean(0)


def _gradient(z: Tensor) -> Tensor:
    assert z.grad is not None
    return z.grad


# ---- packs ---------------------------------------------------------------------------------------------------------


def mixed_pack(
    model: dict[str, Any], normalizations: list[Any], dtype: torch.dtype, probes: Mapping[str, Any]
) -> tuple[LaneMlp | LaneConvolutional, PackData]:
    """A lane for every activation x normalization, with parameters and statistics that nothing is special about.

    Large random biases make some units of every kind dead; slopes, gammas, betas and running statistics differ.
    """
    configs = [
        TrialConfig.model_validate(
            {
                "task": {"train_examples": 60},
                "training": {"batch_size": BATCH, "epochs": 2},
                "model": model,
                "activation": activation,
                "normalization": normalization,
                "initialization": "xavier",
                "probes": probes,
                "seed": number % 3,
            }
        )
        for number, (activation, normalization) in enumerate((a, n) for n in normalizations for a in ACTIVATIONS)
    ]
    ordered = [configs[lane] for lane in lane_order(configs)]
    networks = build_model(ordered, dtype=dtype)
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in [*networks.params.items(), *networks.statistics.items()]:
            noise = torch.randn(tensor.shape, generator=random, dtype=torch.float64).to(dtype)
            match name.split(".")[1]:
                case "weight":
                    tensor.mul_(1.5)
                case "running_var":
                    tensor.copy_(1.5 + noise.clamp(-1, 1))
                case "bias" | "beta":
                    tensor.add_(3 * noise)
                case _:
                    tensor.add_(0.3 * noise)
        for lane, config in enumerate(ordered):
            # A normalization that cancels the bias leaves the layer without one (SCIENCE B).
            if (
                config.normalization.name in ("batch", "instance")
                and config.normalization.parameters.get("position", "pre") == "pre"
            ):
                for name, tensor in networks.params.items():
                    if name.endswith(".bias") and name != "classifier.bias":
                        tensor[lane] = 0
    data = pack_data(ordered, lane_axis=networks.lane_axis, device="cpu", data_root=None)
    return networks, replace(data, inputs=data.inputs.to(dtype), shift=data.shift.to(dtype), scale=data.scale.to(dtype))
