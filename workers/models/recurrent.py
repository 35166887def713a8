"""Recurrent networks, lane-first: one loop over time, in it one batched product for all lanes.

Legend: L lanes, l lanes of a slice, T time steps, B examples, F features, N units, G columns (N of an rnn, 4 N of an
lstm). The equations are those of `actinium.models.recurrent`; parameters are named in `workers.models.recurrent_start`.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from actinium.trial import TrialConfig
from workers.draws import StepDraws
from workers.layers import Parameters, Pass, Trace, classify
from workers.models.lanes import PackedNetworks
from workers.models.recurrent_start import (
    learns_bias,
    normalized_places,
    recurrent_model,
    recurrent_parameter_count,
    recurrent_parameters,
    recurrent_statistics,
)
from workers.models.recurrent_steps import SliceSteps, TimeRecord
from workers.models.slices import LaneSlice


class LaneRecurrent(PackedNetworks):
    """`depth` recurrent layers, of which the last one's last hidden state feeds a linear classifier.

    In a trace, a layer's tensors are [L, T B, N], time outer: z is the activation's input (an lstm's cell input), h the
    hidden state. Sequences may be longer than those of the training.
    """

    lane_axis = 0

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._model = recurrent_model(configs[0])
        self._trained_steps = self._model.time_steps(configs[0].task.definition().shape)
        super().__init__(configs, device=device, dtype=dtype)

    @staticmethod
    def initial_parameters(configs: Sequence[TrialConfig], weight_shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
        return recurrent_parameters(configs, weight_shapes)

    @staticmethod
    def initial_statistics(configs: Sequence[TrialConfig], weight_shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
        return recurrent_statistics(configs)

    @staticmethod
    def parameter_count(config: TrialConfig, params: Parameters) -> int:
        return recurrent_parameter_count(config, params)

    def _regroup(self, slices: list[LaneSlice]) -> None:
        super()._regroup(slices)
        firsts = [self.configs[piece.first] for piece in self.slices]
        self._places = [normalized_places(config) for config in firsts]
        self._shifted = [learns_bias(config) for config in firsts]

    def forward(self, params: Parameters, inputs: Tensor, pass_: Pass) -> Tensor:
        """Outputs [L, B, K] of inputs [L, B, C, H, W]: H time steps of C W features."""
        draws = pass_.draws
        if pass_.moves_statistics and draws is not None:
            self._thaw_all(params, inputs, draws)
        x = inputs.permute(0, 3, 1, 2, 4).flatten(3)
        for layer in self.hidden_names:
            h = self._unrolled(params, layer, x, pass_)
            if layer == self.hidden_names[-1]:
                x = self._dropped(layer, h[-1], draws)
            else:
                y = torch.stack(h, 1)
                x = self._dropped(layer, y.flatten(1, 2), draws).view_as(y)
        return classify(x, params["classifier.weight"], params["classifier.bias"])

    def steepest(self, params: Parameters, layer: int) -> Tensor:
        """max |phi'| of every lane and unit of hidden layer `layer` (from 0): [L, N]."""
        bias = f"{self.hidden_names[layer]}.bias"
        return super().steepest({**params, bias: params[bias][:, : self._model.width]}, layer)

    # ---- one layer --------------------------------------------------------------------------------------------

    def _unrolled(self, params: Parameters, layer: str, x: Tensor, pass_: Pass) -> list[Tensor]:
        """The hidden states [L, B, N] of every step, from x [L, T, B, F]."""
        lanes, steps, examples, _ = x.shape
        slices = self._slice_steps(params, layer, pass_)
        driven = torch.bmm(x.flatten(1, 2), params[f"{layer}.weight"]).view(lanes, steps, examples, -1)
        driven = self._joined([piece.driven(part) for piece, part in zip(slices, self._split(driven), strict=True)])
        weight = params[f"recurrent_{layer.removeprefix('layer_')}.weight"]
        alone = not any(piece.normalizes_recurrence for piece in slices)
        record = TimeRecord(pass_.trace, x.new_empty(lanes, steps * examples, self._model.width), steps)
        h = c = x.new_zeros(lanes, examples, self._model.width)
        states: list[Tensor] = []
        for step, u in enumerate(driven.unbind(1)):
            if alone:
                a = torch.baddbmm(u, h, weight)
            else:
                parts = zip(slices, self._split(u), self._split(torch.bmm(h, weight)), strict=True)
                a = self._joined([piece.summed(part, r, step) for piece, part, r in parts])
            h, c = self._advanced(slices, a, c, step, record)
            states.append(h)
        record.close()
        return states

    def _slice_steps(self, params: Parameters, layer: str, pass_: Pass) -> list[SliceSteps]:
        number = layer.removeprefix("layer_")
        used = params[f"{layer}.bias"]
        step = None if pass_.draws is None else pass_.draws.step
        return [
            SliceSteps(
                piece=piece,
                number=number,
                places=places,
                bias=(bias if shifted else bias.detach()).unsqueeze(1),
                learned=learned,
                summed_at_once=not self._model.has_cell and self._model.normalized == "everywhere",
                params=params,
                pass_=pass_,
                statistics=self.statistics,
                trained_steps=self._trained_steps,
            )
            for piece, places, shifted, bias, learned in zip(
                self.slices,
                self._places,
                self._shifted,
                self._split(used),
                self._learned(params, layer, step=step),
                strict=True,
            )
        ]

    def _advanced(
        self, slices: Sequence[SliceSteps], a: Tensor, c: Tensor, step: int, record: TimeRecord
    ) -> tuple[Tensor, Tensor]:
        """The next hidden and cell states [L, B, N] from a [L, B, G]; an rnn has no cell and hands on c."""
        if not self._model.has_cell:
            z = record.preactivation(a, step)
            h = self._activated(slices, z, step, "step")
            return record.activation(h, step), c
        g, gates = torch.split_with_sizes(a, [self._model.width, 3 * self._model.width], 2)
        i, f, o = gates.sigmoid().chunk(3, 2)
        g = self._activated(slices, record.preactivation(g, step), step, "step")
        c = torch.addcmul(f * c, i, g)
        seen = c
        if any(piece.normalizes_cell for piece in slices):
            seen = self._joined([piece.cell(part, step) for piece, part in zip(slices, self._split(c), strict=True)])
        h = o * self._activated(slices, seen, step, "cell")
        return record.activation(h, step), c

    def _activated(self, slices: Sequence[SliceSteps], z: Tensor, step: int, word: str) -> Tensor:
        return self._joined(
            [piece.activated(part, step, word) for piece, part in zip(slices, self._split(z), strict=True)]
        )

    # ---- activations that are frozen at first -----------------------------------------------------------------

    @torch.no_grad()
    def _thaw_all(self, params: Parameters, inputs: Tensor, draws: StepDraws) -> None:
        """`_thaw` for all layers, by the z of all time steps, which a pass with the frozen activations shows."""
        if not any(piece.frozen_steps and piece.frozen_steps == draws.step for piece in self.slices):
            return
        trace = Trace()
        self.forward(params, inputs, Pass.measuring(trace=trace, draws=draws))
        for layer, z in zip(self.hidden_names, trace.preactivations, strict=True):
            self._thaw(params, layer, self._split(z), draws.step)
