"""The training loop: a pack of trials in, their frames and summaries out.

There is one loop. A single trial is a pack of one lane. Legend: L living lanes, B examples, S series.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from actinium.errors import InvalidInput
from actinium.frame import (
    Checkpointed,
    CheckpointFailed,
    LaneFinished,
    Layout,
    PackEvent,
    PackFrames,
    TrialSummary,
)
from actinium.measurements import versions
from actinium.trial import TrialConfig
from workers.checkpoints.state import Keeper, PackState, PastFrames, named, networks, put_networks
from workers.initializations.lsuv import scale_to_unit_variance
from workers.layers import LaneModel
from workers.models import build_model, parameter_count
from workers.models.slices import lane_order
from workers.probes import PackProbes, probe_series
from workers.probes.families import artifacts
from workers.procedures import Prepared, prepare
from workers.training.batches import epoch_order, pack_data
from workers.training.best import BestNetworks
from workers.training.evaluation import evaluate, gap_steps, precise_error, train_eval_gap
from workers.training.outcome import LaneRecord, put_records, recorded
from workers.training.precision import precision_on
from workers.training.steps import Steps
from workers.training.trivial import trivial_scores

LOSS_SERIES = ("train_loss", "validation_loss", "validation_accuracy")
GAP_SERIES = "train_eval_gap"
END_METRICS = ("test_loss", "test_error", GAP_SERIES, "precise_test_error")
"""Of the networks at the last frame that was measured in full; besides, those of the objective."""


def pack_layout(config: TrialConfig) -> Layout:
    """The series of a trial's frames; equal for equal pack keys."""
    return Layout(series=(*LOSS_SERIES, GAP_SERIES, *probe_series(config)))


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

    Yields a PackFrames at every step of `probe_steps()` and a LaneFinished for each lane. A lane whose loss diverges
    has one more frame, with its losses, then its summary, and leaves, as does one that stops early; the others go
    on as if it had never been there. Lanes are numbered by their place in `configs`. `captured`: each step is
    replayed as a CUDA graph, where the trials allow it (`workers.training.captured`). Raises DatasetMissing for absent
    data files.

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
        self._gap_steps = gap_steps(self._config)
        self._probes = PackProbes(configs=ordered, model=self._model, data=self._data, stepped=self._steps.stepped)
        self._records = [
            LaneRecord(
                config=config,
                parameters=parameter_count(config, self._model.params),
                trivial=trivial,
                prepared=before.metrics,
                seconds=before.seconds,
            )
            for config, trivial, before in zip(ordered, trivial_scores(self._data, ordered), prepared, strict=True)
        ]
        self._device_name = describe_device(device)
        self._measured = self._model.snapshot()
        """The networks as they were at the last frame."""
        self._best = BestNetworks(self._model)
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
        for step in self._config.probe_steps():
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
        yield from self._finished(range(len(self._lanes)), self._model)

    # ---- frames -----------------------------------------------------------------------------------------------

    def _measure(self) -> tuple[PackFrames, list[LaneFinished]]:
        """This step's frame of every living lane, and the summaries of those that diverged and leave."""
        scores = evaluate(self._model, self._data, self._data.validation)
        losses = torch.stack([self._steps.mean_loss(), scores.loss, 1.0 - scores.error], dim=1).cpu().numpy()
        rows = np.full((len(self._lanes), len(self._series)), np.nan, dtype=np.float32)
        rows[:, : len(LOSS_SERIES)] = losses
        for record, values in zip(self._records, losses.tolist(), strict=True):
            record.saw(*values)
        self._best.saw(self._model, [record.validation_losses[-1] for record in self._records])
        self._charge()

        lanes = list(self._lanes)
        alive = [place for place, record in enumerate(self._records) if not record.diverged()]
        gone = [place for place, record in enumerate(self._records) if record.diverged()]
        finished = self._finished(gone, self._measured)
        if gone:
            self._keep(alive)
        if alive:
            rows[alive, len(LOSS_SERIES) :] = self._probed()
            if self._keeper is not None:
                self._past.add(self._steps.taken, self._charged - self._begun, rows[alive])
            due = self._due()
            for record, place in zip(self._records, alive, strict=True):
                record.measured(rows[place], due)
            finished += self._stopped()
            self._measured = self._model.snapshot()
        self._steps.start_mean()
        return frames_of(lanes, step=self._steps.taken, time=self._charged - self._begun, rows=rows), finished

    def _probed(self) -> NDArray[np.float32]:
        """What is measured beside the losses: [L, S - 3]."""
        gap = np.full((len(self._lanes), 1), np.nan)
        if self._steps.taken in self._gap_steps:
            gap[:, 0] = train_eval_gap(self._model, self._data).cpu().numpy()
        probed = np.concatenate([gap, self._probes.measure(self._steps.taken)], axis=1)
        self._charge(probing=True)
        return probed.astype(np.float32)

    def _due(self) -> NDArray[np.bool_]:
        """Which series this step's frame measures, [S]."""
        usual = [*[True] * len(LOSS_SERIES), self._steps.taken in self._gap_steps]
        return np.concatenate([np.array(usual, dtype=bool), self._probes.due(self._steps.taken)])

    def _charge(self, *, probing: bool = False) -> None:
        """Share the time since the last charge among the living lanes."""
        now = self._clock()
        share = (now - self._charged) / max(len(self._records), 1)
        for record in self._records:
            record.seconds += share
            record.probe_seconds += share if probing else 0.0
        self._charged = now

    # ---- ends -------------------------------------------------------------------------------------------------

    def _finished(self, places: Sequence[int], networks: LaneModel) -> list[LaneFinished]:
        """Summaries of the lanes at `places`, tested with `networks` (of all living lanes)."""
        if not places:
            return []
        networks = self._best.instead_of(networks)
        whole = self._probes.of_whole_trials()
        tested = evaluate(networks, self._data.tested(), self._data.test)
        gaps = train_eval_gap(networks, self._data)
        precise = precise_error(networks, self._data)
        ends = torch.stack([tested.loss, tested.error, gaps, precise, *tested.extra.values()], dim=1).tolist()
        names = (*END_METRICS, *tested.extra)
        self._charge()
        return [
            LaneFinished(
                lane=self._lanes[place],
                summary=self._summary(
                    self._records[place],
                    {**dict(zip(names, ends[place], strict=True)), **whole[place]},
                ),
                artifacts=artifacts(self._config, networks, place),
            )
            for place in places
        ]

    def _summary(self, record: LaneRecord, extra: Mapping[str, float]) -> TrialSummary:
        metrics = record.metrics(self._series, extra)
        return TrialSummary(
            outcome=record.outcome(),
            steps=self._steps.taken,
            seconds=record.seconds,
            probe_seconds=record.probe_seconds,
            metrics=metrics,
            probe_examples=self._probes.examples,
            parameters=record.parameters,
            pack_width=self._width,
            device=self._device_name,
            precision=precision_on(self._data.scale.device, self._config.training.precision),
            measurement_versions=versions(metrics),
        )

    def _stopped(self) -> list[LaneFinished]:
        """Summaries of the lanes that stop early, as they are now; they leave."""
        stopping = [place for place, record in enumerate(self._records) if record.stops()]
        finished = self._finished(stopping, self._model)
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
                **networks("measured", self._measured),
                **self._best.state(),
                **named("steps", self._steps.state()),
                **named("probes", self._probes.state()),
                **recorded(self._records),
                **self._past.arrays(),
            },
        )

    def _restore(self, saved: PackState) -> None:
        """Go on from a checkpoint of these lanes, in this order; the networks are there already."""
        put_networks(saved, "measured", self._measured)
        self._best.restore(saved)
        measured_at = saved.steps[-1]
        self._steps.restore(saved.part("steps"), taken=saved.step, since_mean=saved.step - measured_at)
        self._probes.restore(saved.part("probes"), steps=saved.steps)
        put_records(saved, self._records)
        self._past = PastFrames.of(saved)
        self._begun = self._charged - saved.elapsed


def frames_of(lanes: Sequence[int], *, step: int, time: float, rows: NDArray[np.float32]) -> PackFrames:
    """Rows [L, S] of the caller's `lanes` at one step, in the order of those."""
    order = sorted(range(len(lanes)), key=lanes.__getitem__)
    return PackFrames(lanes=tuple(lanes[place] for place in order), step=step, time=time, values=rows[order])


def describe_device(device: str) -> str:
    """`cpu`, or the accelerator's name."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
