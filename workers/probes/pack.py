"""A pack's probes: every family that is on, at the steps at which it is due. Legend: L lanes, U units, S series."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actinium.errors import CheckpointUnusable
from actinium.trial import TrialConfig
from workers.layers import LaneModel
from workers.probes.families import families_of, probe_series
from workers.probes.family import check_given
from workers.probes.other_statistics import dead_rates
from workers.probes.probed_pack import ProbedPack, Stepped
from workers.probes.shared_pass import Asked, look
from workers.training.batches import PackData


class PackProbes:
    """Measures the living lanes of a pack, in the model's order, and remembers what its families do.

    `model` and `data` are the pack's own; after their `keep`, call this one's.
    """

    def __init__(
        self, *, configs: Sequence[TrialConfig], model: LaneModel, data: PackData, stepped: Stepped | None = None
    ) -> None:
        """`stepped` is the training's next step, on copies: internal covariate shift asks for it."""
        config = configs[0]
        self._pack = ProbedPack(configs=configs, model=model, data=data, stepped=stepped)
        self._series = probe_series(config)
        self._families = families_of(config)
        self._timetables = [family.timetable(config) for family in self._families]
        self._layers = len(config.layers())
        self._last = config.steps()
        self.examples = self._pack.examples
        """K, the size of the probe set."""

    def _asked(self, step: int) -> list[Asked]:
        return [
            Asked(family=family, due=[one for one, steps in timetable if step in steps])
            for family, timetable in zip(self._families, self._timetables, strict=True)
        ]

    def _names(self, asked: Asked) -> list[str]:
        return [name for one in asked.due for name in one.series(self._layers)]

    def measure(self, step: int) -> NDArray[np.float32]:
        """The values of `probe_series`, [L, S]; NaN where one is not due, or the lane's numbers are not finite.

        `step` is one of the config's frame steps; they come in ascending order. Raises ProbeFault where a family gives
        other series than are due of it.
        """
        pack = self._pack
        found = self._found(self._asked(step), step)
        if step in pack.trajectory:
            assert pack.dead_now is not None, "dead units are measured at every step of the trajectory"
            pack.steps.append(step)
            pack.dead.append(pack.dead_now)
        return found

    def measure_all(self, networks: LaneModel) -> NDArray[np.float32]:
        """As `measure`, of everything, as at the last step, and of these networks of the living lanes in place of the
        pack's own. No trajectory goes on by it.
        """
        pack = self._pack
        own, pack.model = pack.model, networks
        try:
            return self._found(self._asked(self._last), self._last)
        finally:
            pack.model = own

    @torch.no_grad()
    def by_other_statistics(self, running: LaneModel, recomputed: LaneModel) -> dict[str, Tensor]:
        """Dead units of these networks of the living lanes in eval mode, with their running statistics and with
        recomputed ones, by metric: [L]; nothing where dead units are not probed.
        """
        return dead_rates(self._pack, running, recomputed) if self._pack.config.probes.dead_units else {}

    def of_trajectory(self) -> NDArray[np.bool_]:
        """Which of `probe_series` every point of a trajectory has, [S]."""
        named = {
            name
            for timetable in self._timetables
            for one, steps in timetable
            if self._pack.trajectory <= steps
            for name in one.series(self._layers)
        }
        return np.array([name in named for name in self._series], dtype=bool)

    def _found(self, asked: Sequence[Asked], step: int) -> NDArray[np.float32]:
        pack = self._pack
        pack.looked_at = True
        values: dict[str, Tensor] = {}
        with torch.no_grad():
            gathered = look(pack, asked, step)
            for one in asked:
                family = one.family
                own = {**gathered.get(family.name, {})}
                if one.due and family.measure is not None:
                    own |= family.measure(pack, step)
                check_given(family.name, own, self._names(one), when=f"step {step}")
                values |= own
        absent = torch.full((len(pack.model.configs),), torch.nan, dtype=torch.float64, device=pack.data.scale.device)
        rows = [values.get(name, absent) for name in self._series]
        if not rows:
            return np.empty((len(pack.model.configs), 0), dtype=np.float32)
        return torch.stack(rows, 1).float().cpu().numpy()

    def due(self, step: int) -> NDArray[np.bool_]:
        """Which of `probe_series` are measured at this step, [S]; the others are NaN there."""
        due = {name for one in self._asked(step) for name in self._names(one)}
        return np.array([name in due for name in self._series], dtype=bool)

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these (ascending positions in the present order)."""
        self._pack.keep(lanes)

    def state(self) -> dict[str, Tensor]:
        """What is remembered from one frame to the next, lanes first: `dead` [L, T, U], and what families remember."""
        pack = self._pack
        return {**({"dead": torch.stack(pack.dead, 1)} if pack.dead else {}), **pack.memory}

    def restore(self, saved: Mapping[str, Tensor], *, steps: Sequence[int]) -> None:
        """Go on after these steps of the trajectory. Raises CheckpointUnusable where something is missing."""
        pack, units = self._pack, sum(self._pack.widths)
        device = pack.data.scale.device
        pack.steps, pack.looked_at = list(steps), True
        if pack.config.probes.dead_units:
            if "dead" not in saved or saved["dead"].shape[1:] != (len(steps), units):
                raise CheckpointUnusable(f"it does not say which of {units} units were dead when")
            pack.dead = list(saved["dead"].to(device).movedim(1, 0).contiguous())
        pack.memory = {name: tensor.to(device) for name, tensor in saved.items() if name != "dead"}

    def of_whole_trials(self) -> list[dict[str, float]]:
        """What is one number of a whole trial, by metric, for each living lane: what became of its units so far, and
        what it has learned. Nothing where nothing was measured yet.
        """
        pack = self._pack
        found: dict[str, Tensor] = {}
        for family in self._families if pack.looked_at else ():
            if family.end is not None:
                own = family.end(pack)
                wanted = [s for one in family.given_at_end(pack.model.configs) for s in one.series(self._layers)]
                check_given(family.name, own, wanted, when="at the end")
                found |= own
        if not found:
            return [{} for _ in pack.model.configs]
        table = torch.stack(list(found.values()), 1).tolist()
        return [dict(zip(found, row, strict=True)) for row in table]
