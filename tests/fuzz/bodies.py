"""Bodies that no client would send: broken JSON, bent studies, damaged datasets, odd headers and methods."""

import json
from collections.abc import Callable
from typing import Any

import httpx
from fuzz.documents import changed, nasty
from fuzz.requests_to_all import TIMEOUT, profile
from fuzz.service import Service, npz
from fuzz.tally import Tally
from hypothesis import given, seed
from hypothesis import strategies as st

from services.api.openapi import operations

BROKEN = (b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"name": NaN}', b'{"name": "a", "name": "b"}', b"[" * 5000)
MEDIA = ("application/json", "application/json; charset=latin-1", "application/vnd.x+json", "text/plain", "x", ";", "")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
ACCEPTED = {200, 201}
REFUSED = {404, 408, 409, 413, 415, 422}
LOOKS = ("", "/trials", "/report", "/export", "/export?format=jsonl", "/export?format=parquet", "/events")


class Asked:
    """A caller who keeps count: every answer must have one of the statuses that the question allows."""

    def __init__(self, service: Service, tally: Tally, who: str) -> None:
        self._http = httpx.Client(base_url=service.url, headers=service.headers[who], timeout=TIMEOUT)
        self.tally = tally

    def __call__(self, right: set[int], method: str, path: str, **given: Any) -> httpx.Response:
        """One request."""
        answer = self._http.request(method, path, **given)
        self.tally.answered(answer.status_code)
        wrong = [] if answer.status_code in right else [f"{answer.status_code} is none of {sorted(right)}"]
        if answer.status_code >= 400 and method != "HEAD":
            media = answer.headers.get("Content-Type")
            wrong += [] if media == "application/problem+json" else [f"a problem as {media}"]
            if not wrong and answer.status_code == 422 and not answer.json()["errors"]:
                wrong.append("422 without a word on what is wrong")
        if wrong:
            self.tally.wrong_status += answer.status_code < 500
            self.tally.tell(f"{method} {path[:60]}: {wrong[0]}", f"{answer.text[:600]}\n{str(given)[:1500]}")
        return answer

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()


def fuzz_bodies(service: Service, tally: Tally, *, cases: int, number: int) -> None:
    """`cases` each of broken bodies, bent studies, extensions, damaged datasets, and wrong methods."""
    ask = Asked(service, tally, "submitter")
    for fuzz in (_broken, _studies, _changes, _datasets, _methods):
        fuzz(service, ask, cases, number)
    ask.close()


def _run(cases: int, number: int, body: Callable[[st.DataObject], None]) -> None:
    @seed(number)
    @profile(cases)
    @given(data=st.data())
    def one(data: st.DataObject) -> None:
        body(data)

    one()


def _broken(service: Service, ask: Asked, cases: int, number: int) -> None:
    routes = [
        (m, p) for m, p, operation in operations(service.document) if "requestBody" in operation and "token" not in p
    ]

    def one(data: st.DataObject) -> None:
        method, path = data.draw(st.sampled_from(routes))
        content = data.draw(
            st.one_of(
                st.sampled_from(BROKEN), st.binary(max_size=200), st.text().map(lambda t: t.encode("utf-8", "replace"))
            )
        )
        headers = {
            "Content-Type": data.draw(st.sampled_from(MEDIA)),
            "Idempotency-Key": data.draw(st.sampled_from(["", "k", "\x7f" * 9, "k" * 300])),
        }
        params = {"name": "x"} if path == "/v1/datasets" else {}
        ask(REFUSED, method, path.replace("{study}", "waiting"), params=params, content=content, headers=headers)

    _run(cases, number, one)


def _studies(service: Service, ask: Asked, cases: int, number: int) -> None:
    """What is accepted can be looked at in every way, and cancelled."""

    def one(data: st.DataObject) -> None:
        document = data.draw(changed(json_only=True))
        key = data.draw(st.sampled_from([None, None, "k1", "k2"]))
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        answer = ask(ACCEPTED | REFUSED, "POST", "/v1/studies", content=json.dumps(document), headers=headers)
        if answer.status_code == 201:
            here = f"/v1/studies/{answer.json()['id']}"
            ask({200}, "POST", f"{here}/cancel")
            for look in LOOKS:
                ask({200}, "GET", here + look)

    _run(cases, number, one)


def _changes(service: Service, ask: Asked, cases: int, number: int) -> None:
    """Extensions and changes of a study, mostly bent."""
    fields = ("name", "description", "tags", "notes", "priority", "seeds", "factors", "x")

    def one(data: st.DataObject) -> None:
        study = data.draw(st.sampled_from(service.studies))
        document = data.draw(st.dictionaries(st.sampled_from(fields), nasty(json_only=True), max_size=2))
        if data.draw(st.booleans()):
            levels = st.lists(st.sampled_from(["elu", "relu", "gelu", 3, None, {"name": "prelu"}]), max_size=3)
            document = {
                "factors": {data.draw(st.sampled_from(["activation", "training.batch_size", "x"])): data.draw(levels)}
            }
        method, path = data.draw(st.sampled_from([("PATCH", ""), ("POST", "/extend")]))
        content = json.dumps({key: value for key, value in document.items() if key != "name" or method != "PATCH"})
        ask(
            {200} | REFUSED,
            method,
            f"/v1/studies/{study}{path}",
            content=content,
            headers={"Content-Type": "application/json"},
        )

    _run(cases, number, one)


def _datasets(service: Service, ask: Asked, cases: int, number: int) -> None:
    """A good file with a few bytes changed, cut or doubled."""

    def one(data: st.DataObject) -> None:
        content = bytearray(npz())
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(content) - 1))
            match data.draw(st.sampled_from(["set", "cut", "double"])):
                case "set":
                    content[at] = data.draw(st.integers(0, 255))
                case "cut":
                    del content[at : at + data.draw(st.integers(1, 50))]
                case "double":
                    content[at:at] = content[at : at + 50]
        name = data.draw(st.sampled_from(["mine", "a", "b", "digits", "../a", "A", "", "a" * 81]))
        media = data.draw(st.sampled_from(["application/octet-stream", "application/zip", "text/plain"]))
        wishes = data.draw(st.sampled_from([{}, {}, {"layout": "NHWC"}, {"objective": "regression"}, {"label": "y"}]))
        given = {"params": {"name": name, **wishes}, "content": bytes(content), "headers": {"Content-Type": media}}
        ask(ACCEPTED | REFUSED, "POST", "/v1/datasets", **given)

    octets = {"Content-Type": "application/octet-stream"}
    ask({409}, "POST", "/v1/datasets", params={"name": "digits"}, content=npz(), headers=octets)
    _run(cases, number, one)


def _methods(service: Service, ask: Asked, cases: int, number: int) -> None:
    """Methods that a path does not take are 405, and the answer says which it takes; unknown paths are 404."""
    known: dict[str, set[str]] = {}
    for method, path, _ in operations(service.document):
        known.setdefault(path, set()).add(method)

    def one(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(known)))
        method = data.draw(st.sampled_from(sorted(set(METHODS) - known[path])))
        answer = ask({405}, method, path.replace("{", "").replace("}", ""))
        if not set(answer.headers.get("Allow", "").split(", ")) >= known[path]:
            ask.tally.wrong_status += 1
            ask.tally.tell(f"Allow of {path}", str(answer.headers))
        ask(
            {404},
            method,
            path + data.draw(st.sampled_from(["/x", "/../../etc/passwd", "%00", ";", "/%2e%2e/x"])) + "/nothing",
        )

    _run(cases, number, one)
