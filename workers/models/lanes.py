"""The base of all lane-first networks: their tensors, and a hidden layer whose lanes have different levels.

Legend: L lanes, B examples, N units, C channels, H, W positions. u is a linear layer's output, z the activation's
input, h its output: [L, B, N] or [B, L, C, H, W]. Activations that change the number of channels give h another N or C.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

from actinium.levels import Normalization, cancels_bias, stands_after, stands_before
from actinium.trial import TrialConfig
from workers.activations.forms import Learned
from workers.draws import StepDraws
from workers.layers import Parameters, Pass
from workers.models.fixup import scaled_by, shifted_by, starts_by_fixup
from workers.models.slices import LaneSlice, lane_order, slices_of, slices_of_some
from workers.models.start import initial_parameters, initial_statistics, parameter_count
from workers.normalizations.apply import (
    learned_affine,
    normalize_channels,
    normalize_units,
    running_of,
    with_noise,
)


class PackedNetworks(ABC):
    """Base of the lane-first networks: a `workers.layers.LaneModel` but for its `forward`."""

    lane_axis: int = 0

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """The networks at step 0. `configs` share a pack key, and stand in `lane_order`."""
        weight_shapes = configs[0].weight_shapes()
        assert lane_order(configs) == list(range(len(configs))), "lanes of equal levels must be neighbours"
        self.configs: Sequence[TrialConfig] = tuple(configs)
        self.hidden_names = [layer for layer in weight_shapes if layer.startswith("layer_")]
        self.params: Parameters = {
            name: tensor.to(device=device, dtype=dtype).requires_grad_()
            for name, tensor in self.initial_parameters(configs, weight_shapes).items()
        }
        self.statistics: Parameters = {
            name: tensor.to(device=device, dtype=dtype)
            for name, tensor in self.initial_statistics(configs, weight_shapes).items()
        }
        self._steps = configs[0].steps()
        biased = [not cancels_bias(config.normalization) and not starts_by_fixup(config) for config in configs]
        self._by_fixup = torch.tensor([[starts_by_fixup(config)] for config in configs]).to(device=device, dtype=dtype)
        self._carries_bias = torch.tensor(biased).to(device=device, dtype=dtype).unsqueeze(1)
        self._dropout = torch.tensor([config.training.dropout for config in configs]).to(device=device, dtype=dtype)
        self._regroup(slices_of(configs))

    def _regroup(self, slices: list[LaneSlice]) -> None:
        self.slices = slices
        self._sizes = [piece.lanes for piece in self.slices]
        self._normalizes_after = any(stands_after(piece.normalization) for piece in self.slices)
        self._drops = any(config.training.dropout > 0 for config in self.configs)
        self._has_scalars = any(starts_by_fixup(config) for config in self.configs)
        self._all_biased = not self._has_scalars and not any(cancels_bias(piece.normalization) for piece in self.slices)

    @abstractmethod
    def forward(self, params: Parameters, inputs: Tensor, pass_: Pass) -> Tensor:
        """Outputs [L, B, K], as `workers.layers.LaneModel.forward` has them."""

    # ---- step 0, for kinds with other parameters than those of `workers.models.start` -------------------------

    @staticmethod
    def initial_parameters(configs: Sequence[TrialConfig], weight_shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
        """All parameters at step 0, by name; `weight_shapes` of one lane, as the model kind lists them."""
        return initial_parameters(configs, weight_shapes)

    @staticmethod
    def initial_statistics(configs: Sequence[TrialConfig], weight_shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
        """All running statistics at step 0, by name; none where no lane keeps any."""
        return initial_statistics(configs, weight_shapes)

    @staticmethod
    def parameter_count(config: TrialConfig, params: Parameters) -> int:
        """How many of these parameters a trial learns; frozen biases and what its levels do not use do not count."""
        return parameter_count(config, params)

    # ---- the hidden layer -------------------------------------------------------------------------------------

    def bias(self, params: Parameters, layer: str) -> Tensor:
        """The layer's biases [L, C]: zero in lanes whose normalization cancels them, and one learned number for all
        channels in lanes that start by Fixup.
        """
        bias = params[f"{layer}.bias"]
        if self._has_scalars and f"{layer}.output_shift" in params:
            return bias * self._carries_bias + params[f"{layer}.output_shift"] * self._by_fixup
        return bias if self._all_biased else bias * self._carries_bias

    def weight(self, params: Parameters, layer: str) -> Tensor:
        """The layer's weights, times the learned multiplier of their branch in lanes that start by Fixup."""
        weight = params[f"{layer}.weight"]
        if self._has_scalars and f"{layer}.multiplier" in params:
            return scaled_by(weight, params[f"{layer}.multiplier"], self._by_fixup)
        return weight

    def shifted(self, params: Parameters, layer: str, x: Tensor, *, lane_axis: int | None = None) -> Tensor:
        """The inputs of the linear `layer`: x, plus Fixup's learned shift in the lanes that start by Fixup.

        The lanes are axis `lane_axis` of x; None: the model's own.
        """
        if not self._has_scalars:
            return x
        axis = self.lane_axis if lane_axis is None else lane_axis
        return shifted_by(x, params[f"{layer}.input_shift"], self._by_fixup, lane_axis=axis)

    def hidden(
        self, params: Parameters, layer: str, u: Tensor, pass_: Pass, *, shortcut: Tensor | None = None
    ) -> Tensor:
        """Normalization, activation and again normalization of all lanes, each slice by its levels; then dropout.

        `shortcut`, shaped as u, is added to what the activation receives.
        """
        trace, draws = pass_.trace, pass_.draws
        if trace is not None and trace.outputs is not None:
            trace.outputs.append(u)
        z = self._normalized(params, layer, self._split(u), stands_before, pass_)
        if shortcut is not None:
            z = [part + added for part, added in zip(z, self._split(shortcut), strict=True)]
        if trace is not None:
            z = self._traced(z, trace.preactivations)
        step = None if draws is None else draws.step
        if pass_.moves_statistics and step is not None:
            self._thaw(params, layer, z, step)
        h = [
            piece.function.forward(part, piece.activation, learned)
            if draws is None or piece.function.noisy is None
            else piece.function.noisy(part, piece.activation, self._noise(piece, layer, part, draws))
            for piece, part, learned in zip(self.slices, z, self._learned(params, layer, step=step), strict=True)
        ]
        if trace is not None:
            h = self._traced(h, trace.activations)
        if trace is not None and not self._normalizes_after:
            return self._dropped(layer, trace.activations[-1], draws)
        y = self._joined(self._normalized(params, layer, h, stands_after, pass_))
        return self._dropped(layer, y, draws)

    def projected(self, params: Parameters, layer: str, u: Tensor, pass_: Pass) -> Tensor:
        """A projection's output u, normalized in the lanes whose normalization stands before the activation."""
        return self._joined(self._normalized(params, layer, self._split(u), stands_before, pass_))

    def _dropped(self, layer: str, y: Tensor, draws: StepDraws | None) -> Tensor:
        """Inverted dropout: y m / (1 - p), with a mask m of its own for every element."""
        if draws is None or not self._drops:
            return y
        by_lane = y if self.lane_axis == 0 else y.transpose(0, 1)
        chances = self._dropout.view(-1, *[1] * (y.dim() - 1))
        kept = draws.uniform("dropout", layer, slice(None), by_lane.shape[1:]) >= chances
        scale = kept / (1.0 - chances)
        return y * (scale if self.lane_axis == 0 else scale.transpose(0, 1))

    def _split(self, whole: Tensor) -> list[Tensor]:
        if len(self._sizes) == 1:
            return [whole]
        return list(torch.split_with_sizes(whole, self._sizes, self.lane_axis))

    def _joined(self, parts: list[Tensor]) -> Tensor:
        return parts[0] if len(parts) == 1 else torch.cat(parts, self.lane_axis)

    def _traced(self, parts: list[Tensor], record: list[Tensor]) -> list[Tensor]:
        """Joins the parts, appends the whole to the record, and returns the parts as views of that whole.

        So the record holds one node of the autograd graph for all lanes, through which the pass goes on.
        """
        whole = self._joined(parts)
        record.append(whole)
        return self._split(whole)

    def _normalized(
        self,
        params: Parameters,
        layer: str,
        parts: list[Tensor],
        stands_here: Callable[[Normalization], bool],
        pass_: Pass,
    ) -> list[Tensor]:
        """The parts of the slices, normalized in those whose normalization stands here."""
        if not any(stands_here(piece.normalization) for piece in self.slices):
            return parts
        normalize = normalize_units if self.lane_axis == 0 else normalize_channels
        gammas = torch.split_with_sizes(params[f"{layer}.gamma"], self._sizes)
        betas = torch.split_with_sizes(params[f"{layer}.beta"], self._sizes)
        done: list[Tensor] = []
        for piece, part, gamma, beta in zip(self.slices, parts, gammas, betas, strict=True):
            if not stands_here(piece.normalization):
                done.append(part)
                continue
            level, lanes = piece.normalization, slice(piece.first, piece.first + piece.lanes)
            running = running_of(level, self.statistics, layer, lanes, steps=self._steps)
            y = normalize(part, level, learned_affine(level, gamma, beta), running, pass_)
            done.append(with_noise(y, level, pass_.draws, layer, lanes, lane_axis=self.lane_axis))
        return done

    def _noise(self, piece: LaneSlice, layer: str, z: Tensor, draws: StepDraws) -> Tensor:
        """Uniform draws for every element of a slice's z."""
        lanes = slice(piece.first, piece.first + piece.lanes)
        if self.lane_axis == 0:
            return draws.uniform("activation", layer, lanes, z.shape[1:])
        return draws.uniform("activation", layer, lanes, (z.shape[0], *z.shape[2:])).transpose(0, 1)

    # ---- learned parameters of activations, and derivatives ---------------------------------------------------

    @torch.no_grad()
    def _thaw(self, params: Parameters, layer: str, z: list[Tensor], step: int) -> None:
        """At the first step at which an activation's parameters are trained, set those that are read off its z."""
        for piece, part in zip(self.slices, z, strict=True):
            if piece.frozen_steps and step == piece.frozen_steps:
                observed = part.mT if self.lane_axis == 0 else part.permute(1, 2, 0, 3, 4).flatten(2)
                if any(parameter.shared for parameter in piece.learned.values()):
                    observed = observed.flatten(1).unsqueeze(1)
                for name, values in piece.function.thawed(observed, piece.activation).items():
                    params[f"{layer}.{name}"][piece.first : piece.first + piece.lanes] = values

    def _learned(
        self, params: Parameters, layer: str, *, step: int | None = None, units: Tensor | None = None
    ) -> list[Learned]:
        """The learned parameters of every slice's activation, broadcastable to its z. Of a parameter that all channels
        of a layer share, the first entry is used.

        In training steps in which they are frozen, they are constants to the gradient. `units` as in `derivative`.
        """
        found: list[Learned] = []
        for piece in self.slices:
            learned = {}
            for name, parameter in piece.learned.items():
                part = params[f"{layer}.{name}"][piece.first : piece.first + piece.lanes]
                if step is not None and step < piece.frozen_steps:
                    part = part.detach()
                if units is not None and not parameter.shared:
                    part = part.gather(1, units[piece.first : piece.first + piece.lanes])
                used = part[:, :1] if parameter.shared else part
                learned[name] = used.unsqueeze(1) if self.lane_axis == 0 else used[None, :, :, None, None]
            found.append(learned)
        return found

    def activated(self, params: Parameters, layer: int, z: Tensor) -> Tensor:
        """The activation phi(z) of hidden layer `layer` (from 0) in every lane; nothing is random."""
        slices = self._learned(params, self.hidden_names[layer])
        return self._joined(
            [
                piece.function.forward(part, piece.activation, learned)
                for piece, part, learned in zip(self.slices, self._split(z), slices, strict=True)
            ]
        )

    def derivative(self, params: Parameters, layer: int, preactivation: Tensor, units: Tensor | None = None) -> Tensor:
        """phi'(z), as `workers.layers.LaneModel.derivative` has it."""
        slices = self._learned(params, self.hidden_names[layer], units=units)
        return self._joined(
            [
                piece.function.derivative(part, piece.activation, learned)
                for piece, part, learned in zip(self.slices, self._split(preactivation), slices, strict=True)
            ]
        )

    def steepest(self, params: Parameters, layer: int) -> Tensor:
        """The largest |phi'| of every lane and unit, as `workers.layers.LaneModel.steepest` has it."""
        name = self.hidden_names[layer]
        units = params[f"{name}.bias"].shape[1]
        if self.configs[0].activation.ratio < 1:
            units //= 2
        rows = []
        for piece, learned in zip(self.slices, self._learned(params, name), strict=True):
            shape = piece.lanes, units
            steepest = piece.function.steepest(piece.activation, learned)
            if isinstance(steepest, Tensor):
                rows.append(steepest.reshape(piece.lanes, -1).expand(shape))
            else:
                rows.append(self._carries_bias.new_full(shape, steepest))
        return torch.cat(rows)

    def alike(self) -> Sequence[range]:
        """The runs of neighbouring lanes with the same activation and the same normalization."""
        return [range(piece.first, piece.first + piece.lanes) for piece in self.slices]

    # ---- fewer lanes ------------------------------------------------------------------------------------------

    def narrow(self, first: int, count: int) -> Self:
        """A model of `count` neighbouring lanes on this model's memory, as `workers.layers.LaneModel.narrow` has it."""
        lanes = slice(first, first + count)
        part = copy.copy(self)
        part.configs = self.configs[lanes]
        part.params = {name: tensor.detach()[lanes] for name, tensor in self.params.items()}
        part.statistics = {name: tensor[lanes] for name, tensor in self.statistics.items()}
        part._carries_bias = self._carries_bias[lanes]
        part._by_fixup = self._by_fixup[lanes]
        part._dropout = self._dropout[lanes]
        part._regroup(slices_of_some(self.slices, range(first, first + count)))
        return part

    def snapshot(self) -> Self:
        """A copy with its own memory, which training does not move."""
        part = copy.copy(self)
        part.params = {name: tensor.detach().clone() for name, tensor in self.params.items()}
        part.statistics = {name: tensor.clone() for name, tensor in self.statistics.items()}
        return part

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these (ascending positions in the present order)."""
        kept = torch.as_tensor(lanes, device=self._carries_bias.device)
        self.configs = tuple(self.configs[lane] for lane in lanes)
        self.params = {name: tensor.detach()[kept].requires_grad_() for name, tensor in self.params.items()}
        self.statistics = {name: tensor[kept] for name, tensor in self.statistics.items()}
        self._carries_bias = self._carries_bias[kept]
        self._by_fixup = self._by_fixup[kept]
        self._dropout = self._dropout[kept]
        self._regroup(slices_of_some(self.slices, lanes))
