"""The sink's rounds: a real outbox, and a real MLflow server asked by MLflow's own client."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.entities import Run, ViewType
from mlflow.tracking import MlflowClient
from sqlalchemy import Engine, text

from actinium.errors import Unavailable
from actinium.frame import Frame, Layout, Outcome, TrialSummary
from actinium.job import FailureClass, Lease, StudyId
from actinium.study import expand, parse_study
from actinium.trial import TrialConfig
from db import artifacts, deletion, frames, mirror, outbox, queue, studies
from services.sink.inspection import Inspection
from services.sink.sink import LIVE_SECONDS, Sink
from services.sink.tracking import Tracking
from services.sink.wording import params

LAYOUT = Layout(series=("train_loss", "validation_loss", "dead_unit_rate/layer_01"))
STEPS = (0, 10, 170)


@dataclass(kw_only=True)
class Scene:
    """A study, leases of its trials, and a sink."""

    engine: Engine
    now: datetime
    url: str
    project: str

    def __post_init__(self) -> None:
        self.client = MlflowClient(self.url)
        self.sink = Sink(engine=self.engine, tracking=Tracking(self.url))

    def submit(self, *, seeds: int = 1, **fields: Any) -> StudyId:
        spec = parse_study({"name": "study", "project": self.project, "seeds": seeds, **fields})
        with self.engine.begin() as conn:
            return studies.create(conn, expand(spec), owner="ann", now=self.now)

    def lease(self, width: int = 1) -> list[Lease]:
        self.now += timedelta(seconds=1)
        with self.engine.begin() as conn:
            return queue.lease(conn, now=self.now, holder="fake", lease_seconds=30.0, width=width)

    def frames(self, lease: Lease, steps: Sequence[int] = STEPS, values: Sequence[float] = (1.0, 0.5, 0.25)) -> None:
        rows = [
            Frame(
                trial_id=lease.trial_id,
                attempt=lease.attempt,
                step=step,
                time=step / 1000,
                values=np.array(values, dtype=np.float32),
            )
            for step in steps
        ]
        with self.engine.begin() as conn:
            frames.write(conn, LAYOUT, rows)

    def complete(self, lease: Lease, outcome: Outcome = Outcome.CONVERGED, **metrics: float) -> None:
        self.now += timedelta(seconds=1)
        summary = TrialSummary(
            outcome=outcome,
            steps=STEPS[-1],
            seconds=2.0,
            probe_seconds=0.1,
            metrics={"train_loss": 1.0, "validation_loss": 0.5, "test_error": 0.1, **metrics},
            probe_examples=64,
            parameters=100,
            pack_width=1,
            device="cpu",
        )
        with self.engine.begin() as conn:
            assert queue.complete(conn, now=self.now, attempt=lease, summary=summary)

    def tell(self, sink: Sink | None = None) -> None:
        """Rounds until nothing is due."""
        self.now += timedelta(seconds=1)
        while (sink or self.sink).run_once(now=self.now):
            pass

    def runs(self, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
        found = self.client.get_experiment_by_name(f"{self.project}/study")
        return [] if found is None else list(self.client.search_runs([found.experiment_id], run_view_type=view))

    def history(self, run: Run, key: str) -> list[tuple[int, float]]:
        points = self.client.get_metric_history(run.info.run_id, key)
        return sorted((point.step, point.value) for point in points)

    def waiting(self) -> int:
        with self.engine.begin() as conn:
            return outbox.waiting(conn, most=100)

    def again(self) -> None:
        """As if a sink had died before it could note how far it was: all is due once more."""
        with self.engine.begin() as conn:
            conn.execute(text("UPDATE mirrored_trials SET step = -1, closed = NULL"))
            outbox.announce(conn, kind="trial", subjects=list(conn.execute(text("SELECT id FROM trials")).scalars()))


@pytest.fixture
def scene(engine: Engine, now: datetime, mlflow_url: str, request: pytest.FixtureRequest) -> Scene:
    """Each test has a project, and so an experiment, of its own."""
    return Scene(
        engine=engine, now=now, url=mlflow_url, project=request.node.name[:100].replace("[", "-").replace("]", "")
    )


def test_a_finished_trial_is_a_finished_run_with_params_tags_and_metrics(scene: Scene) -> None:
    study = scene.submit(activation={"name": "leaky_relu", "negative_slope": 0.2})
    (lease,) = scene.lease()
    scene.frames(lease)
    scene.complete(lease)
    scene.tell()
    (run,) = scene.runs()
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "leaky_relu(negative_slope=0.2)·none·he·s0"
    assert {key: value for key, value in run.data.tags.items() if key.startswith("actinium.")} == {
        "actinium.study_id": str(study),
        "actinium.trial_id": str(lease.trial_id),
        "actinium.attempt": "1",
        "actinium.digest": lease.config.digest(),
        "actinium.outcome": "converged",
    }
    assert run.data.params == params(lease.config)
    assert run.data.params["activation.negative_slope"] == "0.2"
    assert run.data.params["training.batch_size"] == "64"
    assert run.data.params["task.train_examples"] == "null"
    expected = {"train_loss": 1.0, "validation_loss": 0.5, "dead_unit_rate/layer_01": 0.25, "test_error": 0.1}
    assert run.data.metrics == pytest.approx(expected)
    assert scene.history(run, "validation_loss") == [(step, 0.5) for step in STEPS]
    assert run.info.end_time == round(scene.now.timestamp() * 1000) - 1000
    assert scene.waiting() == 0


def test_the_experiment_of_a_deleted_study_goes_and_no_other(scene: Scene) -> None:
    """Also where an id of MLflow's means another experiment by now."""
    study = scene.submit()
    (lease,) = scene.lease()
    scene.frames(lease)
    scene.complete(lease)
    scene.tell()
    with scene.engine.begin() as conn:
        deletion.delete_study(conn, study, who="ada", now=scene.now)
    own = scene.client.get_experiment_by_name(f"{scene.project}/study")
    strange = scene.client.create_experiment(f"{scene.project}/strange", tags={"actinium.study_id": "77"})
    with scene.engine.begin() as conn:
        conn.execute(text("INSERT INTO mirror_removals VALUES (76, :id, '-infinity')"), {"id": strange})
    scene.tell()
    assert scene.client.get_experiment(own.experiment_id).lifecycle_stage == "deleted"
    assert scene.client.get_experiment(strange).lifecycle_stage == "active"
    with scene.engine.begin() as conn:
        assert conn.execute(text("SELECT count(*) FROM mirror_removals")).scalar_one() == 0


def test_frames_are_mirrored_while_the_trial_trains_and_the_run_goes_on(scene: Scene) -> None:
    scene.submit()
    (lease,) = scene.lease()
    scene.frames(lease, STEPS[:2])
    scene.tell()
    (run,) = scene.runs()
    assert run.info.status == "RUNNING"
    assert scene.history(run, "train_loss") == [(0, 1.0), (10, 1.0)]
    scene.frames(lease, STEPS[2:])
    scene.complete(lease)
    scene.tell()
    (after,) = scene.runs()
    assert after.info.run_id == run.info.run_id and after.info.status == "FINISHED"
    assert scene.history(after, "train_loss") == [(step, 1.0) for step in STEPS]


def test_a_last_frame_that_was_told_before_the_end_is_not_told_again_by_the_summary(scene: Scene) -> None:
    scene.submit()
    (lease,) = scene.lease()
    scene.frames(lease)
    scene.tell()
    scene.complete(lease)
    scene.tell()
    (run,) = scene.runs()
    assert run.info.status == "FINISHED"
    assert scene.history(run, "train_loss") == [(step, 1.0) for step in STEPS]


def test_a_trial_in_training_is_told_of_only_now_and_then(scene: Scene) -> None:
    scene.submit()
    (lease,) = scene.lease()
    scene.frames(lease, [0])
    scene.tell()
    scene.frames(lease, [10])
    scene.tell()
    (run,) = scene.runs()
    assert scene.history(run, "train_loss") == [(0, 1.0)]
    assert scene.waiting() == 1
    scene.now += timedelta(seconds=LIVE_SECONDS)
    scene.tell()
    assert scene.history(run, "train_loss") == [(0, 1.0), (10, 1.0)]


def test_telling_it_again_changes_nothing(scene: Scene) -> None:
    scene.submit(seeds=2)
    for lease in scene.lease(2):
        scene.frames(lease)
        scene.complete(lease)
    scene.tell()
    before = {run.info.run_id: (run.data, run.info.status, run.info.end_time) for run in scene.runs()}
    histories = {
        one: [scene.history(run, key) for key in run.data.metrics]
        for one, run in zip(before, scene.runs(), strict=True)
    }
    scene.again()
    scene.tell(Sink(engine=scene.engine, tracking=Tracking(scene.url)))
    after = scene.runs()
    assert {run.info.run_id for run in after} == set(before)
    for run in after:
        data, status, ended = before[run.info.run_id]
        assert (run.data.to_dictionary(), run.info.status, run.info.end_time) == (data.to_dictionary(), status, ended)
        assert [scene.history(run, key) for key in run.data.metrics] == histories[run.info.run_id]


def test_a_run_that_a_dead_sink_had_made_is_taken_over(scene: Scene) -> None:
    study = scene.submit()
    (lease,) = scene.lease()
    scene.frames(lease)
    scene.complete(lease)
    experiment_id = scene.client.create_experiment(f"{scene.project}/study", tags={"actinium.study_id": str(study)})
    tags = {"trial_id": str(lease.trial_id), "attempt": "1", "digest": lease.config.digest()}
    made = scene.client.create_run(experiment_id, tags={f"actinium.{name}": value for name, value in tags.items()})
    scene.tell()
    (run,) = scene.runs()
    assert run.info.run_id == made.info.run_id and run.info.status == "FINISHED"
    assert run.data.params == params(lease.config)


def test_runs_that_a_dead_sink_had_made_for_an_earlier_attempt_go(scene: Scene) -> None:
    study = scene.submit(seeds=2)
    first, other = scene.lease(2)
    experiment_id = scene.client.create_experiment(f"{scene.project}/study", tags={"actinium.study_id": str(study)})
    for lease in (first, first, other):  # the last one's attempt is the one that counts
        tags = {"trial_id": str(lease.trial_id), "attempt": "1", "digest": lease.config.digest()}
        scene.client.create_run(experiment_id, tags={f"actinium.{name}": value for name, value in tags.items()})
    with scene.engine.begin() as conn:
        queue.release(conn, now=scene.now, attempts=[first])
    (second,) = scene.lease()
    for lease in (second, other):
        scene.frames(lease)
        scene.complete(lease)
    scene.tell()
    shown = {(run.data.tags["actinium.trial_id"], run.data.tags["actinium.attempt"]): run for run in scene.runs()}
    assert shown.keys() == {(str(second.trial_id), "2"), (str(other.trial_id), "1")}
    assert [run.info.status for run in scene.runs()] == ["FINISHED", "FINISHED"]
    assert len(scene.runs(ViewType.DELETED_ONLY)) == 2


def test_a_run_whose_making_was_not_answered_is_not_made_twice(scene: Scene) -> None:
    class Deaf(Tracking):
        """MLflow dies when it has made the run, and before it says so."""

        deaf = True

        def create_run(self, **given: Any) -> str:
            made = super().create_run(**given)
            if self.deaf:
                self.deaf = False
                self.forget()
                raise Unavailable("no answer")
            return made

    scene.submit()
    (lease,) = scene.lease()
    scene.frames(lease)
    scene.complete(lease)
    sink = Sink(engine=scene.engine, tracking=Deaf(scene.url))
    with pytest.raises(Unavailable, match="no answer"):
        scene.tell(sink)
    scene.tell(sink)
    assert [run.info.status for run in scene.runs()] == ["FINISHED"]


def test_mlflow_away_loses_nothing(scene: Scene) -> None:
    scene.submit(seeds=2)
    for lease in scene.lease(2):
        scene.frames(lease)
        scene.complete(lease)
    away = Sink(engine=scene.engine, tracking=Tracking("http://127.0.0.1:1"))
    for _ in range(3):
        scene.now += timedelta(seconds=1)
        with pytest.raises(Unavailable, match=r"MLflow at http://127\.0\.0\.1:1 is away"):
            away.run_once(now=scene.now)
    assert scene.waiting() == 3
    scene.tell()
    assert [run.info.status for run in scene.runs()] == ["FINISHED", "FINISHED"]
    assert scene.waiting() == 0


def test_a_second_attempt_takes_the_place_of_the_first(scene: Scene) -> None:
    scene.submit()
    (first,) = scene.lease()
    scene.frames(first, [0], values=(9.0, 9.0, 9.0))
    scene.tell()
    with scene.engine.begin() as conn:
        queue.release(conn, now=scene.now, attempts=[first])
    (second,) = scene.lease()
    scene.frames(second)
    scene.complete(second)
    scene.tell()
    (run,) = scene.runs()
    assert run.data.tags["actinium.attempt"] == "2" and run.info.status == "FINISHED"
    assert scene.history(run, "train_loss") == [(step, 1.0) for step in STEPS]
    assert len(scene.runs(ViewType.DELETED_ONLY)) == 1


def test_failed_and_cancelled_trials_end_as_such(scene: Scene) -> None:
    study = scene.submit(seeds=2)
    broken, stopped = scene.lease(2)
    for lease in (broken, stopped):
        scene.frames(lease, [0])
    with scene.engine.begin() as conn:
        conn.execute(text("UPDATE jobs SET trial_failures = 1"))
        queue.fail(conn, now=scene.now, attempts=[broken], failure_class=FailureClass.TRIAL, error="Traceback: no")
        studies.cancel(conn, study, scene.now)
    scene.tell()
    by_trial = {run.data.tags["actinium.trial_id"]: run for run in scene.runs()}
    failed, killed = by_trial[str(broken.trial_id)], by_trial[str(stopped.trial_id)]
    assert (failed.info.status, killed.info.status) == ("FAILED", "KILLED")
    assert failed.data.tags["actinium.error"] == "Traceback: no"
    assert "actinium.outcome" not in failed.data.tags


def test_what_is_not_finite_is_not_told_and_a_diverged_trial_ends_with_its_last_finite_values(scene: Scene) -> None:
    scene.submit()
    (lease,) = scene.lease()
    scene.frames(lease, STEPS[:2])
    scene.frames(lease, STEPS[2:], values=(math.inf, math.nan, 0.75))
    scene.complete(lease, Outcome.DIVERGED)
    scene.tell()
    (run,) = scene.runs()
    assert run.data.tags["actinium.outcome"] == "diverged"
    assert run.data.metrics == pytest.approx(
        {"train_loss": 1.0, "validation_loss": 0.5, "dead_unit_rate/layer_01": 0.75, "test_error": 0.1}
    )
    assert all(math.isfinite(value) for _, value in scene.history(run, "train_loss"))


@pytest.mark.parametrize("live", [True, False])
def test_a_metric_has_one_value_for_one_step_also_where_frame_and_summary_differ(scene: Scene, live: bool) -> None:
    """A diverged trial's last frame is finite and huge, and its summary keeps an earlier value, for the same step; both
    may carry one timestamp, of which MLflow would show the larger value. `live`: the frame was told before the end.
    """
    scene.submit()
    (lease,) = scene.lease()
    scene.frames(lease, STEPS[:2])
    scene.frames(lease, STEPS[2:], values=(1.0, 2947.6, 0.25))
    if live:
        scene.tell()
    scene.complete(lease, Outcome.DIVERGED, validation_loss=0.329)
    scene.tell()
    scene.again()
    scene.tell(Sink(engine=scene.engine, tracking=Tracking(scene.url)))
    (run,) = scene.runs()
    assert run.info.status == "FINISHED" and run.data.metrics["validation_loss"] == 0.329
    for key in run.data.metrics:
        steps = [step for step, _ in scene.history(run, key)]
        assert steps == sorted(set(steps)), f"{key} has two values for one step"
    assert scene.history(run, "validation_loss") == [(0, 0.5), (10, 0.5), (170, 0.329)]
    assert scene.waiting() == 0


def test_a_summary_is_told_once_with_the_last_of_very_many_frames(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.sink.sink.FRAMES_A_TRIAL", 2)
    scene.submit()
    (lease,) = scene.lease()
    scene.frames(lease, range(0, STEPS[-1] + 1, 10))
    scene.complete(lease, validation_loss=0.75)
    scene.tell()
    (run,) = scene.runs()
    steps = list(range(0, STEPS[-1], 10))
    assert scene.history(run, "validation_loss") == [*((step, 0.5) for step in steps), (STEPS[-1], 0.75)]
    assert scene.history(run, "test_error") == [(STEPS[-1], pytest.approx(0.1))]
    assert run.info.status == "FINISHED" and scene.waiting() == 0


@pytest.mark.parametrize("what", ["run", "experiment"])
def test_what_was_removed_in_mlflow_is_made_again(scene: Scene, what: str) -> None:
    scene.submit()
    (lease,) = scene.lease()
    scene.frames(lease, STEPS[:2])
    scene.tell()
    (run,) = scene.runs()
    if what == "run":
        scene.client.delete_run(run.info.run_id)
    else:
        scene.client.delete_experiment(run.info.experiment_id)
    scene.frames(lease, STEPS[2:])
    scene.complete(lease)
    scene.tell(Sink(engine=scene.engine, tracking=Tracking(scene.url)))
    finished = [run for run in scene.runs() if run.info.status == "FINISHED"]
    assert len(finished) == 1
    assert scene.history(finished[0], "train_loss") == [(step, 1.0) for step in STEPS]
    assert scene.waiting() == 0


def test_a_renamed_study_renames_its_experiment(scene: Scene) -> None:
    study = scene.submit()
    scene.tell()
    with scene.engine.begin() as conn:
        studies.patch(conn, study, now=scene.now, name="better name")
    scene.tell()
    assert scene.client.get_experiment_by_name(f"{scene.project}/study") is None
    assert scene.client.get_experiment_by_name(f"{scene.project}/better name") is not None


def test_an_experiment_of_somebody_else_is_left_alone(scene: Scene) -> None:
    scene.client.create_experiment(f"{scene.project}/study")
    study = scene.submit()
    scene.tell()
    other = scene.client.get_experiment_by_name(f"{scene.project}/study ({study})")
    assert other is not None and other.tags["actinium.study_id"] == str(study)


def test_no_param_is_longer_than_mlflow_takes() -> None:
    told = params(TrialConfig())
    assert all(len(value) <= 5000 for value in told.values()) and len(told) <= 100
    assert json.loads(told["probes.dead_units.epsilon"]) == 1e-3


def test_what_a_trial_leaves_stands_beside_its_run(scene: Scene, tmp_path: Path) -> None:
    scene.submit(model={"kind": "cnn"}, probes={"filters": {}})
    (lease,) = scene.lease()
    kernels = np.arange(25, dtype=np.float32).reshape(1, 1, 5, 5)
    with scene.engine.begin() as conn:
        artifacts.write(conn, {lease.trial_id: {"first_filters": kernels}})
    scene.complete(lease)
    scene.tell()
    scene.again()
    scene.tell()
    (run,) = scene.runs()
    assert [file.path for file in scene.client.list_artifacts(run.info.run_id)] == ["first_filters.npy"]
    found = scene.client.download_artifacts(run.info.run_id, "first_filters.npy", str(tmp_path))
    np.testing.assert_array_equal(np.load(found), kernels)
    assert run.info.status == "FINISHED"


def test_a_reused_trial_is_a_run_with_the_numbers_of_the_trial_it_shows(scene: Scene) -> None:
    scene.submit()
    (lease,) = scene.lease()
    scene.frames(lease)
    scene.complete(lease)
    scene.tell()
    scene.submit(name="again", reuse=True)
    scene.submit(name="once more", reuse=True)
    scene.tell()
    (source,) = scene.runs()
    for name in ("again", "once more"):
        found = scene.client.get_experiment_by_name(f"{scene.project}/{name}")
        assert found is not None
        (run,) = scene.client.search_runs([found.experiment_id])
        assert (run.info.status, run.info.start_time) == ("FINISHED", source.info.start_time)
        assert run.data.tags["actinium.reused_from"] == str(lease.trial_id)
        assert (run.data.metrics, run.data.params) == (source.data.metrics, source.data.params)
        assert scene.history(run, "validation_loss") == scene.history(source, "validation_loss")
    assert "actinium.reused_from" not in source.data.tags
    assert scene.waiting() == 0


def mirror_anew(scene: Scene, study: StudyId, *, whole: bool = False) -> None:
    with scene.engine.begin() as conn:
        assert mirror.mirror_anew(conn, study, whole=whole) >= 1
    scene.tell(Sink(engine=scene.engine, tracking=Tracking(scene.url)))


def finished(scene: Scene, *, seeds: int = 1) -> StudyId:
    """A study whose trials have ended and are mirrored."""
    study = scene.submit(seeds=seeds)
    for lease in scene.lease(seeds):
        scene.frames(lease)
        scene.complete(lease)
    scene.tell()
    return study


def shown(run: Run) -> tuple[dict[str, float], dict[str, str], str]:
    return run.data.metrics, run.data.params, run.info.status


@pytest.mark.parametrize("forged", ["a metric", "a metric more", "a tag", "deleted", "nothing"])
def test_what_is_missing_or_forged_is_mirrored_anew_when_somebody_asks(scene: Scene, forged: str) -> None:
    study = finished(scene, seeds=2)
    one, other = scene.runs()
    match forged:
        case "a metric":
            scene.client.log_metric(one.info.run_id, "validation_loss", 0.001, step=9999)
        case "a metric more":
            scene.client.log_metric(one.info.run_id, "beauty", 1.0)
        case "a tag":
            scene.client.set_tag(one.info.run_id, "actinium.trial_id", "123456")
        case "deleted":
            scene.client.delete_run(one.info.run_id)
    mirror_anew(scene, study)
    ours = [run for run in scene.runs() if run.data.tags["actinium.trial_id"] != "123456"]
    assert len(ours) == 2 and {tuple(map(str, shown(run))) for run in ours} <= {
        tuple(map(str, shown(run))) for run in (one, other)
    }
    kept = {run.info.run_id for run in ours} & {one.info.run_id, other.info.run_id}
    assert kept == ({one.info.run_id, other.info.run_id} if forged == "nothing" else {other.info.run_id})
    assert scene.waiting() == 0


def test_all_of_a_study_is_mirrored_anew_when_somebody_asks(scene: Scene) -> None:
    study = finished(scene, seeds=2)
    before = scene.runs()
    mirror_anew(scene, study, whole=True)
    after = scene.runs()
    assert {run.info.run_id for run in before}.isdisjoint({run.info.run_id for run in after})
    assert sorted(map(str, map(shown, before))) == sorted(map(str, map(shown, after)))


def test_an_id_that_now_is_anothers_is_not_trusted(scene: Scene) -> None:
    """As when MLflow's store was dropped and made anew: it gives the same ids again, to others."""
    study = scene.submit()
    (lease,) = scene.lease()
    scene.frames(lease, STEPS[:2])
    scene.tell()
    (run,) = scene.runs()
    scene.client.rename_experiment(run.info.experiment_id, f"{scene.project}/another")
    scene.client.set_experiment_tag(run.info.experiment_id, "actinium.study_id", "99999")
    scene.client.set_tag(run.info.run_id, "actinium.digest", "another's")
    scene.frames(lease, STEPS[2:])
    scene.complete(lease)
    scene.tell(Sink(engine=scene.engine, tracking=Tracking(scene.url)))
    (mine,) = scene.runs()
    assert mine.info.experiment_id != run.info.experiment_id and mine.info.status == "FINISHED"
    assert mine.data.tags["actinium.study_id"] == str(study)
    theirs = scene.client.get_run(run.info.run_id)
    assert theirs.info.status == "RUNNING" and scene.history(theirs, "test_error") == []


def test_what_somebody_deleted_in_mlflow_is_found_and_forgotten_once_it_is_back(scene: Scene) -> None:
    study, inspection = finished(scene, seeds=3), Inspection(engine=scene.engine, tracking=Tracking(scene.url))

    def missing() -> list[tuple[str | None, int]]:
        inspection.run_once(now=scene.now)
        inspection.run_once(now=scene.now)  # the end of the table: it begins anew
        with scene.engine.begin() as conn:
            return [(one.experiment, one.deleted_runs) for one in mirror.missing(conn)]

    assert missing() == []
    one, other, _ = scene.runs()
    scene.client.delete_run(one.info.run_id)
    scene.client.delete_run(other.info.run_id)
    assert missing() == [(None, 2)]
    mirror_anew(scene, study)
    assert missing() == [] and len(scene.runs()) == 3
    scene.client.delete_experiment(one.info.experiment_id)
    assert missing() == [("deleted", 0)]
