"""Files as people have them, over REST and the command line: what is said of them stays with the dataset; and what a
study on them is told when it is submitted.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from actinium.cli import app
from actinium.client import Client
from actinium.datasets.file import read_dataset
from actinium.errors import InvalidInput
from actinium.job import Lease, Role
from services.settings import Settings

Train = Callable[..., list[Lease]]
N = 40
Y = np.arange(N) % 4
HWC = np.random.default_rng(0).integers(0, 255, (N, 6, 5, 3)).astype(np.uint8)
VEC = np.random.default_rng(1).normal(size=(N, 6))
ROWS = [f"{row[0]},{row[1]},{('dog', 'cat')[y % 2]}" for row, y in zip(VEC, Y, strict=True)]
TABLE = "\n".join(["a,b,label", *ROWS])


def npz(**arrays: NDArray[Any]) -> bytes:
    """A file as numpy writes it."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


KERAS = npz(x_train=HWC, y_train=Y[:, None] + 1, x_test=HWC[:8], y_test=Y[:8, None] + 1)


def put(http: httpx.Client, name: str, content: bytes, media: str = "application/octet-stream", **wishes: str) -> Any:
    """POST /v1/datasets."""
    headers = {"Content-Type": media}
    return http.post("/v1/datasets", params={"name": name, **wishes}, content=content, headers=headers)


@pytest.fixture
def api_settings(database_url: str, tmp_path: Path) -> Settings:
    """Small limits; a folder of datasets where none is."""
    return Settings(
        database_url=database_url,
        data=tmp_path,
        max_dataset_bytes=1_000_000,
        max_dataset_array_bytes=1_000_000,
        preflight_networks=0,
        event_seconds=0.02,
    )


def test_what_was_recognized_is_answered_and_stays(submitter: httpx.Client, viewer: httpx.Client) -> None:
    """Layout, shape, classes, counts of each, shift of labels, split; the same when it is listed or added again."""
    answer = put(submitter, "keras", KERAS)
    assert answer.status_code == 201, answer.text
    added = answer.json()
    assert (added["shape"], added["classes"], added["examples"]) == ([3, 6, 5], 4, 48)
    assert (added["official_validation"], added["official_test"], added["label_counts"]) == (0, 8, [12] * 4)
    recognized = added["recognized"]
    assert (recognized["layout"], recognized["stored_type"], recognized["label_shift"]) == ("NHWC", "uint8", 1)
    assert recognized["arrays"] == ["x_train", "y_train", "x_test", "y_test"]
    assert recognized["split"] == {"train": 40, "validation": 0, "test": 8}
    assert recognized["said"] == [
        "inputs: images, channels last (NHWC), 3 channels of 6x5, uint8",
        "labels: 4 classes (integers), from 1 to 4, shifted by -1: class 0 is the label 1; "
        "examples by label 1: 12, 2: 12, 3: 12, 4: 12",
        "split: its own, 40 train, no validation (drawn), 8 test",
    ]
    assert put(submitter, "keras", KERAS).json() == added
    assert viewer.get("/v1/datasets").json()["items"][-1] == added
    assert viewer.get("/v1/datasets").json()["items"][0]["recognized"] is None


def test_what_is_kept_is_in_the_services_own_form(submitter: httpx.Client, engine: Any) -> None:
    """What workers read: channels first, labels from 0, the split; a file in that form is kept as it came."""
    from db import datasets

    for name, content in (("keras", KERAS), ("plain", npz(inputs=VEC, labels=Y))):
        address = put(submitter, name, content).json()["sha256"]
        with engine.begin() as connection:
            kept = datasets.content(connection, address)
        assert kept is not None
        arrays = read_dataset(kept, most_bytes=10**6)
        assert arrays.sha256() == address and (kept == content) is (name == "plain")
    assert arrays.inputs.dtype == np.float64


def test_what_cannot_be_told_is_asked_and_the_option_answers(submitter: httpx.Client) -> None:
    unclear = npz(inputs=HWC[:, :3], labels=Y)
    refused = put(submitter, "unclear", unclear)
    assert refused.status_code == 422
    (fault,) = refused.json()["errors"]
    assert fault["path"] == "inputs" and "--layout NCHW (3 channels of 5x3), --layout NHWC" in fault["message"]
    assert put(submitter, "unclear", unclear, layout="NHWC").json()["shape"] == [3, 3, 5]
    assert put(submitter, "first", unclear, layout="NCHW").json()["shape"] == [3, 5, 3]
    assert put(submitter, "a", unclear, layout="WHC").status_code == 422
    numbers = npz(x=VEC, y=np.arange(N))
    assert "--objective classification or --objective regression" in put(submitter, "numbers", numbers).text
    assert put(submitter, "numbers", numbers, objective="regression").json()["objective"] == "regression"
    assert "an .npz has arrays" in put(submitter, "a", numbers, label="y").text


def test_tables(submitter: httpx.Client) -> None:
    """CSV by any name that it is sent under; the column can be said."""
    answer = put(submitter, "table", TABLE.encode(), media="text/csv; charset=utf-8")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["shape"], answer.json()["recognized"]["label_names"]) == ([2, 1, 1], ["cat", "dog"])
    assert answer.json()["recognized"]["said"][0] == "columns: 'label' is learned from 2 others"
    numbers = "\n".join(line.rpartition(",")[0] for line in TABLE.splitlines()).encode()
    assert put(submitter, "b", numbers, label="a").json()["objective"] == "regression"
    missing = put(submitter, "c", TABLE.encode(), label="z").json()["errors"][0]
    assert missing == {"path": "label", "message": "there is no column 'z'; the columns are a, b, label"}


FOREIGN = [
    (b"\x93NUMPY\x01\x00" + bytes(100), "an .npy file holds one array"),
    (b"\x80\x04\x95" + bytes(100), "a pickle is never opened"),
    (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5 files are not read"),
    (b"MATLAB 5.0 MAT-file" + bytes(100), "MATLAB's files are not read"),
]


@pytest.mark.parametrize(("content", "words"), FOREIGN)
def test_files_of_other_kinds_are_named(submitter: httpx.Client, content: bytes, words: str) -> None:
    answer = put(submitter, "a", content)
    assert answer.status_code == 422 and words in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("name", ["mnist", "cifar-10", "fashion-mnist"])
def test_a_name_that_means_a_dataset_of_the_house_is_taken(submitter: httpx.Client, name: str) -> None:
    answer = put(submitter, name, npz(inputs=VEC, labels=Y))
    assert answer.status_code == 409 and "comes with the house" in answer.json()["detail"]


def test_a_trial_uses_the_split_that_came_with_the_file(submitter: httpx.Client, train: Train) -> None:
    put(submitter, "keras", KERAS)
    study = {"name": "s", "seeds": 1, "task": {"dataset": "keras"}, "training": {"batch_size": 8, "epochs": 1}}
    made = submitter.post("/v1/studies", json=study)
    assert made.status_code == 201, made.text
    (lease,) = train()
    assert lease.config.task.counts() == (32, 8, 8)
    spec = submitter.get("/v1/studies/s").json()["spec"]
    assert spec["task"]["stored"]["official_test"] == 8 and "official_validation" not in spec["task"]["stored"]
    assert submitter.post("/v1/studies", json={**spec, "name": "again"}).status_code == 201
    task = {"dataset": "keras", "test_fraction": 0.5}
    unused = submitter.post("/v1/studies?dry_run=true", json={**study, "task": task})
    assert unused.json()["notices"] == ["task.test_fraction: 0.5 changes nothing: keras has a test part of its own"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_equal_levels_are_said_at_submit(submitter: httpx.Client, dry_run: bool) -> None:
    for name, inputs in (("plain", VEC), ("fortran", np.asfortranarray(VEC))):
        put(submitter, name, npz(inputs=inputs, labels=Y))
    study = {
        "name": "s",
        "seeds": 2,
        "training": {"batch_size": 8, "epochs": 1},
        "factors": {"task.dataset": ["plain", "fortran"], "training.optimizer": ["adam", "adamw"]},
    }
    answer = submitter.post("/v1/studies", params={"dry_run": dry_run}, json=study).json()
    assert (answer["cells"], answer["trials"]) == (2, 4)
    assert answer["equal_levels"] == [
        {
            "levels": {"task.dataset": "fortran"},
            "same_as": {"task.dataset": "plain"},
            "cells": 2,
            "merged": True,
            "reason": "the same numbers under two names",
        },
        {
            "levels": {"training.optimizer": "adamw"},
            "same_as": {"training.optimizer": "adam"},
            "cells": 1,
            "merged": False,
            "reason": "without weight_decay adamw is adam; torch's own default for AdamW is 0.01",
        },
    ]


@pytest.mark.parametrize("dry_run", [True, False])
def test_missing_files_are_said_at_submit(submitter: httpx.Client, dry_run: bool) -> None:
    """Of every dataset that some trial needs, also as the source of a transfer; digits need none."""
    study = {
        "name": "s",
        "seeds": 1,
        "factors": {"task.dataset": ["digits", "FashionMNIST"]},
        "include": [{"task.dataset": "fashion_mnist", "initialization": {"name": "transfer", "source": "mnist"}}],
    }
    answer = submitter.post("/v1/studies", params={"dry_run": dry_run}, json=study)
    assert answer.status_code in (200, 201), answer.text
    notices = answer.json()["notices"]
    assert [notice.split()[3] for notice in notices[:2]] == ["fashion_mnist", "mnist"]
    assert notices[2:] == [
        "1 seed cannot answer the contrasts of dead_unit_rate with the reference: in one test no p value can be below "
        "1; 6 seeds can"
    ]
    assert "its trials will fail until `actinium data fetch mnist` has brought them" in notices[1]
    digits = submitter.post("/v1/studies?dry_run=true", json={"name": "d", "seeds": 1})
    assert digits.json()["notices"] == [] == digits.json()["equal_levels"]


def test_the_command_line_says_it(
    client: Client, api_url: str, secrets: dict[Role, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTINIUM_URL", api_url)
    monkeypatch.setenv("ACTINIUM_TOKEN", secrets[Role.ADMIN])

    def actinium(*words: str) -> Any:
        return CliRunner().invoke(app, list(words))

    file = tmp_path / "MyData.npz"
    file.write_bytes(npz(inputs=HWC[:, :3], labels=Y + 1))
    with pytest.raises(InvalidInput, match="such as mydata"):
        client.add_dataset(file)
    refused = actinium("data", "add", str(file), "--name", "Mine")
    assert refused.exit_code != 0 and "such as mine" in str(refused.exception)
    asked = actinium("data", "add", str(file), "--name", "mine")
    assert asked.exit_code != 0 and "--layout NHWC" in str(asked.exception)
    done = actinium("data", "add", str(file), "--name", "mine", "--layout", "nhwc")
    assert done.exit_code == 0, done.exception
    assert "mine: 40 examples of 3x3x5, 4 classes" in done.stdout
    assert "images, channels last (NHWC), 3 channels of 3x5, uint8" in done.stdout
    assert "from 1 to 4, shifted by -1" in done.stdout
    table = tmp_path / "table.csv"
    table.write_text(TABLE)
    answer = json.loads(actinium("data", "add", str(table), "--label", "label", "--json").stdout)
    assert answer["name"] == "table" and answer["classes"] == 2
    study = tmp_path / "adamw.yaml"
    study.write_text("{name: a, seeds: 1, task: {dataset: MNIST}, factors: {training.optimizer: [adam, adamw]}}")
    told = actinium("submit", str(study), "--dry-run").stdout
    assert "equal: optimizer=adamw = optimizer=adam: without weight_decay adamw is adam" in told
    assert "note: the files of mnist are not where the service looks for them" in told
