"""The sink: outbox -> MLflow. News is delivered at least once, and delivering it again changes nothing."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Engine

from actinium.errors import Unavailable
from actinium.job import FINAL_STATES, JobState, TrialId
from db import artifacts, frames, outbox
from db.frames import FramePosition, TrialFrames
from db.outbox import MirrorNews, Removal, StudyNews, TrialNews
from services.sink import wording
from services.sink.tracking import Gone, Refused, Tracking

log = logging.getLogger(__name__)

NEWS_A_ROUND = 20
"""Pieces of news claimed at once: few enough to be mirrored well within CLAIM_SECONDS."""
CLAIM_SECONDS = 30.0
FRAMES_A_TRIAL = 500
"""Frames of one trial mirrored in one round."""
LIVE_SECONDS = 5.0
"""A trial in training is mirrored at most this often."""
LIVE_SHARE_SECONDS = 0.5
"""With many trials in training each is mirrored less often: one of them every so many seconds."""
REFUSED_SECONDS = 300.0
"""How long news that MLflow refuses is put aside."""


class Sink:
    """One round of the loop is `run_once`."""

    def __init__(
        self,
        *,
        engine: Engine,
        tracking: Tracking,
        stopping: Callable[[], bool] = lambda: False,
        pulse: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._stopping = stopping
        self._pulse = pulse
        """Called after each piece of news: a round on a slow MLflow may take minutes, and is no standstill."""
        self._tracking = tracking
        self._experiments: dict[int, str] = {}
        """Those that were asked for in this round."""
        self._verified: set[str] = set()
        """Runs in training that are known to be what they should be."""
        self._told_at: dict[TrialId, datetime] = {}

    def run_once(self, *, now: datetime) -> int:
        """Mirror a batch of news; how many pieces. Raises Unavailable while MLflow is away, and all of it stays due.

        When the service is asked to stop, the rest of the batch is left for later: a slow MLflow may need a minute.
        """
        with self._engine.begin() as conn:
            claimed = outbox.pending(conn, now=now, limit=NEWS_A_ROUND, claim_seconds=CLAIM_SECONDS)
            removals = outbox.removals(conn, now=now, limit=NEWS_A_ROUND, claim_seconds=CLAIM_SECONDS)
        self._remove(removals)
        if not claimed:
            return len(removals)
        self._experiments.clear()
        news = self._without_recent(claimed, now=now)
        later = self._frames([item for item in news if isinstance(item, TrialNews)])
        left = deque(news)
        try:
            while left and not self._stopping():
                try:
                    self._tell(left[0], later, now=now)
                except Refused as error:
                    log.error("%s is refused by MLflow, and put aside: %s", _whose(left[0]), error)
                    self._defer([left[0]], now=now, seconds=REFUSED_SECONDS)
                left.popleft()
                self._pulse()
        except Unavailable:
            self._defer(list(left), now=now, seconds=0.0)
            raise
        self._defer(list(left), now=now, seconds=0.0)
        return len(news) - len(left) + len(removals)

    def _remove(self, removals: Sequence[Removal]) -> None:
        """Delete the experiments of studies that were deleted."""
        for removal in removals:
            self._tracking.remove_experiment(removal.experiment_id, study_id=removal.study_id)
            self._experiments.pop(removal.study_id, None)
            with self._engine.begin() as conn:
                outbox.removed(conn, removal.study_id)

    # ---- what to tell -----------------------------------------------------------------------------------------

    def _without_recent(self, claimed: Sequence[MirrorNews], *, now: datetime) -> list[MirrorNews]:
        """The news to mirror now: trials in training that were mirrored a moment ago are put off."""
        live = [item for item in claimed if isinstance(item, TrialNews) and item.state not in FINAL_STATES]
        pace = timedelta(seconds=max(LIVE_SECONDS, LIVE_SHARE_SECONDS * len(self._told_at)))
        recent = [item for item in live if (told := self._told_at.get(item.trial_id)) and now - told < pace]
        if recent:
            self._defer(recent, now=now, seconds=pace.total_seconds() / 2)
        waiting = {id(item) for item in recent}
        return [item for item in claimed if id(item) not in waiting]

    def _frames(self, news: Sequence[TrialNews]) -> dict[TrialId, TrialFrames]:
        """The frames that MLflow does not have yet; of a trial that succeeded its last frame too, to compare the
        summary.
        """
        own = [_cursor(item) for item in news if item.reused_from is None]
        with self._engine.begin() as conn:
            found = frames.after(conn, own, most=FRAMES_A_TRIAL)
            for item in news:  # two may show the same trial's frames, and be at different steps
                if item.reused_from is not None:
                    shown = frames.after(conn, [_cursor(item)], most=FRAMES_A_TRIAL).get(item.trained.trial_id)
                    found |= {} if shown is None else {item.trial_id: shown}
            return found

    # ---- telling ----------------------------------------------------------------------------------------------

    def _tell(self, item: MirrorNews, later: dict[TrialId, TrialFrames], *, now: datetime) -> None:
        if isinstance(item, StudyNews):
            self._tell_study(item, now=now)
            return
        try:
            self._tell_trial(item, later.get(item.trial_id), now=now)
        except Gone as error:
            # The experiment or the run was removed in MLflow: make the experiment again, and the run with it.
            log.warning("%s: %s", _whose(item), error)
            self._tell_anew(item, now=now)

    def _tell_study(self, item: StudyNews, *, now: datetime) -> None:
        experiment_id = self._tracking.experiment(
            name=f"{item.project}/{item.name}", study_id=item.study_id, experiment_id=item.experiment_id
        )
        self._experiments[item.study_id] = experiment_id
        with self._engine.begin() as conn:
            outbox.advance_study(conn, now=now, news=item, experiment_id=experiment_id)

    def _tell_trial(self, item: TrialNews, later: TrialFrames | None, *, now: datetime) -> None:
        if item.run_id is not None and wording.contradicts(item, later):
            log.info("%s: its last frame was told before its summary said otherwise; it is told anew", _whose(item))
            self._tracking.delete(item.run_id)
            self._tell_anew(item, now=now)
            return
        whole = later is None or len(later.steps) < FRAMES_A_TRIAL or _has_the_last(item, later)
        closed = item.state if item.state in FINAL_STATES and whole else None
        run_id, begun = self._run(item, later, now=now)
        points = wording.points(item, later, after=item.mirrored_step, ended=whole)
        params = wording.params(item.config) if begun else None
        self._tracking.tell(
            run_id, points=points, params=params, tags=wording.final_tags(item) if closed is not None else None
        )
        if closed is JobState.SUCCEEDED and item.config.probes.filters is not None:
            self._tell_artifacts(item, run_id)
        if closed is not None:
            self._tracking.close(run_id, status=wording.STATUS[closed], ended=wording.milliseconds(item.finished_at))
        self._advance(item, run_id, later, closed=closed, whole=whole, now=now)

    def _tell_artifacts(self, item: TrialNews, run_id: str) -> None:
        with self._engine.begin() as conn:
            found = artifacts.of_trial(conn, item.trained.trial_id)
        self._tracking.keep(run_id, {f"{name}.npy": content for name, content in found.items()})

    def _advance(
        self,
        item: TrialNews,
        run_id: str,
        later: TrialFrames | None,
        *,
        closed: JobState | None,
        whole: bool,
        now: datetime,
    ) -> None:
        step = item.mirrored_step if later is None else max(item.mirrored_step, int(later.steps[-1]))
        with self._engine.begin() as conn:
            outbox.advance_trial(conn, now=now, news=item, run_id=run_id, step=step, closed=closed, complete=whole)
        if closed is None:
            self._told_at[item.trial_id] = now
        else:
            self._told_at.pop(item.trial_id, None)
            self._verified.discard(run_id)

    def _run(self, item: TrialNews, later: TrialFrames | None, *, now: datetime) -> tuple[str, bool]:
        """The run of this attempt, and whether its params may be missing. The runs of earlier attempts go."""
        tags = wording.tags(item)
        if item.run_id is not None and not item.restarted:
            try:
                if item.run_id not in self._verified:
                    self._verify(item, item.run_id, later)
                return item.run_id, item.mirrored_step < 0
            except Gone as error:
                if item.mirrored_step >= 0:
                    raise  # it is told from its first frame, which is not at hand here
                log.warning("%s: %s", _whose(item), error)
        elif item.run_id is not None:
            self._tracking.delete(item.run_id)
        experiment_id = self._experiment(item, now=now)
        begun = self._tracking.unfinished_runs(experiment_id=experiment_id, tags=tags, now=now)
        run_id, *doubles = begun.pop(item.attempt, [None])
        for left in (*doubles, *(run for runs in begun.values() for run in runs)):
            if left != item.run_id:
                self._tracking.delete(left)
        if run_id is None:
            run_id = self._tracking.create_run(
                experiment_id=experiment_id,
                name=item.config.run_name(),
                started=wording.milliseconds(item.leased_at),
                tags=tags,
            )
            self._verified.add(run_id)
        # Noted before anything else is told: a run that is closed is never looked for again.
        with self._engine.begin() as conn:
            outbox.advance_trial(conn, now=now, news=item, run_id=run_id, step=-1, complete=False)
        return run_id, True

    def _verify(self, item: TrialNews, run_id: str, later: TrialFrames | None) -> None:
        """Gone unless the run says that it is this attempt's; where nothing is known of how far it is, and it shows
        something else than the trial, it is deleted first.
        """
        run = self._tracking.run(run_id, tags=wording.tags(item))
        if item.mirrored_step < 0 and wording.differs(item, later, metrics=run.data.metrics, said=run.data.params):
            self._tracking.delete(run_id)
            raise Gone(f"run {run_id} shows something else than the record")
        self._verified.add(run_id)

    def _experiment(self, item: TrialNews, *, now: datetime) -> str:
        """The study's experiment, asked for once a round: a store that was made anew gives its id to another."""
        if item.study_id not in self._experiments:
            self._tell_study(_study_of(item), now=now)
        return self._experiments[item.study_id]

    def _tell_anew(self, item: TrialNews, *, now: datetime) -> None:
        """Mirror a trial from its first frame into a new run, in a new experiment where the old one is gone."""
        if item.run_id is not None:
            self._verified.discard(item.run_id)
        self._experiments.pop(item.study_id, None)
        self._tracking.forget()
        self._tell_study(_study_of(item), now=now)
        lost = replace(item, run_id=None, mirrored_attempt=None, mirrored_step=-1)
        self._tell_trial(lost, self._frames([lost]).get(lost.trial_id), now=now)

    def _defer(self, news: Sequence[MirrorNews], *, now: datetime, seconds: float) -> None:
        if news:
            with self._engine.begin() as conn:
                outbox.defer(conn, now=now, news=news, seconds=seconds)


def _study_of(item: TrialNews) -> StudyNews:
    """The study of a trial as news. The version -1 matches no row of the outbox, so that nothing is removed there."""
    return StudyNews(
        version=-1, study_id=item.study_id, project=item.project, name=item.study_name, experiment_id=item.experiment_id
    )


def _cursor(item: TrialNews) -> FramePosition:
    """How far the mirror is with the frames of a trial, or of the trial whose result it reuses."""
    step = item.mirrored_step if item.summary is None else min(item.mirrored_step, item.summary.steps - 1)
    return FramePosition(trial_id=item.trained.trial_id, attempt=item.trained.attempt, step=step)


def _has_the_last(item: TrialNews, later: TrialFrames) -> bool:
    """Whether no frame can come after these."""
    return item.summary is not None and int(later.steps[-1]) >= item.summary.steps


def _whose(item: MirrorNews) -> str:
    return f"study {item.study_id}" if isinstance(item, StudyNews) else f"trial {item.trial_id}"
