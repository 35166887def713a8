"""The requests to MLflow, made with its own client: experiments, runs, batches."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.entities import Experiment, Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from actinium.errors import ActiniumError, Unavailable
from services.sink.wording import ATTEMPT_TAG, DIGEST_TAG, STUDY_TAG, TRIAL_TAG, Point

log = logging.getLogger(__name__)

LOOK_AGAIN = timedelta(seconds=30)
"""How long a list of an experiment's running runs is used before it is fetched again: as long as a claim of news."""
RUNS_A_PAGE = 1000
IDENTITY = (TRIAL_TAG, ATTEMPT_TAG, DIGEST_TAG)
"""The tags by which a run says whose it is; a digest tells apart trials of databases that began anew."""
REFUSALS = {
    "BAD_REQUEST",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "PERMISSION_DENIED",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_CONFLICT",
    "RESOURCE_DOES_NOT_EXIST",
}
"""Error codes that stay the same when a request is repeated; any other code means that MLflow is away."""


class Refused(ActiniumError):
    """MLflow understood the request and does not do it."""


class Gone(Refused):
    """The run or experiment is not there, or was deleted."""


class Tracking:
    """The requests that the sink makes. All raise Unavailable while MLflow is away, Refused when it says no."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = MlflowClient(url)
        self._open_runs: dict[str, tuple[datetime, dict[str, list[Run]]]] = {}

    # ---- experiments ------------------------------------------------------------------------------------------

    def experiment(self, *, name: str, study_id: int, experiment_id: str | None) -> str:
        """The study's experiment, made, restored or renamed so that it is there under its name; its id.

        An experiment of that name that is another study's stays what it is, and this one gets the study's id added.
        """
        try:
            found = self._known(experiment_id, study_id) or self._named(name, study_id)
            other = f"{name} ({study_id})"
            if found is None and self._by_name(name) is not None:
                name, found = other, self._named(other, study_id)
            if found is None:
                return str(self._client.create_experiment(name, tags={STUDY_TAG: str(study_id)}))
            if found.lifecycle_stage == "deleted":
                self._client.restore_experiment(found.experiment_id)
            if found.name not in (name, other):
                self._client.rename_experiment(found.experiment_id, name)
            return str(found.experiment_id)
        except MlflowException as error:
            raise self._said(error) from error

    def experiment_state(self, experiment_id: str, *, study_id: int) -> str | None:
        """None where the study's experiment is there; else what became of it: `deleted`, `missing`."""
        try:
            found = self._known(experiment_id, study_id)
        except MlflowException as error:
            raise self._said(error) from error
        if found is None:
            return "missing"
        return "deleted" if found.lifecycle_stage == "deleted" else None

    def remove_experiment(self, experiment_id: str, *, study_id: int) -> None:
        """Delete a study's experiment with its runs. One that is not there, or not this study's, is left as it is."""
        try:
            found = self._known(experiment_id, study_id)
            if found is not None and found.lifecycle_stage != "deleted":
                self._client.delete_experiment(experiment_id)
        except MlflowException as error:
            raise self._said(error) from error

    def _known(self, experiment_id: str | None, study_id: int) -> Experiment | None:
        """The experiment of this id, if it is the study's: a store that was made anew gives the same ids again."""
        if experiment_id is None:
            return None
        try:
            found = self._client.get_experiment(experiment_id)
            return found if found.tags.get(STUDY_TAG) == str(study_id) else None
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _by_name(self, name: str) -> Experiment | None:
        return self._client.get_experiment_by_name(name)

    def _named(self, name: str, study_id: int) -> Experiment | None:
        """The experiment of that name, if it is this study's."""
        found = self._by_name(name)
        return found if found is not None and found.tags.get(STUDY_TAG) == str(study_id) else None

    # ---- runs -------------------------------------------------------------------------------------------------

    def unfinished_runs(self, *, experiment_id: str, tags: Mapping[str, str], now: datetime) -> dict[int, list[str]]:
        """Runs that were made for this trial by a sink that died before it could note their ids, by attempt.

        Such a run is RUNNING. All of an experiment's are fetched at once, and again when the list has grown old.
        """
        try:
            seen = self._open_runs.get(experiment_id)
            if seen is None or now - seen[0] >= LOOK_AGAIN:
                by_trial: dict[str, list[Run]] = {}
                for run in self._running(experiment_id):
                    by_trial.setdefault(_identity(run.data.tags), []).append(run)
                seen = self._open_runs[experiment_id] = (now, by_trial)
        except MlflowException as error:
            raise self._said(error) from error
        found: dict[int, list[str]] = {}
        for run in seen[1].get(_identity(tags), []):
            found.setdefault(int(run.data.tags.get(ATTEMPT_TAG, 0)), []).append(run.info.run_id)
        return found

    def forget(self) -> None:
        """Forget the lists of running runs, so that they are fetched again."""
        self._open_runs.clear()

    def _running(self, experiment_id: str) -> list[Run]:
        return self._found(experiment_id, ViewType.ACTIVE_ONLY, filter_string="attributes.status = 'RUNNING'")

    def _found(self, experiment_id: str, view: int, *, filter_string: str = "") -> list[Run]:
        runs, token = list[Run](), None
        while True:
            page = self._client.search_runs(
                [experiment_id],
                filter_string=filter_string,
                run_view_type=view,
                max_results=RUNS_A_PAGE,
                page_token=token,
            )
            runs += page
            token = page.token
            if not token:
                return runs

    def run(self, run_id: str, *, tags: Mapping[str, str]) -> Run:
        """The run of this id. Gone where there is none, or one that is deleted or does not have these tags."""
        try:
            found = self._client.get_run(run_id)
        except MlflowException as error:
            raise self._said(error) from error
        if found.info.lifecycle_stage == "deleted":
            raise Gone(f"run {run_id} was deleted")
        if any(found.data.tags.get(name) != tags[name] for name in IDENTITY):
            raise Gone(f"run {run_id} does not say that it is this trial's")
        return found

    def deleted_runs(self, experiment_id: str) -> list[str]:
        """The ids of an experiment's deleted runs, those of attempts that were superseded among them."""
        try:
            return [run.info.run_id for run in self._found(experiment_id, ViewType.DELETED_ONLY)]
        except MlflowException as error:
            raise self._said(error) from error

    def create_run(self, *, experiment_id: str, name: str, started: int, tags: Mapping[str, str]) -> str:
        """A new run that began at `started` milliseconds; its id."""
        try:
            run = self._client.create_run(experiment_id, start_time=started, tags=dict(tags), run_name=name)
        except MlflowException as error:
            raise self._said(error) from error
        return str(run.info.run_id)

    def tell(
        self,
        run_id: str,
        *,
        points: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add metrics, params and tags to a run. What the run has already is not doubled."""
        try:
            self._client.log_batch(
                run_id,
                metrics=[Metric(point.key, point.value, point.timestamp, point.step) for point in points],
                params=[Param(key, value) for key, value in (params or {}).items()],
                tags=[RunTag(key, value) for key, value in (tags or {}).items()],
            )
        except MlflowException as error:
            raise self._said(error) from error

    def keep(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Upload files as artifacts of a run; repeating it is harmless. Only where MLflow's server stores artifacts
        itself: for another store this service has no credentials.
        """
        try:
            where = self._client.get_run(run_id).info.artifact_uri
            if not str(where).startswith("mlflow-artifacts:"):
                return
            with TemporaryDirectory() as folder:
                for name, content in files.items():
                    path = Path(folder, name)
                    path.write_bytes(content)
                    self._client.log_artifact(run_id, str(path))
        except MlflowException as error:
            raise self._said(error) from error
        except OSError as error:  # an upload is no call of the tracking API, and breaks in its own way
            raise Unavailable(f"MLflow at {self._url} takes no artifacts: {str(error)[:300]}") from error

    def close(self, run_id: str, *, status: str, ended: int) -> None:
        """Set a run's final status and end, in milliseconds since 1970."""
        try:
            self._client.set_terminated(run_id, status, end_time=ended)
        except MlflowException as error:
            raise self._said(error) from error

    def delete(self, run_id: str) -> None:
        """Delete a run; one that is not there counts as deleted."""
        try:
            self._client.delete_run(run_id)
        except MlflowException as error:
            said = self._said(error)
            if not isinstance(said, Refused):
                raise said from error
            log.info("run %s was not there to be deleted: %s", run_id, said)

    def _said(self, error: MlflowException) -> ActiniumError:
        message = str(error)
        if error.error_code not in REFUSALS:
            self.forget()  # what was asked may have been done, and only the answer be lost
            return Unavailable(f"MLflow at {self._url} is away: {message[:300]}")
        gone = error.error_code == "RESOURCE_DOES_NOT_EXIST" or "must be in the 'active' state" in message
        return (Gone if gone else Refused)(message[:1000])


def _identity(tags: Mapping[str, str]) -> str:
    """Trial id and digest of a run: ids alone come again when the service's database was made anew."""
    return "/".join(tags.get(name, "") for name in (TRIAL_TAG, DIGEST_TAG))
