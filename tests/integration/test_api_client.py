"""The Python client against the real API: DataFrames out, the error tree back, patience with a restart."""

import json
import math
import threading
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from actinium.client import Client
from actinium.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    StackError,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from actinium.home import ClientFile
from actinium.job import Role
from actinium.report import parse_report
from actinium.study import parse_study

STUDY: dict[str, Any] = {
    "name": "s",
    "seeds": 2,
    "training": {"epochs": 2},
    "factors": {"activation": ["relu", {"name": "elu", "alpha": 0.5}]},
}


def test_a_study_from_a_file_a_mapping_or_a_spec(client: Client, tmp_path: Path) -> None:
    """The three ways give three studies."""
    file = tmp_path / "study.yaml"
    file.write_text("name: from-file\nseeds: 1\ntraining: {learning_rate: 1e-2}\n")
    assert client.submit(file)["name"] == "from-file"
    assert client.study("from-file")["spec"]["training"]["learning_rate"] == 0.01
    assert client.submit(STUDY)["trials"] == 4
    assert client.submit(parse_study({**STUDY, "name": "spec"}))["trials"] == 4
    assert client.submit({**STUDY, "name": "t"}, dry_run=True)["id"] is None
    assert list(client.studies()["name"]) == ["spec", "s", "from-file"]
    assert client.studies(q="file", limit=1)["queued"].tolist() == [1]


def test_results_come_as_data_frames(client: Client, train: Any, tmp_path: Path) -> None:
    """Trials, frames, curves, report, export."""
    client.submit(STUDY)
    train()
    trials = client.trials("s")
    assert list(trials["label"]) == ["relu", "elu(alpha=0.5)"] * 2
    assert list(trials["activation"]) == list(trials["label"])
    assert trials["dead_unit_rate"].tolist() == [0.2] * 4
    frames = client.frames(int(trials["id"][0]))
    assert list(frames.columns) == ["step", "time", "train_loss", "validation_loss", "dead_unit_rate"]
    assert frames["step"].tolist() == [0, 16, 32]
    assert math.isnan(frames["train_loss"][0])
    assert math.isinf(frames["train_loss"][2])
    assert client.curves("s", "dead_unit_rate")["curves"][0]["n"] == [2, 2, 2]
    assert client.report("s")["cells"][1]["succeeded"] == 2
    assert client.read_report("s") == parse_report(json.dumps(client.report("s")))
    assert client.read_report("s", layers=[]).cells[1].succeeded == 2
    for ending, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        path = client.export("s", tmp_path / f"out.{ending}")
        assert len(read(path)) == 4
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".part")] == []


def test_errors_are_those_of_the_tree(client: Client, api_url: str, secrets: dict[Role, str], tmp_path: Path) -> None:
    """Status by status, with paths and ids."""
    made = client.submit(STUDY)["id"]
    with pytest.raises(Conflict) as taken:
        client.submit(STUDY)
    assert taken.value.ids == (made,)
    with pytest.raises(InvalidInput) as bad:
        client.submit({**STUDY, "name": "x", "training": {"learning_rate": -1}})
    assert bad.value.errors[0].path == "training.learning_rate"
    with pytest.raises(NotFound):
        client.study("nothing/../here")
    with pytest.raises(NotFound):
        client.trial(10**15)
    with pytest.raises(InvalidInput, match="cannot be read"):
        client.submit(tmp_path / "none.yaml")
    with pytest.raises(InvalidInput, match="plain data"):
        client.submit({**STUDY, "tags": {"when": pd.Timestamp("2020-01-01")}})
    with pytest.raises(InvalidInput, match="cannot be written"):
        client.export("s", tmp_path / "no" / "out.csv")
    with Client(api_url, secrets[Role.VIEWER]) as viewer, pytest.raises(Forbidden, match="submitter"):
        viewer.submit(STUDY)
    with Client(api_url, "act_wrong") as stranger, pytest.raises(Unauthenticated):
        stranger.studies()


def test_wait_tells_progress_and_returns_at_the_end(client: Client, train: Any) -> None:
    """Training begins with the first news."""
    client.submit(STUDY)
    news: list[dict[str, Any]] = []
    helpers: list[threading.Thread] = []

    def progress(document: dict[str, Any]) -> None:
        if not news:
            helpers.append(threading.Thread(target=train))
            helpers[0].start()
        news.append(document)

    assert client.wait("s", progress)["state"] == "finished"
    helpers[0].join()
    assert news[0]["progress"] == 0.0
    assert news[-1]["progress"] == 1.0


def test_wait_outlives_a_restart(api_url: str, secrets: dict[Role, str], train: Any) -> None:
    """The stream breaks and nobody is there for a while; then the news go on."""
    network = Flaky()
    with Client(api_url, secrets[Role.ADMIN], transport=network, sleep=lambda _: None) as client:
        client.submit(STUDY)
        network.failures = [httpx.ReadError("reset"), *[httpx.ConnectError("refused")] * 20]
        news: list[dict[str, Any]] = []

        def progress(document: dict[str, Any]) -> None:
            if not news:
                train()
            news.append(document)

        assert client.wait("s", progress, sleep=lambda _: None)["state"] == "finished"
        assert len(news) >= 2


class Flaky(httpx.BaseTransport):
    """A network that fails as scripted before each request gets through."""

    def __init__(self, *failures: Exception | int) -> None:
        self.failures = list(failures)
        self.requests: list[httpx.Request] = []
        self.inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Fails, or passes on."""
        self.requests.append(request)
        if not self.failures:
            return self.inner.handle_request(request)
        failure = self.failures.pop(0)
        if isinstance(failure, Exception):
            raise failure
        return httpx.Response(failure, json={"status": failure, "detail": "away", "errors": []}, request=request)

    def close(self) -> None:
        """Closes the connections."""
        self.inner.close()


def test_an_answer_that_is_no_report_is_said_by_its_place() -> None:
    """As where the service is of another version."""
    network = httpx.MockTransport(lambda request: httpx.Response(200, json={"study_id": 1}))
    with Client("http://x", "act_x", transport=network) as client, pytest.raises(Unavailable, match="at 'revision'"):
        client.read_report("s")


def test_a_submission_whose_answer_is_lost_is_sent_again_once(api_url: str, secrets: dict[Role, str]) -> None:
    """The second request carries the same key, so there is one study."""
    pauses: list[float] = []
    network = Flaky(httpx.ConnectError("refused"), httpx.ReadError("reset"), 503)
    with Client(api_url, secrets[Role.SUBMITTER], transport=network, sleep=pauses.append) as client:
        client.submit(STUDY)
        assert len(client.studies()) == 1
    assert len({request.headers["Idempotency-Key"] for request in network.requests[:4]}) == 1
    assert pauses == [0.2, 0.6, 1.8]


def test_what_may_have_happened_is_not_repeated(api_url: str, secrets: dict[Role, str]) -> None:
    """A cancel whose answer is lost is reported, not sent again; one that was never sent is."""
    network = Flaky(httpx.ConnectError("refused"), httpx.ReadError("reset"))
    client = Client(api_url, secrets[Role.ADMIN], transport=network, sleep=lambda _: None)
    with client, pytest.raises(Unavailable, match="does not answer"):
        client.cancel("s")
    assert len(network.requests) == 2


def test_who_is_asked_to_wait_a_little_waits() -> None:
    """As long as it is told, if that is short; what changes something is not sent again, and nothing for ever."""

    def answers(*waits: str) -> httpx.MockTransport:
        left = list(waits)

        def answer(request: httpx.Request) -> httpx.Response:
            if left:
                problem = {"status": 429, "detail": "ask less often"}
                return httpx.Response(429, headers={"Retry-After": left.pop(0)}, json=problem)
            return httpx.Response(200, json={"items": []})

        return httpx.MockTransport(answer)

    for waits, paused in ((("2",), [2.0]), (("1", "3", "5"), [1.0, 3.0, 5.0])):
        pauses: list[float] = []
        with Client("http://x", "act_x", transport=answers(*waits), sleep=pauses.append) as client:
            assert client.tokens() == []
        assert pauses == paused
    for waits, paused in ((("6",), []), (("soon",), []), (("1",) * 9, [1.0] * 3)):
        pauses = []
        with (
            Client("http://x", "act_x", transport=answers(*waits), sleep=pauses.append) as client,
            pytest.raises(TooMany, match="ask less often"),
        ):
            client.tokens()
        assert pauses == paused
    with (
        Client("http://x", "act_x", transport=answers("1"), sleep=lambda _: None) as client,
        pytest.raises(TooMany),
    ):
        client.cancel("s")


def test_a_service_that_stays_away(secrets: dict[Role, str]) -> None:
    """Four attempts, then a sentence with the address."""
    network = Flaky(*[httpx.ConnectError("refused")] * 900)
    with Client("http://127.0.0.1:1", "act_x", transport=network, sleep=lambda _: None) as client:
        with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:1 does not answer"):
            client.studies()
        assert len(network.requests) == 4
        pauses: list[float] = []
        with pytest.raises(Unavailable):
            client.wait("s", sleep=pauses.append)
        assert sum(pauses) >= 60


def test_address_and_token_come_from_arguments_environment_or_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's token goes to the file's address only."""
    for name in ("ACTINIUM_URL", "ACTINIUM_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ACTINIUM_HOME", str(tmp_path))
    with pytest.raises(StackError, match="actinium up"):
        Client()
    path = ClientFile(url="http://127.0.0.1:9/", token="act_file").write(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Client().url == "http://127.0.0.1:9"
    monkeypatch.setenv("ACTINIUM_URL", "http://elsewhere:9")
    with pytest.raises(Unauthenticated, match="ACTINIUM_TOKEN"):
        Client()
    monkeypatch.setenv("ACTINIUM_TOKEN", "act_env")
    assert Client().url == "http://elsewhere:9"
    monkeypatch.delenv("ACTINIUM_URL")
    path.write_text("{")
    with pytest.raises(StackError, match="not a client file"):
        Client()
