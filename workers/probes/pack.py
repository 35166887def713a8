"""A pack's probes: which lanes and examples are passed through at a time, and what becomes of the findings.

Legend: L lanes, K probe examples, U units of all hidden layers, C of one, S series.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actinium.errors import CheckpointUnusable
from actinium.frame import layer_series
from actinium.trial import DeadUnits, TrialConfig
from workers.layers import LaneModel, Pass, Trace
from workers.probes.blocked import blocked_units
from workers.probes.covariate_shift import Stepped, covariate_shift
from workers.probes.distribution import Distribution, distributions_of
from workers.probes.gradient_flow import gradient_rms, gradient_slope, preactivation_gradients
from workers.probes.gradient_time import time_rms, time_values
from workers.probes.input_drift import drift, unit_moments
from workers.probes.layer_probes import LayerProbes
from workers.probes.network_constant import NetworkConstant
from workers.probes.series import (
    LAYER_MEANS,
    SPARSE,
    averaged_examples,
    averaged_steps,
    due,
    family_steps,
    probe_examples,
    probe_series,
    rank_steps,
)
from workers.probes.silence import decide_silence
from workers.probes.statistic_error import statistic_errors
from workers.probes.trajectory import classify, transitions
from workers.probes.weights import weight_values
from workers.training.batches import PackData

ELEMENTS_AT_ONCE = {"cpu": 2**18, "cuda": 2**26}
"""Values of the widest layer in one pass, so that on a CPU they stay in the cache, and on a GPU in its memory."""

FIRST_EXAMPLES = 64
"""Where no means are taken, so many examples go through all lanes; most units are found awake on them."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What l lanes show: values [l] by series name, dead flags [l, U], and whether all logits are finite, [l]."""

    values: Mapping[str, Tensor]
    dead: Tensor
    finite: Tensor


def averages(widths: Sequence[int]) -> Tensor:
    """[U, 1 + D] float64: what turns values of all units into the network's mean and each of the D layers'."""
    layer = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(widths))
    by_layer = torch.nn.functional.one_hot(layer).double() / torch.tensor(widths)
    return torch.cat([torch.full((sum(widths), 1), 1.0 / sum(widths), dtype=torch.float64), by_layer], 1)


class PackProbes:
    """Measures the living lanes of a pack, in the model's order, and remembers which units were dead when.

    `model` and `data` are the pack's own; after their `keep`, call `drop`.
    """

    def __init__(
        self, *, configs: Sequence[TrialConfig], model: LaneModel, data: PackData, stepped: Stepped | None = None
    ) -> None:
        """`stepped` is the training's next step, on copies: internal covariate shift asks for it."""
        self._config, self._model, self._data = configs[0], model, data
        self._series = probe_series(self._config)
        linear, activated = self._config.layers(), self._config.activated()
        self._widths = [min(z, h) for (z, _), (h, _) in zip(linear, activated, strict=True)]
        """Units of every layer; where activations double the channels or halve them, pairs."""
        self._averages: dict[tuple[int, ...], Tensor] = {}
        self._averaged_steps, self._rank_steps = averaged_steps(self._config), rank_steps(self._config)
        self._steps_of = {family: family_steps(self._config, family) for family in SPARSE}
        self._elements = ELEMENTS_AT_ONCE[data.inputs.device.type]
        self._steps: list[int] = []
        self._dead: list[Tensor] = []
        """At each measured step, [L, U] bool."""
        self._stepped = stepped
        self._start: Tensor | None = None
        """Moments of z at the first measured step, [2, L, U]."""
        self.examples = probe_examples(self._config)
        """K."""

    def measure(self, step: int) -> NDArray[np.float32]:
        """The values of `probe_series`, [L, S]; NaN where one does not apply, or the lane's numbers are not finite.

        `step` is one of the config's probe steps; they come in ascending order.
        """
        with torch.no_grad():
            values = self._activations(step)
            values |= self._gradients() if step in self._steps_of["gradient_flow"] else {}
            values |= self._weights() if step in self._steps_of["weights"] else {}
            values |= self._drift() if step in self._steps_of["input_drift"] else {}
            values |= self._covariate_shift() if step in self._steps_of["covariate_shift"] else {}
            values |= self._blocked() if step in self._steps_of["unit_states"] else {}
            if step in self._steps_of["statistic_error"]:
                values |= statistic_errors(self._model, self._data)
        absent = torch.full((len(self._model.configs),), torch.nan, dtype=torch.float64, device=self._data.scale.device)
        rows = [values.get(name, absent) for name in self._series]
        if not rows:
            return np.empty((len(self._model.configs), 0), dtype=np.float32)
        return torch.stack(rows, 1).float().cpu().numpy()

    def due(self, step: int) -> NDArray[np.bool_]:
        """Which of `probe_series` are measured at this step, [S]; the others are NaN there."""
        return due(self._config, step)

    def drop(self, kept: Sequence[int]) -> None:
        """Forget all lanes but these (ascending positions in the present order)."""
        lanes = torch.as_tensor(kept, device=self._data.scale.device)
        self._dead = [dead[lanes] for dead in self._dead]
        self._start = None if self._start is None else self._start[:, lanes]

    def state(self) -> dict[str, Tensor]:
        """What is remembered from one frame to the next: `dead` [L, T, U], `start` [L, 2, U]."""
        found = {"dead": torch.stack(self._dead, 1)} if self._dead else {}
        return found if self._start is None else found | {"start": self._start.movedim(1, 0)}

    def restore(self, saved: Mapping[str, Tensor], *, steps: Sequence[int]) -> None:
        """Go on after the frames at `steps`. Raises CheckpointUnusable where something is missing."""
        device = self._data.scale.device
        if self._config.probes.dead_units:
            if "dead" not in saved or saved["dead"].shape[1:] != (len(steps), sum(self._widths)):
                raise CheckpointUnusable(f"it does not say which of {sum(self._widths)} units were dead when")
            self._steps = list(steps)
            self._dead = list(saved["dead"].to(device).movedim(1, 0).contiguous())
        if "start" in saved:
            self._start = saved["start"].to(device).movedim(1, 0).contiguous()

    def trajectories(self) -> list[dict[str, float]]:
        """Shares of units by fate over the steps measured so far, for each living lane: network and layers."""
        if not self._dead:
            return [{} for _ in self._model.configs]
        shares: dict[str, Tensor] = {}
        dead = torch.stack(self._dead)
        for name, fates in classify(dead, self._steps).items():
            shares |= self._means(name, self._by_layer(fates.double()))
        if self._config.probes.unit_states:
            shares |= self._hazards(dead)
        table = torch.stack(list(shares.values()), 1).tolist()
        return [dict(zip(shares, row, strict=True)) for row in table]

    def _hazards(self, dead: Tensor) -> dict[str, Tensor]:
        """Hazards of death and revival, all of a layer's (or the network's) units and intervals together, and the share
        of dead to which they lead, h / (h + r). NaN where no unit was alive, or dead.
        """
        found: dict[str, Tensor] = {}
        for name, (changed, could) in transitions(dead).items():
            changes, chances = (self._means(name, self._by_layer(counts)) for counts in (changed, could))
            found |= {series: changes[series] / chances[series] for series in changes}
        for series in [series for series in found if series.startswith("death_hazard")]:
            h, r = found[series], found[series.replace("death", "revival", 1)]
            found[series.replace("death_hazard", "stationary_dead_rate", 1)] = h / (h + r)
        return found

    def _by_layer(self, units: Tensor) -> Sequence[Tensor]:
        """Of values [L, U] of all units, those of each layer."""
        return torch.split_with_sizes(units, self._widths, 1)

    def _means(self, name: str, layers: Sequence[Tensor]) -> dict[str, Tensor]:
        """Means over the network's and each layer's units, [L] by series name, of the layers' values [L, C]."""
        widths = tuple(values.shape[1] for values in layers)
        if widths not in self._averages:
            self._averages[widths] = averages(widths).to(self._data.inputs.device)
        network, *means = (torch.cat(list(layers), 1) @ self._averages[widths]).unbind(1)
        return {name: network, **{layer_series(name, layer): mean for layer, mean in enumerate(means, start=1)}}

    # ---- passes -----------------------------------------------------------------------------------------------

    def _groups(self, values_per_lane: int) -> Iterator[tuple[LaneModel, PackData]]:
        """The pack in groups of neighbouring lanes that are small enough to be passed through at once.

        They begin where the levels change, if they can: lanes that are alike are passed through at the least cost.
        """
        size = max(1, self._elements // values_per_lane)
        cuts = [0]
        for run in self._model.alike():
            if run.stop - cuts[-1] > size and run.start > cuts[-1]:
                cuts.append(run.start)
            cuts += range(cuts[-1] + size, run.stop, size)
        for first, end in pairwise([*cuts, len(self._model.configs)]):
            yield self._model.narrow(first, end - first), self._data.narrow(first, end - first)

    def _activations(self, step: int) -> dict[str, Tensor]:
        """Everything that an eval-mode pass over the probe set shows, [L] by series name; the dead are remembered."""
        probes = self._config.probes
        averaging, silence = step in self._averaged_steps, probes.dead_units or probes.unit_states
        means = averaging and (probes.activation_statistics or probes.sparsity)
        if not (silence or means or step in self._steps_of["spectrum"] | self._steps_of["distributions"]):
            return {}
        widest = self._config.widest()
        first = averaged_examples(self._config) if averaging else min(FIRST_EXAMPLES, self.examples)
        groups = [self._pass(model, data, widest, step, first) for model, data in self._groups(widest * first)]
        finite = torch.cat([group.finite for group in groups]).unsqueeze(1)
        if probes.dead_units:
            self._steps.append(step)
            self._dead.append(torch.cat([group.dead for group in groups]) & finite)
        table = torch.cat([torch.stack(list(group.values.values()), 1) for group in groups])
        return dict(zip(groups[0].values, torch.where(finite, table, torch.nan).unbind(1), strict=True))

    def _pass(self, model: LaneModel, data: PackData, widest: int, step: int, first: int) -> Findings:
        """What a group of lanes shows on the probe set, part by part; on the `first` examples all of it."""
        lanes, averaging = len(model.configs), step in self._averaged_steps
        layers = [
            LayerProbes(
                self._config.probes,
                model,
                layer,
                averaging=averaging,
                with_rank=step in self._rank_steps,
                with_spectrum=step in self._steps_of["spectrum"],
                distributions=self._distributions(step, layer, model.lane_axis),
            )
            for layer in range(len(self._widths))
        ]
        states = self._config.probes.unit_states
        outputs = NetworkConstant(states.constant) if states and averaging else None
        finite = torch.ones(lanes, dtype=torch.bool, device=data.scale.device)
        at_once = max(1, self._elements // (lanes * widest))
        for index in torch.split(data.train[:, :first], at_once, dim=1):
            trace = Trace()
            inputs, _ = data.take(index)
            logits = model.forward(model.params, inputs, Pass.evaluation(trace=trace))
            finite &= torch.isfinite(logits).all(2).all(1)
            for layer, z, h in zip(layers, trace.preactivations, trace.activations, strict=True):
                layer.add(z, h)
            if outputs:
                outputs.add(logits)
        elements = self._elements // widest
        decide_silence(model, data, layers, outputs, seen=first, examples=self.examples, elements=elements)
        return self._findings(layers, outputs, finite)

    def _distributions(self, step: int, layer: int, lane_axis: int) -> list[Distribution]:
        """Of one layer (from 0), at this step."""
        wanted = self._config.probes.distributions
        if wanted is None or step not in self._steps_of["distributions"]:
            return []
        _, positions = self._config.layers()[layer]
        times = positions if lane_axis == 0 else 1
        return distributions_of(wanted.of, averaged_examples(self._config), times=times)

    def _findings(self, layers: Sequence[LayerProbes], outputs: NetworkConstant | None, finite: Tensor) -> Findings:
        """The layers' values, and the network's: means over all units, for the effective rank over the layers."""
        values: dict[str, Tensor] = {}
        dead = finite.unsqueeze(1).expand(-1, 0)
        by_unit = [layer.by_unit() for layer in layers]
        for name in by_unit[0]:
            of_layers = [of_layer[name] for of_layer in by_unit]
            values |= self._means(name, of_layers)
            if name == "dead_unit_rate":
                dead = torch.cat(of_layers, 1) == 1
        by_layer = [layer.by_layer() for layer in layers]
        for layer, of_layer in enumerate(by_layer, start=1):
            values |= {layer_series(name, layer): value for name, value in of_layer.items()}
        for name in LAYER_MEANS:
            if name in by_layer[0]:
                values[name] = torch.stack([of_layer[name] for of_layer in by_layer]).nanmean(0)
        if "dead_unit_rate" in by_unit[0]:
            all_dead = [(of_layer["dead_unit_rate"] == 1).all(1).double() for of_layer in by_unit]
            values["dead_layers"] = torch.stack(all_dead).sum(0)
            values |= {layer_series("layer_dead", layer): flags for layer, flags in enumerate(all_dead, start=1)}
        if outputs:
            values["network_constant"] = outputs.by_lane()
        return Findings(values=values, dead=dead, finite=finite)

    def _gradients(self) -> dict[str, Tensor]:
        """Gradient flow on the first examples of the probe set, [L] by series name."""
        flow = self._config.probes.gradient_flow
        if flow is None:
            return {}
        examples = min(flow.examples, self.examples)
        by_layer, by_step, steps = [], [], self._config.time_steps()
        for model, data in self._groups(self._per_example() * examples):
            taken = data.take(data.train[:, :examples])
            gradients = preactivation_gradients(model, *taken, data.functions().loss)
            by_layer.append(gradient_rms(gradients, model.lane_axis))
            if steps is not None:
                by_step.append(time_rms(gradients, steps))
        rms = torch.cat(by_layer)
        values = {layer_series("gradient_rms", number): column for number, column in enumerate(rms.unbind(1), start=1)}
        through_time = time_values(torch.cat(by_step)) if by_step else {}
        return {**values, **through_time, "gradient_slope": gradient_slope(rms)}

    def _drift(self) -> dict[str, Tensor]:
        """How far units' inputs have moved since the first measured step, [L] by series name."""
        wanted = self._config.probes.input_drift
        assert wanted is not None
        examples = min(wanted.examples, self.examples)
        now = torch.cat(
            [
                unit_moments(model, data.take(data.train[:, :examples])[0])
                for model, data in self._groups(self._per_example() * examples)
            ],
            1,
        )
        self._start = now if self._start is None else self._start
        values: dict[str, Tensor] = {}
        for name, units in drift(self._start, now).items():
            layers = torch.split_with_sizes(units, [channels for channels, _ in self._config.layers()], 1)
            values |= {layer_series(name, number): of.nanmean(1) for number, of in enumerate(layers, start=1)}
            values[name] = units.nanmean(1)
        return values

    def _covariate_shift(self) -> dict[str, Tensor]:
        """Internal covariate shift of every layer, [L] by series name."""
        wanted = self._config.probes.covariate_shift
        assert wanted is not None and self._stepped is not None, "a step is needed to see what it does"
        examples = min(wanted.examples, self.examples)
        return covariate_shift(list(self._groups(self._per_example() * examples)), examples, self._stepped)

    def _per_example(self) -> int:
        """Outputs of all hidden layers, one example, one lane: the mean of linear ones and activations."""
        return self._config.held() // 2

    def _blocked(self) -> dict[str, Tensor]:
        """Units that are alive and get no gradient, on the whole probe set, [L] by series name."""
        states, units = self._config.probes.unit_states, self._config.probes.dead_units or DeadUnits()
        assert states is not None
        examples = averaged_examples(self._config)
        groups = [
            blocked_units(
                model,
                data,
                examples=self.examples,
                epsilon=units.epsilon,
                threshold=states.blocked,
                at_once=max(1, self._elements // (len(model.configs) * self._per_example())),
            )
            for model, data in self._groups(self._per_example() * examples)
        ]
        return self._means("blocked_rate", self._by_layer(torch.cat(groups)))

    def _weights(self) -> dict[str, Tensor]:
        """What weights and their gradients show on the first examples of the probe set, [L] by series name."""
        weights = self._config.probes.weights
        assert weights is not None
        examples = min(weights.examples, self.examples)
        groups = [
            weight_values(model, *data.take(data.train[:, :examples]), data.functions().loss)
            for model, data in self._groups(self._per_example() * examples)
        ]
        return {name: torch.cat([group[name] for group in groups]) for name in groups[0]}
