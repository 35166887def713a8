"""Requests made from the OpenAPI document to every operation, by everybody: what is answered is what the document and
the table of access say.
"""

import json
from collections.abc import Iterator
from contextlib import suppress

import schemathesis
from fuzz.service import NOBODY, PEOPLE, Service, forbidden
from fuzz.tally import Tally
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.api.access import ACCESS

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OTHERS_DO = {403, 404, 408, 409, 413, 415, 422}
"""What somebody may be answered who would change a study that is not theirs."""
TIMEOUT = 60
ANSWERS = "application/json", "application/vnd.apache.arrow.stream", "*/*", "text/html", "", ";;,"


def profile(cases: int) -> settings:
    """Generated cases only: what fails is told, not shrunk."""
    return settings(
        max_examples=cases,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )


def fuzz_operations(service: Service, tally: Tally, *, cases: int, number: int) -> None:
    """`cases` well-formed requests to each operation, and as many that are not to those with a query or a body."""
    for found in loaded(service).get_all_operations():
        operation = found.ok()
        modes = [GenerationMode.POSITIVE]
        if operation.body or operation.query:
            modes.append(GenerationMode.NEGATIVE)
        for mode in modes:
            _fuzz(service, tally, operation, mode, cases, number)


def loaded(service: Service) -> BaseSchema:
    """The document as it is, but for who asks: callers are chosen here, not by the generator."""
    document = json.loads(json.dumps(service.document))
    for item in document["paths"].values():
        for operation in item.values():
            operation.pop("security", None)
    schema = schemathesis.openapi.from_dict(document)
    schema.config.max_stream_events = 1  # a study that waits has news without end
    return schema


def _fuzz(
    service: Service, tally: Tally, operation: APIOperation, mode: GenerationMode, cases: int, number: int
) -> None:
    @seed(number)
    @profile(cases)
    @given(data=st.data(), case=operation.as_strategy(generation_mode=mode), who=_callers())
    def ask(data: st.DataObject, case: Case, who: str) -> None:
        known = _point(data, case, service)
        headers = {**service.headers[who], "Accept": data.draw(st.sampled_from(ANSWERS))}
        response = case.call(base_url=service.url, headers=headers, timeout=TIMEOUT)
        judge(tally, case, response, who=who, known=known)

    with suppress(Unsatisfiable):  # nothing of an operation without parameters can be ill-formed
        ask()


def _callers() -> st.SearchStrategy[str]:
    """Half of them admins, who come farthest."""
    return st.one_of(st.just("admin"), st.sampled_from([*NOBODY, *PEOPLE]))


def _point(data: st.DataObject, case: Case, service: Service) -> bool:
    """Has the path name what is there, mostly; whether it surely leads to the operation."""
    there = {"study": service.studies, "trial": service.trials, "token_id": service.tokens, "name": ["first_filters"]}
    for name in case.path_parameters:
        if name == "token_id" or data.draw(st.integers(0, 3)):  # no caller's own token is revoked by chance
            case.path_parameters[name] = data.draw(st.sampled_from(there[name]))
    return all("/" not in str(word) and str(word).strip(".") for word in case.path_parameters.values())


def judge(tally: Tally, case: Case, response: Response, *, who: str, known: bool) -> None:
    """Counts an answer, and tells what is wrong with it."""
    tally.answered(response.status_code)
    label, status = case.operation.label, response.status_code
    rule = ACCESS[case.operation.method.upper(), case.operation.path]
    expected = forbidden(rule, who)
    wrong: list[str] = []
    if not known:
        pass
    elif expected is not None:
        wrong += [f"{status} for {who}, not {expected}"] if status != expected else []
    elif who in PEOPLE and status == 401:
        wrong.append(f"401 for {who}")
    elif status == 403 and not (rule.own and who == "other"):
        wrong.append(f"403 for {who}")
    elif rule.own and who == "other" and status not in OTHERS_DO:
        wrong.append(f"{status} for another submitter")
    wrong += _shape(response)
    if known:
        try:
            case.validate_response(response, checks=CHECKS)
        except BaseExceptionGroup as group:
            wrong += [f"{type(one).__name__}: {one}" for one in group.exceptions]
        except AssertionError as one:
            wrong.append(f"{type(one).__name__}: {one}")
    if wrong:
        tally.wrong_status += status < 500
        tally.tell(f"{label}: {wrong[0][:60]}", "\n".join([*wrong, response.text[:300], case.as_curl_command()[:1500]]))


def _shape(response: Response) -> Iterator[str]:
    """What is wrong with a problem beyond what its schema says."""
    if response.status_code < 400:
        return
    if response.headers["content-type"] != ["application/problem+json"]:
        yield f"{response.status_code} as {response.headers['content-type']}"
        return
    problem = response.json()
    if problem["status"] != response.status_code or problem["request_id"] != response.headers["x-request-id"][0]:
        yield "status or request id differ from the answer's own"
    if response.status_code == 422 and not all(fault["message"] for fault in problem["errors"] or [{"message": ""}]):
        yield "422 without a word on what is wrong"
    if not problem["detail"]:
        yield "no detail"
