"""Datasets of people's own over REST, the Python client and the command line; and studies that name them."""

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from actinium.cli import app
from actinium.client import Client
from actinium.datasets.table import DATASETS
from actinium.errors import Conflict, InvalidInput
from actinium.job import Lease, Role
from services.settings import Settings

Train = Callable[..., list[Lease]]
LABELS = np.arange(40) % 4
INPUTS = np.random.default_rng(0).normal(size=(40, 1, 6, 6)).astype(np.float32)
OCTETS = {"Content-Type": "application/octet-stream"}


def npz(inputs: NDArray[Any] = INPUTS, labels: NDArray[Any] = LABELS) -> bytes:
    """A file as numpy writes it."""
    file = io.BytesIO()
    np.savez(file, inputs=inputs, labels=labels)
    return file.getvalue()


def put(http: httpx.Client, name: str, content: bytes) -> httpx.Response:
    """POST /v1/datasets."""
    return http.post("/v1/datasets", params={"name": name}, content=content, headers=OCTETS)


@pytest.fixture
def api_settings(database_url: str) -> Settings:
    """Small limits."""
    return Settings(
        database_url=database_url, max_dataset_bytes=100_000, max_dataset_array_bytes=200_000, event_seconds=0.02
    )


@pytest.fixture
def rows(engine: Engine) -> Callable[[str], list[Any]]:
    """What a query gives."""

    def ask(query: str) -> list[Any]:
        with engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    return ask


def test_a_dataset_is_added_listed_and_kept_once(
    submitter: httpx.Client, viewer: httpx.Client, rows: Callable[[str], list[Any]]
) -> None:
    """201 the first time, 200 again; another name for the same numbers costs no second file."""
    first = put(submitter, "mine", npz())
    assert first.status_code == 201, first.text
    added = first.json()
    expected = {"name": "mine", "shape": [1, 6, 6], "classes": 4, "examples": 40, "owner": "sam"}
    assert expected.items() <= added.items()
    assert added["label_counts"] == [10] * 4 and added["file_bytes"] == len(npz())
    again = put(submitter, "mine", npz(INPUTS.astype(np.float64)))
    assert (again.status_code, again.json()) == (200, added)
    assert put(submitter, "too", npz()).status_code == 201
    assert rows("select count(*), count(distinct sha256) from datasets") == [(2, 1)]
    assert rows("select sum(length(content)) from dataset_pieces") == [(len(npz()),)]
    listed = viewer.get("/v1/datasets").json()["items"]
    assert [item["name"] for item in listed] == [*DATASETS, "mine", "too"]
    assert listed[-2] == added
    assert listed[0]["sha256"] is None and listed[0]["examples"] == 1797


def test_a_name_means_one_content_for_ever(submitter: httpx.Client) -> None:
    """409 for other numbers under a taken name, and for the names of the house."""
    put(submitter, "mine", npz())
    taken = put(submitter, "mine", npz(INPUTS + 1))
    assert taken.status_code == 409 and "another dataset already" in taken.json()["detail"]
    assert put(submitter, "digits", npz()).status_code == 409


def test_the_same_dataset_from_everybody_at_once(submitter: httpx.Client, rows: Callable[[str], list[Any]]) -> None:
    """One of them makes it, nobody fails, and nothing is there twice."""
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: put(submitter, "mine", npz()).status_code, range(6)))
    assert sorted(answers) == [200] * 5 + [201]
    assert rows("select sum(length(content)) from dataset_pieces") == [(len(npz()),)]


REFUSED: list[tuple[str, bytes, dict[str, str], int, str]] = [
    ("mine", b"", OCTETS, 422, "the body is empty"),
    ("mine", b"hello", OCTETS, 422, "not an .npz file (a zip archive), a CSV or a Parquet file"),
    ("mine", npz(labels=LABELS[:-1]), OCTETS, 422, "one label for each of the 40 inputs"),
    ("mine", npz(INPUTS * np.nan), OCTETS, 422, "NaN"),
    ("mine", npz(np.array([object()] * 40)), OCTETS, 422, "no pickle is opened"),
    ("mine", npz(np.zeros((40, 2000), np.uint8)), OCTETS, 413, "more than the 200000 that are accepted"),
    ("mine", bytes(100_001), OCTETS, 413, "numpy.savez_compressed"),
    ("mine", npz(), {"Content-Type": "application/json"}, 415, "application/octet-stream"),
    ("Mine", npz(), OCTETS, 422, "a letter or digit first, such as mine"),
    ("../x", npz(), OCTETS, 422, "such as x"),
    ("数据", npz(), OCTETS, 422, "such as my-data"),
    ("x" * 81, npz(), OCTETS, 422, "at most 80"),
    ("", npz(), OCTETS, 422, "such as my-data"),
]


def test_what_is_refused(submitter: httpx.Client, rows: Callable[[str], list[Any]], subtests: pytest.Subtests) -> None:
    """The right status and the mend; nothing is written."""
    for name, content, headers, status, words in REFUSED:
        with subtests.test(words=words, name=name):
            answer = submitter.post("/v1/datasets", params={"name": name}, content=content, headers=headers)
            assert answer.status_code == status, answer.text
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert words in answer.text
    nameless = submitter.post("/v1/datasets", content=npz(), headers=OCTETS)
    assert nameless.status_code == 422 and nameless.json()["errors"][0]["path"] == "query.name"
    assert rows("select count(*) from dataset_contents") == [(0,)]


def test_an_endless_body_is_cut_off(submitter: httpx.Client) -> None:
    """413 as soon as the limit is passed."""

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield bytes(1000)

    with suppress(httpx.WriteError):  # the service may have answered and closed before all was sent
        answer = submitter.post("/v1/datasets", params={"name": "a"}, content=endless(), headers=OCTETS)
        assert answer.status_code == 413


def test_a_study_names_it_and_keeps_its_address(submitter: httpx.Client, train: Train) -> None:
    """As the task's dataset and as a factor; what a trial gets, and what is stored, holds the SHA-256."""
    address = put(submitter, "mine", npz()).json()["sha256"]
    put(submitter, "yours", npz(INPUTS[:, :, :4, :4]))
    study = {"name": "s", "seeds": 1, "training": {"batch_size": 8, "epochs": 1}}
    study["factors"] = {"task.dataset": ["digits", "mine", "yours"]}
    for name, base in (("a", "mine"), ("b", "digits")):
        made = submitter.post("/v1/studies", json={**study, "name": name, "task": {"dataset": base}})
        assert made.status_code == 201, made.text
        leased = {lease.config.task.dataset: lease.config.task for lease in train()}
        assert leased["digits"].stored is None
        assert leased["mine"].stored is not None and leased["mine"].stored.sha256 == address
        assert leased["yours"].definition().shape == (1, 4, 4)
    spec = submitter.get("/v1/studies/a").json()["spec"]
    assert spec["task"]["stored"]["sha256"] == address
    assert submitter.post("/v1/studies", json={**spec, "name": "again"}).status_code == 201
    trials = submitter.get("/v1/studies/a/trials").json()["items"]
    assert [trial["cell"] for trial in trials] == [{"task.dataset": name} for name in ("digits", "mine", "yours")]
    assert submitter.get("/v1/studies/a/report").status_code == 200
    assert submitter.patch("/v1/studies/a", json={"notes": "kept"}).status_code == 200


def test_numbers_to_predict(submitter: httpx.Client, train: Train) -> None:
    """A file with targets is a regression, and its study's trials know it."""
    file = io.BytesIO()
    np.savez(file, inputs=INPUTS, targets=INPUTS.mean((1, 2, 3)))
    added = put(submitter, "means", file.getvalue())
    assert added.status_code == 201, added.text
    assert (added.json()["classes"], added.json()["objective"], added.json()["label_counts"]) == (0, "regression", [])
    study = {"name": "s", "seeds": 1, "task": {"dataset": "means"}, "training": {"batch_size": 8, "epochs": 1}}
    assert submitter.post("/v1/studies", json=study).status_code == 201
    (lease,) = train()
    assert (lease.config.objective(), lease.config.outputs()) == ("regression", 1)
    assert submitter.get("/v1/studies/s/report").json()["words"]["error"] == "unexplained variance"


UNKNOWN: list[tuple[dict[str, Any], str, str]] = [
    ({"task": {"dataset": "mien"}}, "task.dataset", "no dataset is called 'mien'"),
    ({"factors": {"task.dataset": ["digits", "mien"]}}, "factors.task.dataset", "no dataset is called 'mien'"),
    ({"task": {"dataset": "mine", "stored": {"sha256": "0" * 64}}}, "task.stored", "leave it out"),
    ({"task": {"dataset": "digits", "stored": {"sha256": "0" * 64}}}, "task.stored", "leave it out"),
    ({"factors": {"task.stored": [None]}}, "factors.task.stored", "no such path"),
    ({"factors": {"task.stored.sha256": ["0" * 64]}}, "factors.task.stored.sha256", "no such path"),
    ({"task": {"dataset": "mine"}}, "training.batch_size", "64 is more than the 24 training examples"),
    ({"task": {"dataset": ["mine"]}}, "task.dataset", "not accepted"),
]


def test_what_a_study_may_not_say(submitter: httpx.Client, subtests: pytest.Subtests) -> None:
    """Unknown names, and contents that the service has not written itself."""
    put(submitter, "mine", npz())
    for changes, path, words in UNKNOWN:
        with subtests.test(path=path):
            answer = submitter.post("/v1/studies", json={"name": "s", "seeds": 1, **changes})
            assert answer.status_code == 422, answer.text
            assert words in {error["path"]: error["message"] for error in answer.json()["errors"]}[path]


def test_the_client_and_the_command_line(
    client: Client, api_url: str, secrets: dict[Role, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file goes in by its own name or another; errors keep their kinds."""
    file = tmp_path / "waves.npz"
    file.write_bytes(npz())
    assert client.add_dataset(file)["name"] == "waves"
    with pytest.raises(Conflict):
        client.add_dataset(file, "digits")
    with pytest.raises(InvalidInput, match=r"name an \.npz, CSV or Parquet file"):
        client.add_dataset(tmp_path / "nothing.npz")
    monkeypatch.setenv("ACTINIUM_URL", api_url)
    monkeypatch.setenv("ACTINIUM_TOKEN", secrets[Role.ADMIN])
    said = CliRunner().invoke(app, ["data", "add", str(file), "--name", "sea"])
    assert said.exit_code == 0 and "sea: 40 examples of 1x6x6, 4 classes" in said.stdout
    as_json = CliRunner().invoke(app, ["data", "add", str(file), "--name", "sea", "--json"])
    assert json.loads(as_json.stdout) == next(item for item in client.datasets() if item["name"] == "sea")
    listed = CliRunner().invoke(app, ["data", "ls", "--added", "--json"])
    assert [item["name"] for item in json.loads(listed.stdout)] == ["sea", "waves"]
    assert "waves" in CliRunner().invoke(app, ["data", "ls", "--added"]).stdout
