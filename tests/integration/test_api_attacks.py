"""Requests and files that are meant to hurt the service or who uses it, over REST and on the command line."""

import gzip
import io
import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from actinium import cli
from actinium.client import Client
from actinium.errors import InvalidInput, NotFound, TooLarge
from actinium.job import Role
from services.settings import Settings

Counts = Callable[[], dict[str, int]]
OCTETS = {"Content-Type": "application/octet-stream"}
JSON = {"Content-Type": "application/json"}
PROBLEM = "application/problem+json"


@pytest.fixture
def api_settings(database_url: str) -> Settings:
    """Bodies up to two megabytes, so that what is in them has to be refused for what it is."""
    return Settings(
        database_url=database_url,
        max_body_bytes=2_000_000,
        max_dataset_bytes=1_000_000,
        max_dataset_array_bytes=1_000_000,
    )


def refused(answer: httpx.Response, status: int) -> str:
    """The problem's text, short however much was sent."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["Content-Type"] == PROBLEM
    assert len(answer.text) < 30_000
    return answer.text


class Trap:
    """An object whose unpickling would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def zipped(members: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def npy(array: Any, *, pickled: bool = False) -> bytes:
    """An array as numpy writes it."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=pickled)
    return file.getvalue()


LABELS = npy(np.arange(40) % 2)
INPUTS = npy(np.zeros((40, 4), np.float32))


def files(mark: Path) -> dict[str, tuple[bytes, int]]:
    """Files that hurt whoever trusts them, with the status that each gets."""
    pickled = npy(np.array([Trap(mark)], dtype=object), pickled=True)
    bomb = npy(np.zeros((40, 1_000_000), np.uint8))  # forty megabytes in forty kilobytes
    lying = bytearray(zipped({"inputs.npy": bomb, "labels.npy": LABELS}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = lying.find(signature) + offset
        lying[at : at + 4] = len(INPUTS).to_bytes(4, "little")
    return {
        "bomb": (zipped({"inputs.npy": bomb, "labels.npy": LABELS}), 413),
        "bomb that lies": (bytes(lying), 422),
        "bomb in a bomb": (zipped({"inputs.npy": zipped({"inputs.npy": bomb}), "labels.npy": LABELS}), 422),
        "pickled inputs": (zipped({"inputs.npy": pickled, "labels.npy": LABELS}), 422),
        "pickled labels": (zipped({"inputs.npy": INPUTS, "labels.npy": pickled}), 422),
        "pickle": (zipped({"inputs.npy": pickle.dumps(Trap(mark)), "labels.npy": LABELS}), 422),
        "bare pickle": (pickle.dumps(Trap(mark)), 422),
        "path up": (zipped({"../inputs.npy": INPUTS, "labels.npy": LABELS}), 422),
        "absolute path": (zipped({"/tmp/inputs.npy": INPUTS, "labels.npy": LABELS}), 422),
        "one too many": (zipped({"inputs.npy": INPUTS, "labels.npy": LABELS, "x.npy": LABELS}), 422),
        "many": (zipped({f"{n}.npy": b"" for n in range(3000)}, compression=zipfile.ZIP_STORED), 422),
        "NaN": (zipped({"inputs.npy": npy(np.full((40, 4), np.nan)), "labels.npy": LABELS}), 422),
        "infinity": (zipped({"inputs.npy": npy(np.full((40, 4), 1e300)), "labels.npy": LABELS}), 422),
        "code in a header": (zipped({"inputs.npy": INPUTS.replace(b"(40, 4)", b"exit(3)"), "labels.npy": LABELS}), 422),
    }


def test_files_that_hurt(submitter: httpx.Client, client: Client, tmp_path: Path, subtests: pytest.Subtests) -> None:
    """Refused, over REST and by the client, which sees it before it sends; no pickle is opened and nothing is kept."""
    mark = tmp_path / "mark"
    for name, (content, status) in files(mark).items():
        with subtests.test(file=name):
            refused(submitter.post("/v1/datasets", params={"name": "x"}, content=content, headers=OCTETS), status)
            file = tmp_path / "x.npz"
            file.write_bytes(content)
            with pytest.raises((InvalidInput, TooLarge)):
                client.add_dataset(file, name="x")
            assert not mark.exists()
    assert submitter.get("/v1/datasets").json()["items"][-1]["sha256"] is None


PATHS = (
    "/v1/studies/..%2f..%2fetc%2fpasswd",
    "/v1/studies/%2e%2e/%2e%2e/etc/passwd",
    "/v1/studies/....//....//etc/passwd",
    "/v1/trials/1/artifacts/..%2f..%2fetc%2fpasswd",
    "/v1/trials/1/artifacts/%2e%2e",
    "/v1/trials/..%00",
    "/docs/..%2f..%2fetc/passwd",
    "/static/../../etc/passwd",
    "//etc/passwd",
    "/%00",
)


def test_paths_lead_nowhere(viewer: httpx.Client, api_url: str, subtests: pytest.Subtests) -> None:
    """404 or 422; nothing of this machine is read."""
    for path in PATHS:
        with subtests.test(path=path):
            raw = httpx.URL(api_url).copy_with(raw_path=path.encode())
            answer = viewer.request("GET", raw)
            assert answer.status_code in (404, 422)
            assert answer.headers["Content-Type"] == PROBLEM
            assert "root:" not in answer.text


NAMES = (
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "digits/../x",
    "a\0b",
    "x" * 1_000_000,
    "mine\n",
    "file:///etc/passwd",
)


def test_names_are_no_paths(submitter: httpx.Client, subtests: pytest.Subtests) -> None:
    """Of studies, projects, datasets and levels: refused at their place, however long."""
    for name in NAMES:
        for document, place in (
            ({"name": name}, "name"),
            ({"name": "s", "project": name}, "project"),
            ({"name": "s", "task": {"dataset": name}}, "task.dataset"),
            ({"name": "s", "activation": name}, "activation"),
            ({"name": "s", "factors": {"task.dataset": ["digits", name]}}, "factors.task.dataset"),
        ):
            with subtests.test(name=name[:20], place=place):
                text = refused(submitter.post("/v1/studies", json=document), 422)
                assert [fault["path"].removesuffix(".1") for fault in json.loads(text)["errors"]] == [place]
    for field in ("description", "notes", "tags"):
        long = {"k": "x" * 1_000_000} if field == "tags" else "x" * 1_000_000
        submitter.post("/v1/studies", json={"name": "s", "seeds": 1})
        refused(submitter.patch("/v1/studies/s", json={field: long}), 422)


BODIES: list[tuple[bytes, str]] = [
    (
        b'{"name": "s", "factors": {"training.l1": ' + json.dumps(list(range(1000))).encode() + b'}, "seeds": 10000}',
        "trials; at most",
    ),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper"),
    (b"[" * 1_000_000, "nested deeper"),
    (b'{"name": "s", "priority": -NaN}', "Expecting value"),
    (b'{"name": "s", "target": {"value": Infinity}}', "Infinity is not JSON"),
    (b'{"name": "s", "training": {"learning_rate": 1e400}}', "finite"),
    (b'{"name": "s", "description": "\\u0000"}', "null byte"),
    (b'{"name": "s", "description": "\\ud83d"}', "surrogate"),
    (b'{"name": "s\x00"}', "control character"),
    (b'{"__proto__": {"admin": true}, "name": "s"}', "__proto__"),
    (b'{"name": "s", "owner": "ada"}', "owner"),
    (b"\xef\xbb\xbf" + b'{"name": "s"}', "BOM"),
    ('{"name": "s"}'.encode("utf-16"), "utf-8"),
    (json.dumps({f"k{n}": n for n in range(50_000)}).encode(), "unknown field"),
]


def test_bodies_that_hurt(submitter: httpx.Client, row_counts: Counts, subtests: pytest.Subtests) -> None:
    """Refused in few words, and nothing is written."""
    before = row_counts()
    for body, words in BODIES:
        with subtests.test(words=words):
            assert words in refused(submitter.post("/v1/studies", content=body, headers=JSON), 422)
    assert row_counts() == before


def test_compressed_bodies_are_not_opened(submitter: httpx.Client, row_counts: Counts) -> None:
    """415 that says so: nothing is inflated."""
    before = row_counts()
    bomb = gzip.compress(bytes(10_000_000))
    for path in ("/v1/studies", "/v1/datasets?name=x"):
        headers = {**(JSON if "studies" in path else OCTETS), "Content-Encoding": "gzip"}
        assert "gzip" in refused(submitter.post(path, content=bomb, headers=headers), 415)
    assert row_counts() == before


def test_a_level_of_ones_own_is_never_executed(submitter: httpx.Client, tmp_path: Path) -> None:
    """Neither at once nor where a study is tried out; towers of powers are numbers that overflow."""
    mark = tmp_path / "mark"
    for expr in (f"__import__('os').mkdir('{mark}')", f"open('{mark}', 'w')", "z.__class__"):
        document = {"name": "s", "activation": {"name": "expression", "expr": expr}}
        assert "activation.expr" in refused(submitter.post("/v1/studies", json=document), 422)
    tower = {"name": "s", "activation": {"name": "expression", "expr": "z * 9 ** 9 ** 9 ** 9"}, "seeds": 1}
    assert submitter.post("/v1/studies", params={"dry_run": "true"}, json=tower, timeout=100).status_code == 200
    assert not mark.exists()


def test_what_is_said_in_a_header_stays_there(submitter: httpx.Client) -> None:
    """No name splits the answer's headers; an odd Idempotency-Key is a key or is refused."""
    made = submitter.post("/v1/studies", json={"name": "a b.c", "seeds": 1})
    exported = submitter.get(f"/v1/studies/{made.json()['id']}/export")
    assert exported.headers["Content-Disposition"].startswith('attachment; filename="a_b.c-')
    for key in ("k" * 256, "k" * 10_000):
        refused(submitter.post("/v1/studies", json={"name": "t"}, headers={"Idempotency-Key": key}), 422)


TEXTS = {
    "laughs": "a0: &a [x]\n" + "".join(f"a{n}: &a [{', '.join(['*a'] * 9)}]\n" for n in range(20)),
    "tag": "name: !!python/object/apply:os.mkdir ['MARK']",
    "deep": "[" * 2_000,
    "null": "name: 'a\0b'",
    "binary": "name: !!binary aGVsbG8=",
    "date": "name: s\ndescription: !!timestamp 2020-01-01",
    "set": "name: s\ntags: !!set {a, b}",
    "surrogate": 'name: s\ndescription: "\\ud800"',
    "infinity": "name: s\ntraining: {learning_rate: .inf}",
    "grid": "name: s\nseeds: 10000\nfactors: {training.l1: [" + ", ".join(map(str, range(1000))) + "]}",
}


@pytest.mark.parametrize("name", TEXTS)
def test_files_on_the_command_line(
    name: str,
    api_url: str,
    secrets: dict[Role, str],
    row_counts: Counts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit 1 and a sentence, from a file and from standard input; nothing is made."""
    before = row_counts()
    monkeypatch.setenv("ACTINIUM_URL", api_url)
    monkeypatch.setenv("ACTINIUM_TOKEN", secrets[Role.SUBMITTER])
    file = tmp_path / "study.yaml"
    file.write_text(TEXTS[name].replace("MARK", str(tmp_path / "mark")))
    for source in (str(file), "-"):
        monkeypatch.setattr(sys, "argv", ["actinium", "submit", source])
        monkeypatch.setattr(sys, "stdin", file.open())
        with pytest.raises(SystemExit) as end:
            cli.main()
        sys.stdin.close()
        err = capsys.readouterr().err
        assert end.value.code == 1 and err.startswith("actinium: ")
        assert len(err) < 2000 and "Traceback" not in err
    assert row_counts() == before and not (tmp_path / "mark").exists()


def test_a_name_on_the_command_line_is_no_path(client: Client) -> None:
    """It is a study's or none."""
    for name in ("../../etc/passwd", "a/b", "..", "%2e%2e", "?q=1", "#x", "a\0b", "x" * 5000):
        with pytest.raises(NotFound):
            client.study(name)
