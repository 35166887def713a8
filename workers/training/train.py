"""The training loop: a pack of trials in, their frames and summaries out.

There is one loop. A single trial is a pack of one lane. Legend: L living lanes, B examples, S series.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from actinium.errors import InvalidInput
from actinium.frame import (
    OUTCOME_VERSION,
    Checkpointed,
    CheckpointFailed,
    LaneFinished,
    Layout,
    PackEvent,
    PackFrames,
    TrialSummary,
)
from actinium.measurements import versions
from actinium.schedules import spaced
from actinium.trial import TrialConfig
from workers.checkpoints.state import Keeper, PackState, PastFrames, named, networks, put_networks
from workers.initializations.lsuv import scale_to_unit_variance
from workers.models import build_model, parameter_count
from workers.models.slices import lane_order
from workers.probes import PackProbes
from workers.procedures import Prepared, prepare
from workers.training.batches import epoch_order, pack_data
from workers.training.best import BestNetworks
from workers.training.constant_guess import constant_guesses
from workers.training.evaluation import JUDGED_POINTS, evaluate, evaluation_examples
from workers.training.judging import EVALUATION_SERIES, JUDGED_SERIES, LOSS_SERIES, Judge, Judgement, frame_series
from workers.training.outcome import LaneRecord, put_records, recorded
from workers.training.precision import precision_on
from workers.training.steps import Steps


@dataclass(frozen=True, kw_only=True)
class Milestones:
    """The steps at which something is decided or judged: evaluations, points of the trajectories of units, and the
    points at which the whole validation part and the train-eval gap are measured.
    """

    evaluations: frozenset[int]
    trajectory: frozenset[int]
    judged: frozenset[int]

    @classmethod
    def of(cls, config: TrialConfig) -> Self:
        """Those of a trial; equal for equal pack keys."""
        return cls(
            evaluations=frozenset(config.evaluation_steps()),
            trajectory=frozenset(config.trajectory_steps()),
            judged=spaced(config.probe_steps(), JUDGED_POINTS),
        )


def pack_layout(config: TrialConfig) -> Layout:
    """The series of a trial's frames; equal for equal pack keys."""
    return Layout(series=frame_series(config))


def train_pack(
    configs: Sequence[TrialConfig],
    *,
    device: str = "cpu",
    data_root: Path | None = None,
    captured: bool = False,
    clock: Callable[[], float] = time.perf_counter,
    keeper: Keeper | None = None,
    checkpoint: Callable[[], PackState] | None = None,
) -> Iterator[PackEvent]:
    """Train trials that share a pack key, from step 0 to the last.

    Yields a PackFrames at every step of `frame_steps()` and a LaneFinished for each lane. A lane whose training is lost
    (at an evaluation) has one more frame, with its losses, then its summary, and leaves, as does one that stops early;
    the others go on as if it had never been there. Lanes are numbered by their place in `configs`. `captured`: each
    step is replayed as a CUDA graph, where the trials allow it (`workers.training.captured`). Raises DatasetMissing for
    absent data files.

    `keeper` gets checkpoints between steps, each told by a Checkpointed, and may end the pack with one. With what
    `checkpoint` gives, the pack goes on from there: the frames until then come first, then those that it would have
    had. Whatever is wrong with one is told by a CheckpointFailed: the pack begins again, or goes on without.
    """
    if len({config.pack_key() for config in configs}) != 1:
        raise InvalidInput("a pack needs trials of one pack key; group them by TrialConfig.pack_key()")
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32; matrix products are so by default
    begin = partial(Pack, configs, device=device, data_root=data_root, captured=captured, clock=clock, keeper=keeper)
    pack: Pack | None = None
    if checkpoint is not None:
        try:
            pack = begin(saved=checkpoint())
        except Exception as error:  # the rim of what is saved: the trials have done nothing wrong, and begin again
            yield CheckpointFailed(reason=f"not used: {type(error).__name__}: {error}")
    yield from (pack or begin()).run()


class Pack:
    """Lanes in training. All per-lane lists stand in the model's order and shrink when lanes leave."""

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        *,
        device: str,
        data_root: Path | None,
        captured: bool = False,
        clock: Callable[[], float],
        keeper: Keeper | None = None,
        saved: PackState | None = None,
    ) -> None:
        self._lanes = lane_order(configs)
        """The caller's number of each living lane."""
        ordered = [configs[lane] for lane in self._lanes]
        self._config, self._series, self._width = ordered[0], pack_layout(ordered[0]).series, len(configs)
        self._model = build_model(ordered, device=device)
        self._data = pack_data(ordered, lane_axis=self._model.lane_axis, device=device, data_root=data_root)
        saved = None if saved is None else saved.of(ordered)
        if saved is None:
            first_batch = epoch_order(self._data, ordered, 0)[:, : self._config.training.batch_size]
            scale_to_unit_variance(self._model, self._data.take(first_batch)[0])
            prepared = prepare(self._model, self._data, data_root=data_root, clock=clock)
        else:
            put_networks(saved, "now", self._model)
            prepared = [Prepared(metrics=metrics) for metrics in saved.prepared]
        self._steps = Steps(self._model, self._data, captured=captured)
        self._milestones = Milestones.of(self._config)
        self._probes = PackProbes(configs=ordered, model=self._model, data=self._data, stepped=self._steps.stepped)
        self._records = [
            LaneRecord(
                config=config,
                parameters=parameter_count(config, self._model.params),
                constant=constant,
                prepared=before.metrics,
                fates=np.full(len(self._series), np.nan, dtype=np.float32),
                seconds=before.seconds,
            )
            for config, constant, before in zip(ordered, constant_guesses(self._data, ordered), prepared, strict=True)
        ]
        self._examples = evaluation_examples(self._data)
        self._of_units = np.concatenate([np.zeros(len(LOSS_SERIES), bool), self._probes.of_trajectory()])
        self._device_name = describe_device(device)
        self._sound = self._model.snapshot()
        """The networks as they were at the last evaluation at which their training was not lost."""
        self._values: NDArray[np.float32] | None = None
        """What the last frame measured of the living lanes, [L, S]."""
        self._best = BestNetworks(self._model)
        self._judge = Judge(model=self._model, data=self._data, probes=self._probes, best=self._best)
        self._clock = clock
        self._keeper = keeper
        self._past = PastFrames()
        """The frames until now, where there is a keeper."""
        self._begun = self._charged = clock()
        if saved is not None:
            self._restore(saved)

    def run(self) -> Iterator[PackEvent]:
        """Everything, from step 0 or the checkpoint on."""
        done = self._past.steps[-1] if self._past.steps else -1
        interrupted = None if self._keeper is None else self._keeper.due
        for step, at, rows in self._past:
            yield frames_of(self._lanes, step=step, time=at, rows=rows)
            self._charged = self._clock()
        for step in self._config.frame_steps():
            if step <= done:
                continue
            while not self._steps.train_to(step, interrupted=interrupted):
                yield self._checkpoint()
                if self._keeper and self._keeper.stopping():
                    return
                self._charged = self._clock()
            frames, finished = self._measure()
            yield frames
            yield from finished
            if not self._lanes:
                return
            self._charged = self._clock()
        yield from self._finished(range(len(self._lanes)), self._values)

    # ---- frames -----------------------------------------------------------------------------------------------

    def _measure(self) -> tuple[PackFrames, list[LaneFinished]]:
        """This step's frame of every living lane, and the summaries of those that leave."""
        step, lanes = self._steps.taken, list(self._lanes)
        rows = np.full((len(lanes), len(self._series)), np.nan, dtype=np.float32)
        evaluating = step in self._milestones.evaluations
        living = list(range(len(lanes)))
        finished: list[LaneFinished] = []
        if evaluating:
            rows[:, : len(EVALUATION_SERIES)] = self._evaluated(step)
            lost = [place for place, record in enumerate(self._records) if record.diverged()]
            finished += self._lost(lost)
            living = [place for place in living if place not in lost]
            if lost:
                self._keep(living)
        if living:
            rows[living, len(EVALUATION_SERIES) :] = self._probed(step)
            self._values = rows[living]
            if self._keeper is not None:
                self._past.add(step, self._charged - self._begun, self._values)
            if step in self._milestones.trajectory:
                for record, values in zip(self._records, self._values, strict=True):
                    record.measured(values, self._of_units)
        if living and evaluating:
            finished += self._stopped()
            self._sound = self._model.snapshot()
        if evaluating:
            self._steps.start_mean()
        return frames_of(lanes, step=step, time=self._charged - self._begun, rows=rows), finished

    def _evaluated(self, step: int) -> NDArray[np.float32]:
        """The losses of an evaluation, [L, 2]; every lane's record has seen them. An evaluation that overflows has an
        infinite loss: NaN says that nothing was evaluated.
        """
        overflown = evaluate(self._model, self._data, self._examples).loss.nan_to_num(nan=torch.inf, posinf=torch.inf)
        losses: NDArray[np.float32] = torch.stack([self._steps.mean_loss(), overflown], dim=1).cpu().numpy()
        for record, values in zip(self._records, losses.tolist(), strict=True):
            record.saw(step, *values)
        self._best.saw(self._model, [record.evaluation_losses[-1] for record in self._records])
        self._charge()
        return losses

    def _probed(self, step: int) -> NDArray[np.float32]:
        """What is measured beside the evaluation: [L, S - 2]."""
        judged = np.full((len(self._lanes), len(JUDGED_SERIES)), np.nan)
        if step in self._milestones.judged:
            judged = self._judge.judged(self._model)
        probed = np.concatenate([judged, self._probes.measure(step)], axis=1)
        self._charge(probing=True)
        return probed.astype(np.float32)

    def _charge(self, *, probing: bool = False) -> None:
        """Share the time since the last charge among the living lanes."""
        now = self._clock()
        share = (now - self._charged) / max(len(self._records), 1)
        for record in self._records:
            record.seconds += share
            record.probe_seconds += share if probing else 0.0
        self._charged = now

    # ---- ends -------------------------------------------------------------------------------------------------

    def _finished(self, places: Sequence[int], values: NDArray[np.float32] | None = None) -> list[LaneFinished]:
        """Summaries of the lanes at `places`, as they are now. `values` [L, S]: what this step's frame measured of all
        living lanes; None where it did not measure everything.
        """
        return self._summarized(places, self._judge.at_their_end(self._records, places, values)) if places else []

    def _lost(self, places: Sequence[int]) -> list[LaneFinished]:
        """Summaries of the lanes at `places`, whose training is lost."""
        return self._summarized(places, self._judge.lost(self._records, places, self._sound)) if places else []

    def _summarized(self, places: Sequence[int], judgements: Sequence[Judgement]) -> list[LaneFinished]:
        """What is told of the lanes at `places`, each with its judgement; judging is charged to all living lanes."""
        self._charge()
        return [
            LaneFinished(
                lane=self._lanes[place],
                summary=self._summary(self._records[place], judgement),
                artifacts=judgement.artifacts,
            )
            for place, judgement in zip(places, judgements, strict=True)
        ]

    def _summary(self, record: LaneRecord, judgement: Judgement) -> TrialSummary:
        return TrialSummary(
            outcome=judgement.outcome,
            steps=self._steps.taken,
            seconds=record.seconds,
            probe_seconds=record.probe_seconds,
            metrics=dict(judgement.metrics),
            probe_examples=self._probes.examples,
            parameters=record.parameters,
            pack_width=self._width,
            device=self._device_name,
            precision=precision_on(self._data.scale.device, self._config.training.precision),
            measurement_versions={**versions(judgement.asked), "outcome": OUTCOME_VERSION},
        )

    def _stopped(self) -> list[LaneFinished]:
        """Summaries of the lanes that stop early, as they are now; they leave."""
        stopping = [place for place, record in enumerate(self._records) if record.stops()]
        at_the_end = self._steps.taken == self._config.steps()
        finished = self._finished(stopping, self._values if at_the_end else None)
        if stopping:
            self._keep([place for place in range(len(self._records)) if place not in stopping])
        return finished

    def _keep(self, places: Sequence[int]) -> None:
        """Go on with these lanes alone."""
        self._lanes = [self._lanes[place] for place in places]
        self._records = [self._records[place] for place in places]
        if not places:
            return
        self._model.keep(places)
        self._data.keep(places)
        self._steps.keep(places)
        self._best.keep(places)
        self._probes.keep(places)
        self._past.keep(places)
        self._values = None if self._values is None else self._values[places]
        self._examples = evaluation_examples(self._data)

    # ---- checkpoints ------------------------------------------------------------------------------------------

    def _checkpoint(self) -> Checkpointed | CheckpointFailed:
        """Give the keeper all that there is; its time is charged to nobody."""
        assert self._keeper is not None
        self._charge()
        try:
            name = self._keeper.keep(self._state())
        except Exception as error:  # the rim of where checkpoints are kept: a full disk there must stop no training
            return CheckpointFailed(reason=f"not kept: {type(error).__name__}: {error}")
        return Checkpointed(lanes=tuple(sorted(self._lanes)), step=self._steps.taken, name=name)

    def _state(self) -> PackState:
        """Everything that `_restore` puts back, on the host."""
        return PackState(
            digests=tuple(record.config.digest() for record in self._records),
            step=self._steps.taken,
            steps=tuple(self._past.steps),
            times=tuple(self._past.times),
            elapsed=self._charged - self._begun,
            prepared=tuple(record.prepared for record in self._records),
            arrays={
                **networks("now", self._model),
                **networks("sound", self._sound),
                **self._best.state(),
                **named("steps", self._steps.state()),
                **named("probes", self._probes.state()),
                **recorded(self._records),
                **self._past.arrays(),
            },
        )

    def _restore(self, saved: PackState) -> None:
        """Go on from a checkpoint of these lanes, in this order; the networks are there already."""
        put_networks(saved, "sound", self._sound)
        self._best.restore(saved)
        put_records(saved, self._records)
        evaluated_at = self._records[0].evaluated[-1]
        self._steps.restore(saved.part("steps"), taken=saved.step, since_mean=saved.step - evaluated_at)
        seen = [step for step in saved.steps if step in self._milestones.trajectory]
        self._probes.restore(saved.part("probes"), steps=seen)
        self._past = PastFrames.of(saved)
        self._begun = self._charged - saved.elapsed


def frames_of(lanes: Sequence[int], *, step: int, time: float, rows: NDArray[np.float32]) -> PackFrames:
    """Rows [L, S] of the caller's `lanes` at one step, in the order of those."""
    order = sorted(range(len(lanes)), key=lanes.__getitem__)
    return PackFrames(lanes=tuple(lanes[place] for place in order), step=step, time=time, values=rows[order])


def describe_device(device: str) -> str:
    """`cpu`, or the accelerator's name."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
