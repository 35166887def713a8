"""What MLflow is sent for a trial: params, tags, metrics and status. Pure functions."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from actinium.job import JobState
from actinium.measurements import frames_only
from actinium.trial import TrialConfig
from db.frames import TrialFrames
from db.outbox import TrialNews

STATUS: Mapping[JobState, str] = {
    JobState.SUCCEEDED: "FINISHED",
    JobState.FAILED: "FAILED",
    JobState.CANCELLED: "KILLED",
}
"""The status of a run that is over; a trial in any other state has a RUNNING one."""

LABELS = ("activation", "normalization", "initialization")
LONGEST_VALUE = 5000
"""Characters of a param or tag that MLflow's stores take; a longer param keeps its beginning, a traceback its end."""
TRIAL_TAG = "actinium.trial_id"
STUDY_TAG = "actinium.study_id"
ATTEMPT_TAG = "actinium.attempt"
DIGEST_TAG = "actinium.digest"
REUSED_TAG = "actinium.reused_from"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value of a metric. `timestamp` in milliseconds since 1970."""

    key: str
    value: float
    timestamp: int
    step: int


def milliseconds(moment: datetime | None) -> int:
    """Since 1970; 0 for a moment that is not known."""
    return 0 if moment is None else round(moment.timestamp() * 1000)


def params(config: TrialConfig) -> dict[str, str]:
    """The whole config, flattened: `training.batch_size` and so on; `activation`, `normalization` and `initialization`
    also as one label each.
    """
    labels = {name: getattr(config, name).label() for name in LABELS}
    return labels | {path: _written(value)[:LONGEST_VALUE] for path, value in flattened(config.model_dump(mode="json"))}


def flattened(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a document under dotted paths."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def tags(news: TrialNews) -> dict[str, str]:
    """The tags by which a run is known to be of this trial and attempt."""
    reused = {} if news.reused_from is None else {REUSED_TAG: str(news.reused_from)}
    return reused | {
        STUDY_TAG: str(news.study_id),
        TRIAL_TAG: str(news.trial_id),
        ATTEMPT_TAG: str(news.attempt),
        DIGEST_TAG: news.digest,
        "mlflow.source.name": "actinium",
    }


def final_tags(news: TrialNews) -> dict[str, str]:
    """What is known of a run at its end: the outcome, or why it failed."""
    if news.summary is not None:
        return {"actinium.outcome": news.summary.outcome.value}
    if news.state is JobState.FAILED and news.error:
        return {"actinium.error": news.error[-LONGEST_VALUE:]}
    return {}


def points(news: TrialNews, frames: TrialFrames | None, *, after: int, ended: bool = True) -> list[Point]:
    """The values of the frames past step `after`; and, when all frames are told with it (`ended`), of the summary where
    the last frame does not have them.

    A metric has one value for one step: where the summary says something else of its step than the frame, as of a
    diverged trial whose last finite values it keeps, the summary's is told alone. A value that is not finite was not
    measured, and is left out. Timestamps come from the database, so that sending a point again gives MLflow the same
    point.
    """
    begun = milliseconds(news.leased_at)
    told = [] if frames is None else [point for point in _of_frames(frames, begun=begun) if point.step > after]
    if news.summary is None:
        return told
    last, final = news.summary.steps, final_metrics(news)
    agreed = [point for point in told if point.step != last or final.get(point.key, point.value) == point.value]
    return agreed + (_of_summary(news, frames) if ended else [])


def contradicts(news: TrialNews, frames: TrialFrames | None) -> bool:
    """Whether a frame of the summary's step was told before the trial ended, and the summary says something else."""
    if news.summary is None or news.mirrored_step < news.summary.steps:
        return False
    final = final_metrics(news)
    return any(math.isfinite(value) and final.get(name, value) != value for name, value in _shown(news, frames).items())


def final_metrics(news: TrialNews) -> dict[str, float]:
    """The summary's metrics that were measured."""
    metrics = {} if news.summary is None else news.summary.metrics
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def differs(
    news: TrialNews, frames: TrialFrames | None, *, metrics: Mapping[str, float], said: Mapping[str, str]
) -> bool:
    """Whether a run shows something else than a trial that has ended: a metric of another latest value, or that the
    trial does not have; or another param.
    """
    if news.summary is None or frames is None or int(frames.steps[-1]) != news.summary.steps:
        return False  # what its latest values are is not known here
    wanted = {point.key: point.value for point in points(news, frames, after=-1)}
    wrong = any(wanted.get(name) != value for name, value in metrics.items())
    return wrong or any(params(news.config).get(name) != value for name, value in said.items())


def _shown(news: TrialNews, frames: TrialFrames | None) -> dict[str, float]:
    """What the frame of the summary's step says; nothing where there is none."""
    if news.summary is None or frames is None or int(frames.steps[-1]) != news.summary.steps:
        return {}
    told = dict(zip(frames.layout.series, frames.values[-1].tolist(), strict=True))
    return {name: value for name, value in told.items() if not frames_only(name)}


def _of_frames(frames: TrialFrames, *, begun: int) -> Iterator[Point]:
    told = ~np.array([frames_only(name) for name in frames.layout.series], dtype=bool)
    for step, time, values in zip(frames.steps.tolist(), frames.times.tolist(), frames.values, strict=True):
        stamp = begun + round(time * 1000)
        for place in np.flatnonzero(np.isfinite(values) & told).tolist():
            yield Point(key=frames.layout.series[place], value=float(values[place]), timestamp=stamp, step=step)


def _of_summary(news: TrialNews, frames: TrialFrames | None) -> list[Point]:
    """The summary's values that the last frame does not have. A diverged trial's last finite values are among them."""
    assert news.summary is not None
    shown = _shown(news, frames)
    stamp = max(
        milliseconds(news.finished_at),
        milliseconds(news.leased_at) + (0 if frames is None else round(float(frames.times[-1]) * 1000)),
    )
    return [
        Point(key=name, value=value, timestamp=stamp, step=news.summary.steps)
        for name, value in final_metrics(news).items()
        if shown.get(name) != value
    ]


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
