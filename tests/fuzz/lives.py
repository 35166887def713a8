"""Studies' lives along the links of the OpenAPI document: what was made is given to all that
takes it, while it trains.
"""

import json
from typing import Any

import httpx
from fuzz.documents import grids
from fuzz.requests_to_all import TIMEOUT, judge, loaded, profile
from fuzz.service import STUDY, Service
from fuzz.tally import Tally
from hypothesis import given, seed
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.schemas import APIOperation

STEPS = 12
MADE = ("/v1/studies", "post", "201")
LISTED = ("/v1/studies/{study}/trials", "get", "200")


def fuzz_lives(service: Service, tally: Tally, *, cases: int, number: int) -> None:
    """`cases` studies, each followed by up to STEPS requests of their owner. All are drawn before the first is made:
    what is drawn must not hang on what the service answers.
    """
    known = {found.ok().definition.raw["operationId"]: found.ok() for found in loaded(service).get_all_operations()}
    takers = [*_linked(service, known, MADE), *_linked(service, known, LISTED)]

    @seed(number)
    @profile(cases)
    @given(data=st.data(), document=st.one_of(st.just(STUDY), st.just(STUDY), grids()))
    def one(data: st.DataObject, document: dict[str, Any]) -> None:
        steps: list[Case | None] = []
        for _ in range(data.draw(st.integers(4, STEPS))):
            trains = data.draw(st.integers(0, 5)) == 0
            steps.append(None if trains else data.draw(data.draw(st.sampled_from(takers)).as_strategy()))
        _live(service, tally, {**document, "name": f"life {number} {tally.cases}"}, steps)

    one()


def _linked(service: Service, known: dict[str, APIOperation], made: tuple[str, str, str]) -> list[APIOperation]:
    """The operations to which an answer links."""
    path, method, status = made
    links = service.document["paths"][path][method]["responses"][status]["links"]
    return [known[link["operationId"]] for link in links.values()]


def _live(service: Service, tally: Tally, document: dict[str, Any], steps: list[Case | None]) -> None:
    headers = service.headers["submitter"]
    with httpx.Client(base_url=service.url, headers=headers, timeout=TIMEOUT) as http:
        made = http.post("/v1/studies", content=json.dumps(document), headers={"Content-Type": "application/json"})
        tally.answered(made.status_code)
        if made.status_code != 201:
            return
        study = made.json()["id"]
        trials = http.get(f"/v1/studies/{study}/trials").json()["items"]
    for case in steps:
        if case is None:
            service.train()
            continue
        case.path_parameters |= (
            {"study": str(study)} if "study" in case.path_parameters else {"trial": str(trials[0]["id"])}
        )
        response = case.call(base_url=service.url, headers=headers, timeout=TIMEOUT)
        judge(tally, case, response, who="submitter", known=True)
